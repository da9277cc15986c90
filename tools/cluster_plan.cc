#include "tools/cluster_plan.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <random>

#include "common/core/random.h"
#include "common/host/descriptor.h"

namespace kv::cluster {
namespace {

constexpr std::array own_flags{"--node", "--peers", "--join", "--routes", "--data",
                               "--log",  "--tcp",   "--udp",  "--rpc",    "--http"};
constexpr std::array doors{Door::tcp, Door::udp, Door::rpc, Door::http};

// Below the range from which the kernel takes ports for others.
constexpr std::uint64_t lowest_base = 20'000;
constexpr std::uint64_t highest_base = 31'000;
constexpr int tries_max = 200;

std::string loopback(std::uint16_t port) {
  return "127.0.0.1:" + std::to_string(port);
}

std::string name_of(NodeId node) {
  return std::to_string(node.value);
}

bool is_free(std::uint16_t port, int type) {
  const host::Descriptor socket{::socket(AF_INET, type | SOCK_CLOEXEC, 0)};
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return socket.open() &&
         ::bind(socket.number(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

bool all_free(const Plan& plan) {
  const std::uint32_t nodes = may_change_members(plan.phase) ? replicas_max : plan.replicas;
  for (std::uint32_t node = 1; node <= nodes; ++node) {
    for (const Door door : doors) {
      if (!is_free(port_of(plan, door, {node}), door == Door::udp ? SOCK_DGRAM : SOCK_STREAM)) {
        return false;
      }
    }
  }
  return true;
}

}  // namespace

std::string text_of(NodeId node) {
  return "node " + std::to_string(node.value);
}

std::string log_file(const Plan& plan, NodeId node) {
  return plan.dir + "/logs/server-" + name_of(node) + ".log";
}

std::string error_file(const Plan& plan, NodeId node) {
  return plan.dir + "/logs/server-" + name_of(node) + ".err";
}

std::string data_folder(const Plan& plan, NodeId node) {
  return plan.dir + "/data/node" + name_of(node);
}

Company founders_company(const Plan& plan, bool through_proxy) {
  Company company;
  for (std::uint32_t node = 1; node <= replicas_max; ++node) {
    if (node <= plan.replicas) {
      company.peers.push_back({node});
    } else if (through_proxy && may_change_members(plan.phase)) {
      company.routes.push_back({node});
    }
  }
  return company;
}

std::vector<std::string> arguments_of(const Plan& plan, NodeId node, const Company& company,
                                      const PeerPort& peer_port) {
  std::vector<std::string> arguments{"--tcp",  loopback(port_of(plan, Door::tcp, node)),
                                     "--udp",  loopback(port_of(plan, Door::udp, node)),
                                     "--http", loopback(port_of(plan, Door::http, node)),
                                     "--log",  log_file(plan, node)};
  const auto add = [&arguments](std::string name, std::string value) {
    arguments.push_back(std::move(name));
    arguments.push_back(std::move(value));
  };
  if (plan.phase >= host::Phase::rpc) {
    add("--rpc", loopback(port_of(plan, Door::rpc, node)));
  }
  if (has_peers(plan.phase)) {
    const auto list = [&](const std::vector<NodeId>& nodes) {
      std::string text;
      for (const NodeId peer : nodes) {
        text += (text.empty() ? "" : ",") + name_of(peer) + "=" + loopback(peer_port(node, peer));
      }
      return text;
    };
    add("--node", name_of(node));
    add("--peers", list(company.peers));
    if (!company.routes.empty()) {
      add("--routes", list(company.routes));
    }
    if (company.joins) {
      arguments.emplace_back("--join");
    }
    add("--data", data_folder(plan, node));
  }
  if (plan.seed) {
    add("--seed", std::to_string(*plan.seed + node.value));
  }
  arguments.insert(arguments.end(), plan.server_flags.begin(), plan.server_flags.end());
  return arguments;
}

std::string flags_error(const std::vector<std::string>& server_flags) {
  for (const std::string& flag : server_flags) {
    if (std::ranges::find(own_flags, flag.substr(0, flag.find('='))) != own_flags.end()) {
      return flag.substr(0, flag.find('=')) + ": the cluster gives each replica its own";
    }
  }
  return {};
}

std::uint16_t find_base_port(const Plan& plan, std::string& why) {
  Random random{std::random_device{}()};
  Plan tried = plan;
  for (int i = 0; i < tries_max; ++i) {
    tried.base_port = static_cast<std::uint16_t>(
        lowest_base + 10 * random.below((highest_base - lowest_base) / 10));
    if (all_free(tried)) {
      return tried.base_port;
    }
  }
  why = "found no base port with all ports free";
  return 0;
}

}  // namespace kv::cluster
