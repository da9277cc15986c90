// What replicas say to one another over RPC: who they are, once a connection, and then messages.
//
// A connection goes one way: who opened it sends. `peer.hello` must be answered ok before the
// first `peer.messages`; that is one-way, and its body is peer frames (common/wire/frame.h), one
// after the other, all from the same replica to the same other.
#pragma once

#include <string>
#include <vector>

#include "common/core/ids.h"
#include "phase2_rpc/method.h"

namespace kv::rpc {

struct PeerHello {
  std::string cluster;  // by name: replicas of another cluster are refused
  NodeId from;
  NodeId to;  // whom the caller takes us for
  /// Whom the caller's --peers named when the cluster began, by number: replicas that were told of
  /// different ones would count different majorities. Empty: it joined later.
  std::vector<NodeId> founders;
  std::string choices;  // of its command line, what all must have alike; empty: nothing, or older

  bool operator==(const PeerHello&) const = default;
  static void fields(auto& self, auto& visit) {
    visit("cluster", self.cluster);
    visit("from", self.from);
    visit("to", self.to);
    visit("founders", self.founders);
    visit("choices", self.choices);
  }
};

struct PeerWelcome {
  NodeId node;

  static void fields(auto& self, auto& visit) { visit("node", self.node); }
};

inline constexpr Method<PeerHello, PeerWelcome> peer_hello{
    .id = 8, .name = "peer.hello", .safety = Safety::idempotent};
inline constexpr std::uint16_t peer_messages_method = 9;
inline constexpr std::string_view peer_messages_name = "peer.messages";

}  // namespace kv::rpc
