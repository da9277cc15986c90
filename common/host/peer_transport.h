// How replicas' messages travel: whole, unchanged, or not at all.
//
// Best effort: a message may be lost, late, repeated or overtaken, and nobody is told. What a
// transport must not do is change one, or wait.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "common/core/bytes.h"
#include "common/core/ids.h"
#include "common/kv/members.h"
#include "common/kv/replica.h"

namespace kv::host {

struct PeerMessage {
  NodeId from;
  std::uint64_t msg = 0;  // the sender's number of it: the `msg` of both ends' log lines
  Bytes bytes;
};

class PeerTransport {
 public:
  /// Takes all of `messages`, which came together. May run on any of the transport's threads,
  /// several at once.
  using OnMessages = std::function<void(std::vector<PeerMessage>& messages)>;

  PeerTransport() = default;
  PeerTransport(const PeerTransport&) = delete;
  PeerTransport& operator=(const PeerTransport&) = delete;
  virtual ~PeerTransport() = default;

  /// From now on messages arrive and leave. Once.
  virtual void start(OnMessages on_messages) = 0;

  /// Takes all of `sends` at once, so that those for one peer can share one write; leaves it
  /// empty. They carry the numbers from `first_msg` on, in order. What finds no room in its peer's
  /// bounded queue is dropped, and so is what is for nobody. From one thread.
  virtual void send(std::vector<Send>& sends, std::uint64_t first_msg) = 0;

  /// From now on these are the replicas that are heard and reached, and no others. From the thread
  /// that sends. A transport whose replicas never change need not listen.
  virtual void meet(const std::vector<Member>& /*members*/) {}

  /// Whether a message sent now is likely to arrive. From any thread.
  virtual bool connected(NodeId peer) const = 0;

  /// Whether on_messages may work for the Replica, and so send, on the thread that runs it.
  virtual bool lends_threads() const { return false; }

  /// When it returns, on_messages runs no more.
  virtual void stop() = 0;
};

}  // namespace kv::host
