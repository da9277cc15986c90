// What a cluster of processes looks like before it runs: which program, which ports, which files
// and which command line for each replica.
//
// Node i of a cluster at base port P has tcp P+i, udp P+100+i, rpc P+200+i, http P+500+i. Phases 1
// and 2 are one process, node 1.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/core/ids.h"
#include "common/host/server_flags.h"

namespace kv::cluster {

inline constexpr std::uint32_t replicas_max = 9;
inline constexpr std::uint16_t base_port_max = 65535 - 600;

enum class Door : std::uint16_t { tcp = 0, udp = 100, rpc = 200, http = 500 };

struct Plan {
  host::Phase phase = host::Phase::raft;
  std::uint32_t replicas = 5;  // that found the cluster: nodes 1, 2, 3 …
  std::string dir = "cluster";
  std::uint16_t base_port = 17000;
  std::string program;                    // the server's path
  std::vector<std::string> server_flags;  // handed on to each replica as they are
  std::optional<std::uint64_t> seed;      // node i is given seed + i
};

/// How a replica is told of the others when it starts.
struct Company {
  std::vector<NodeId> peers;   // --peers: the founders, or, of one that joins, all members now
  std::vector<NodeId> routes;  // --routes: whoever else may come
  bool joins = false;
};

/// Phases 1 and 2 are one process; the others speak to each other.
constexpr bool has_peers(host::Phase phase) {
  return phase >= host::Phase::two_phase;
}

/// Whose members can be added and removed while it runs.
constexpr bool may_change_members(host::Phase phase) {
  return phase >= host::Phase::paxos;
}

constexpr std::uint16_t port_of(const Plan& plan, Door door, NodeId node) {
  return static_cast<std::uint16_t>(plan.base_port + static_cast<std::uint16_t>(door) + node.value);
}

std::string log_file(const Plan& plan, NodeId node);
/// As people are told of it: "node 3".
std::string text_of(NodeId node);
std::string error_file(const Plan& plan, NodeId node);
std::string data_folder(const Plan& plan, NodeId node);

/// Where `from` reaches `to`'s RPC.
using PeerPort = std::function<std::uint16_t(NodeId from, NodeId to)>;

/// The replica's command line after the program's name.
std::vector<std::string> arguments_of(const Plan& plan, NodeId node, const Company& company,
                                      const PeerPort& peer_port);

/// Of a node that founds the cluster. Routes only with `through_proxy`: all know where the others
/// listen, but not where the links to those are.
Company founders_company(const Plan& plan, bool through_proxy);

/// The empty string, or which of the server's flags the cluster must give itself.
std::string flags_error(const std::vector<std::string>& server_flags);

/// A base port from which on nobody listens on any port that the plan needs; 0, and a reason in
/// `why`, if none was found. Somebody else may still be quicker.
std::uint16_t find_base_port(const Plan& plan, std::string& why);

}  // namespace kv::cluster
