#include "common/host/server_flags.h"

#include <algorithm>
#include <thread>

#include "common/core/check.h"

namespace kv::host {
namespace {

constexpr std::uint32_t threads_max = 1024;

void add_log_flags(Flags& flags, Phase phase, ServerFlags& target) {
  const std::string folder{folder_of(phase)};
  flags.add_value(
      "--log", "FILE", "logs/" + folder + "/server-N.log",
      [&target](std::string_view text) {
        target.log = text;
        return std::string{text.empty() ? "is empty" : ""};
      },
      "where requests and answers are logged; - is standard error");
  flags.add("--log-level", target.log_level, "the least level that is logged");
  flags.finally([&target, folder] {
    if (target.log.empty()) {
      target.log = "logs/" + folder + "/server-" + std::to_string(target.node.value) + ".log";
    }
    return std::string{};
  });
}

void add_replica_flags(Flags& flags, Phase phase, const std::vector<std::string>& roles,
                       ServerFlags& target) {
  flags.add("--node", target.node.value, {.least = 1}, "this replica's number");
  flags.add("--peers", target.peers, "the RPC addresses of all replicas, this one among them");
  if (phase >= Phase::paxos) {
    flags.add_switch("--join", target.joins,
                     "this replica does not found a cluster with its peers: it waits, on an empty "
                     "disk, to be added to theirs");
    flags.add("--routes", target.routes,
              "how this replica reaches others, where that is not as the cluster says");
  }
  flags.add("--data", target.data, "journal and snapshots; by default data/phaseN/nodeN", "DIR");
  flags.add_choice("--sync", target.sync, {"always", "never"}, "never: nothing survives a crash");
  std::string known;
  for (const std::string& role : roles) {
    known += role + ", ";
  }
  flags.add("--fail", target.failures,
            "a role dies after a random time (mean UP) and returns after another (mean DOWN); "
            "roles: " +
                known + "all");
  flags.finally([&target, phase]() -> std::string {
    const std::string node = std::to_string(target.node.value);
    if (target.data.empty()) {
      target.data = "data/phase" + std::to_string(static_cast<int>(phase)) + "/node" + node;
    }
    const bool named =
        std::ranges::find(target.peers, target.node, &Peer::node) != target.peers.end();
    if (!target.peers.empty() && !named) {
      return "--peers: does not name --node " + node;
    }
    return target.joins && target.peers.size() < 2 ? "--join: --peers names nobody to join" : "";
  });
}

}  // namespace

std::string_view folder_of(Phase phase) {
  switch (phase) {
    case Phase::sockets:
      return "phase1_sockets";
    case Phase::rpc:
      return "phase2_rpc";
    case Phase::two_phase:
      return "phase3_2pc";
    case Phase::paxos:
      return "phase4_paxos";
    case Phase::raft:
      return "phase5_raft";
  }
  check(false);
  return {};
}

void add_server_flags(Flags& flags, Phase phase, ServerFlags& target,
                      const std::vector<std::string>& roles) {
  target.threads = std::clamp(std::thread::hardware_concurrency(), 1U, threads_max);
  flags.add("--tcp", target.tcp, "the line protocol over TCP; off closes it, 0 takes a free port");
  flags.add("--udp", target.udp, "the line protocol over UDP; off closes it, 0 takes a free port");
  if (phase >= Phase::rpc) {
    flags.add("--rpc", target.rpc, "RPC for clients and peers");
  } else {
    target.rpc = endpoint_off;
  }
  flags.finally([&target, phase]() -> std::string {
    const bool all_off = target.tcp.off && target.udp.off && target.rpc.off;
    return !all_off ? ""
                    : std::string{"--tcp, --udp"} + (phase >= Phase::rpc ? ", --rpc" : "") +
                          ": all are off, so that nobody could be served";
  });
  flags.add("--http", target.http, "/metrics, /status and /healthz");
  if (phase <= Phase::rpc) {
    flags.add("--threads", target.threads, {.least = 1, .most = threads_max},
              phase == Phase::sockets ? "event loops" : "threads of the pool");
  }
  add_log_flags(flags, phase, target);
  flags.add("--seed", target.seed, "every random choice; by default drawn, and logged");
  if (phase >= Phase::two_phase) {
    add_replica_flags(flags, phase, roles, target);
  }
}

}  // namespace kv::host
