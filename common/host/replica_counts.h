// What a ReplicaHost counts. Its protocol's thread writes, any thread reads.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string>

#include "common/core/ids.h"
#include "common/host/counter.h"
#include "common/kv/command.h"

namespace kv::host {

struct ReplicaCounts {
  static constexpr std::size_t statuses = static_cast<std::size_t>(last_of(Status{})) + 1;
  /// Nodes with a number below it are counted one by one.
  static constexpr std::uint32_t nodes_max = 64;

  struct Peer {
    Counter messages_sent;
    Counter bytes_sent;
    Counter messages_received;
    Counter bytes_received;
  };

  Counter requests;                       // taken in
  std::atomic<std::uint64_t> refused{0};  // not taken in; any thread writes it
  std::array<Counter, statuses> answers;  // to what was taken in
  Counter records;
  Counter record_bytes;
  Counter snapshots;
  Counter messages_dropped;  // of peers, for want of room
  std::array<Peer, nodes_max> peers;

  // How things stand now.
  Counter requests_open;     // taken in and not answered
  Counter requests_waiting;  // of these, not given to the Replica yet
  Counter batches_withheld;  // sends and answers of so many turns wait for their records

  /// Nobody's place (0) is for those beyond nodes_max.
  Peer& peer(NodeId node) { return peers[node.value < nodes_max ? node.value : 0]; }
  std::uint64_t answered() const;
  /// Over all peers.
  std::uint64_t sum(Counter Peer::*of) const;
  /// Goes up with whatever is worth a line of totals.
  std::uint64_t activity() const;
};

/// `event=totals requests=… answers=… messages_sent=… …`: all that was counted since the start.
std::string totals_line(const ReplicaCounts& counts, std::uint64_t syncs);

}  // namespace kv::host
