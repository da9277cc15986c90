// The flags that all servers share, declared once; a phase adds its own beside them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/host/flags.h"

namespace kv::host {

enum class Phase : std::uint8_t { sockets = 1, rpc, two_phase, paxos, raft };

/// The folder of its name, which also holds its logs: "phase1_sockets".
std::string_view folder_of(Phase phase);

/// What the flags of a phase's server said. Fields whose flag the phase does not have keep their
/// default.
struct ServerFlags {
  Endpoint tcp{.host = "127.0.0.1", .port = 1111, .off = false};
  Endpoint udp{.host = "127.0.0.1", .port = 5555, .off = false};
  Endpoint http = endpoint_off;
  std::string log;  // "-" is standard error
  Level log_level = Level::info;
  std::optional<std::uint64_t> seed;  // nothing: draw one, and log it

  std::uint32_t threads = 1;  // phases 1 and 2; its default is the number of cores

  Endpoint rpc{.host = "127.0.0.1", .port = 7111, .off = false};  // from phase 2 on, else off

  // from phase 3 on
  NodeId node{1};
  std::vector<Peer> peers;  // empty: this replica alone
  bool joins = false;       // it is none of those who founded the cluster
  std::vector<Peer> routes;
  std::string data;
  std::string sync = "always";  // or "never"
  std::vector<RoleFailure> failures;
};

/// Declares the flags that apply to `phase`. After parse(), `log` and `data`
/// are filled in, and --peers is sure to name --node. `roles`: what --help of --fail lists, beside
/// `all`.
void add_server_flags(Flags& flags, Phase phase, ServerFlags& target,
                      const std::vector<std::string>& roles = {});

}  // namespace kv::host
