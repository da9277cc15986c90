// How replicas' messages travel: whole, unchanged, or not at all.
//
// Best effort: a message may be lost, late, repeated or overtaken, and nobody is told. What a
// transport must not do is change one, or wait.
#pragma once

#include <functional>
#include <vector>

#include "common/core/bytes.h"
#include "common/core/ids.h"
#include "common/kv/replica.h"

namespace kv::host {

class PeerTransport {
 public:
  /// May run on any of the transport's threads, several at once.
  using OnMessage = std::function<void(NodeId from, Bytes message)>;

  PeerTransport() = default;
  PeerTransport(const PeerTransport&) = delete;
  PeerTransport& operator=(const PeerTransport&) = delete;
  virtual ~PeerTransport() = default;

  /// From now on messages arrive and leave. Once.
  virtual void start(OnMessage on_message) = 0;

  /// Takes all of `sends` at once, so that those for one peer can share one write; leaves it
  /// empty. What finds no room in its peer's bounded queue is dropped. From one thread.
  virtual void send(std::vector<Send>& sends) = 0;

  /// Whether a message sent now is likely to arrive. From any thread.
  virtual bool connected(NodeId peer) const = 0;

  /// When it returns, on_message runs no more.
  virtual void stop() = 0;
};

}  // namespace kv::host
