// A client core and a dispatcher joined in memory: an RPC connection without sockets or threads,
// for tests and simulations.
#pragma once

#include <memory>

#include "phase2_rpc/client_core.h"
#include "phase2_rpc/dispatcher.h"
#include "phase2_rpc/server_core.h"

namespace kv::rpc {

/// Used from one thread; handlers that answer later do so from it too, and not after the link is
/// gone: what they say then is dropped.
class MemoryLink {
 public:
  MemoryLink(Dispatcher& dispatcher, Instant now, const ClientCore::Options& client = {},
             const ServerCore::Options& server = {});

  ClientCore& client() { return client_; }
  ServerCore& server() { return end_->core; }

  /// Carries bytes both ways until none are left. False if a side refused the other's.
  bool exchange(Instant now);

 private:
  struct ServerEnd final : ServerCore::Calls, ReturnPath, std::enable_shared_from_this<ServerEnd> {
    ServerEnd(Dispatcher& its_dispatcher, Instant now, const ServerCore::Options& options)
        : dispatcher(its_dispatcher), core(options, *this, now) {}
    void on_call(const IncomingCall& call) override;
    void on_cancel(CallId) override {}
    void answer(CallId id, const CallResult& result) override;

    Dispatcher& dispatcher;
    ServerCore core;
    Caller caller{.address = "memory", .connection = 1};
  };

  ClientCore client_;
  std::shared_ptr<ServerEnd> end_;
};

}  // namespace kv::rpc
