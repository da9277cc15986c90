// Who belongs to the cluster, and how many of them are enough.
//
// Raft 6: while a change is under way the configuration is joint, and every decision needs a
// majority of the old voters and a majority of the new ones.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "common/core/ids.h"
#include "common/core/quorum.h"

namespace kv::raft {

inline constexpr std::size_t members_max = 32;

/// What the log says of a member beside its vote. A founder stands here from the first change on.
struct MemberFacts {
  NodeId node;
  std::uint64_t mark = 0;  // of its disk, not 0: see Acquaintance
  std::string address;     // of its RPC, for whoever was not told by its own flags

  bool operator==(const MemberFacts&) const = default;
  static void fields(auto& self, auto& visit) {
    visit("node", self.node.value);
    visit("mark", self.mark);
    visit("address", self.address);
  }
};

struct Membership {
  std::vector<NodeId> voters;
  std::vector<NodeId> outgoing;    // the old voters while the change is joint; else empty
  std::vector<NodeId> learners;    // are sent everything and count for nothing
  std::vector<MemberFacts> facts;  // of those that are known

  bool operator==(const Membership&) const = default;
  static void fields(auto& self, auto& visit) {
    visit("voters", self.voters);
    visit("outgoing", self.outgoing);
    visit("learners", self.learners);
    visit("facts", self.facts);
  }

  bool joint() const { return !outgoing.empty(); }
  bool votes(NodeId node) const { return has(voters, node) || has(outgoing, node); }
  bool has_learner(NodeId node) const { return has(learners, node); }
  bool includes(NodeId node) const { return votes(node) || has_learner(node); }
  /// What is known of `node`; null: nothing.
  const MemberFacts* facts_of(NodeId node) const;
  /// 0: not known.
  std::uint64_t mark_of(NodeId node) const;
  /// Everyone but `self`, by number, each once.
  std::vector<NodeId> others(NodeId self) const;
  /// "1,2,3", "1,2,3 from 3,4,5 learners 6": for log lines.
  std::string text() const;

  /// Whether those for whom `yes(node)` holds may decide.
  template <typename Yes>
  bool has_quorum(Yes yes) const {
    return has_majority(voters, yes) && (outgoing.empty() || has_majority(outgoing, yes));
  }

  /// The highest value that a quorum has reached, where `of(node)` says how far a node is.
  template <typename Of>
  auto quorum_value(Of of) const {
    auto value = majority_value(voters, of);
    return outgoing.empty() ? value : std::min(value, majority_value(outgoing, of));
  }

 private:
  static bool has(const std::vector<NodeId>& nodes, NodeId node) {
    return std::ranges::find(nodes, node) != nodes.end();
  }

  template <typename Yes>
  static bool has_majority(const std::vector<NodeId>& nodes, Yes yes) {
    return static_cast<std::size_t>(std::ranges::count_if(nodes, yes)) >= majority(nodes.size());
  }

  template <typename Of>
  static auto majority_value(const std::vector<NodeId>& nodes, Of of) {
    using Value = decltype(of(NodeId{}));
    Value best{};
    for (const NodeId candidate : nodes) {  // a handful of nodes: no sorting, no allocation
      const Value value = of(candidate);
      if (value > best && has_majority(nodes, [&](NodeId node) { return of(node) >= value; })) {
        best = value;
      }
    }
    return best;
  }
};

/// A cluster whose nodes all vote.
Membership voters_only(std::vector<NodeId> members);

/// Why `membership` is no configuration to change to; null if it is one.
const char* refusal_of(const Membership& membership);

}  // namespace kv::raft
