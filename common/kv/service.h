// The front door's only view of what is behind it: a store in this process, an RPC stub, or a
// replica of a cluster.
#pragma once

#include <functional>
#include <tuple>

#include "common/kv/command.h"

namespace kv {

class Store;

class Service {
 public:
  /// Runs exactly once for each submit(): during the call itself or later, on the thread that
  /// submitted or on one of the service's own. The reply is valid only during the call. To keep
  /// it from allocating, capture no more than two words.
  using Done = std::function<void(const Reply&)>;

  Service() = default;
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;
  virtual ~Service() = default;

  /// Does what `command` says, or tells why not. May be called from every event loop at once.
  /// The command is valid only during the call: a service that answers later copies it.
  virtual void submit(const Command& command, Done done) = 0;

  /// As submit(), but the service may leave it until begin(), which the same thread calls as soon
  /// as it has gathered what it has in hand: so what came together is begun together, and on the
  /// thread that brought it.
  virtual void gather(const Command& command, Done done) { submit(command, std::move(done)); }
  virtual void begin() {}

  /// As submit(), but only what is done at once: true, with the reply in `reply`, whose words are
  /// valid until this thread's next call. False, and nothing was done: submit() it. To a service
  /// that answers while it is asked, a request so costs neither a Done nor a copy of a value.
  virtual bool try_now(const Command& command, ReplyView& reply) {
    std::ignore = std::tie(command, reply);
    return false;
  }

  /// The store behind this, if nothing but the calling thread's own calls can touch it, and a get
  /// or a put without an ID may as well be done there, past submit(). Null: there is no such store.
  virtual Store* near_store() { return nullptr; }

  /// Whether a write submitted now could succeed: what /healthz answers.
  virtual bool healthy() const = 0;
};

}  // namespace kv
