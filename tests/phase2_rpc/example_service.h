// The example of phase2_rpc/README.md: a service, its server's side and its client's.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "phase2_rpc/dispatcher.h"
#include "phase2_rpc/method.h"
#include "phase2_rpc/rpc_client.h"

namespace kv::rpc {

struct Vote {
  std::string name;
  static void fields(auto& self, auto& visit) { visit("name", self.name); }
};
struct Tally {
  std::uint64_t votes = 0;
  static void fields(auto& self, auto& visit) { visit("votes", self.votes); }
};
inline constexpr Method<Vote, Tally> vote{.id = 100, .name = "poll.vote", .safety = Safety::once};

inline void serve_poll(Dispatcher& dispatcher, std::map<std::string, std::uint64_t>& votes) {
  dispatcher.serve(
      vote, {}, [&votes](const CallContext&, const Vote& ask) { return Tally{++votes[ask.name]}; });
}

inline std::optional<Tally> vote_for(RpcClient& client, const std::string& name) {
  return client.call_and_wait(vote, Vote{name}).answer;
}

}  // namespace kv::rpc
