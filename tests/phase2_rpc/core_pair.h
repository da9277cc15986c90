// A client core and a server core whose bytes cross in memory: what the RPC tests step through.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "phase2_rpc/client_core.h"
#include "phase2_rpc/server_core.h"

namespace kv::rpc {

struct KeptCall {
  CallId id;
  std::uint16_t method;
  std::string metadata;
  std::string body;
  Instant deadline;
  bool one_way;
  bool trusted;
};

/// Remembers every call; answers none by itself.
class KeptCalls : public ServerCore::Calls {
 public:
  void on_call(const IncomingCall& call) override {
    calls.push_back({call.id, call.method, std::string{call.metadata}, std::string{call.body},
                     call.deadline, call.one_way, call.trusted});
  }
  void on_cancel(CallId id) override { cancelled.push_back(id); }

  std::vector<KeptCall> calls;
  std::vector<CallId> cancelled;
};

struct CorePair {
  explicit CorePair(const ClientCore::Options& client_options = {},
                    const ServerCore::Options& server_options = {})
      : client(client_options, now), server(server_options, calls, now) {}

  /// Carries bytes both ways until none are left; false as soon as a side refuses them.
  bool exchange() {
    while (client.has_output() || server.has_output()) {
      Bytes to_server;
      client.swap_output(to_server);
      if (!to_server.empty() && !server.feed(now, to_server)) {
        return false;
      }
      Bytes to_client;
      server.swap_output(to_client);
      if (!to_client.empty() && !client.feed(now, to_client)) {
        return false;
      }
    }
    return true;
  }

  /// Starts a call whose result lands in `results` under its id.
  CallId start(ByteView body, Duration patience = std::chrono::seconds{1}) {
    const OutgoingCall call{.method = 20, .metadata = {}, .body = body, .deadline = now + patience};
    const auto id = client.start(
        now, call, [this, serial = ++started](CallResult&& result) { keep(serial, result); },
        refusal);
    return id.value_or(0);
  }

  void keep(std::uint64_t serial, const CallResult& result) {
    results[serial] = result;
    ++ended[serial];
  }

  Instant now{std::chrono::hours{1}};
  KeptCalls calls;
  ClientCore client;
  ServerCore server;
  std::uint64_t started = 0;
  std::map<std::uint64_t, CallResult> results;  // by the order of start()
  std::map<std::uint64_t, int> ended;
  CallResult refusal;
};

}  // namespace kv::rpc
