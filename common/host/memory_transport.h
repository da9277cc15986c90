// Replicas of one process talk through memory: for tests, and for clusters in one process.
//
// Messages cross as frames, through the codec that sockets use. Links can be cut.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <utility>

#include "common/host/peer_transport.h"

namespace kv::host {

/// What the transports of one process share. Safe from several threads; outlives its transports.
class MemoryNetwork {
 public:
  MemoryNetwork() = default;
  MemoryNetwork(const MemoryNetwork&) = delete;
  MemoryNetwork& operator=(const MemoryNetwork&) = delete;

  std::unique_ptr<PeerTransport> join(NodeId node);

  /// Messages from `from` to `to` are lost until heal().
  void cut(NodeId from, NodeId to);
  void heal();

 private:
  friend class MemoryTransport;

  void attach(NodeId node, PeerTransport::OnMessages on_messages);
  void detach(NodeId node);
  void carry(NodeId from, std::vector<Send>& sends, std::uint64_t first_msg);
  bool reaches(NodeId from, NodeId to) const;

  mutable std::mutex mutex_;  // guards all; held while a message is handed over
  std::map<NodeId, PeerTransport::OnMessages> nodes_;
  std::set<std::pair<NodeId, NodeId>> cut_;
};

}  // namespace kv::host
