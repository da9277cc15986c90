// The console's way to a server over RPC.
#pragma once

#include <string>

#include "common/client/transport.h"
#include "phase2_rpc/rpc_client.h"

namespace kv::rpc {

/// A command as a call of the store's methods, or, a ping, of server.health. Its origin goes along.
Request request_of(const Command& command);

/// A result as the console has it.
client::CallResult outcome_of(Verb verb, const CallResult& result);

class RpcTransport final : public client::Transport {
 public:
  /// `servers` is for people. Of no use unless why_unusable() is empty.
  RpcTransport(const RpcClient::Options& options, std::string servers, client::EventSink& events);

  client::CallResult call(const Command& command, Duration timeout) override;
  std::string server() const override { return "rpc " + servers_; }
  const std::string& why_unusable() const { return client_.why_unusable(); }

 private:
  RpcClient client_;
  std::string servers_;
};

}  // namespace kv::rpc
