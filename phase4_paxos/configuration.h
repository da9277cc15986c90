// Which acceptors decide a slot: changed through the log itself (Paxos Made Simple, 3, the end).
//
// The state machine's state after slot s says who decides slot s + window_slots: a change that is
// chosen in slot s takes effect there, not sooner. So the voters of a slot are a function of what
// was chosen window_slots before it; whoever has applied that far knows them, and nobody else may
// propose in the slot. Two proposers thus never ask majorities of different sets for one slot,
// however large a change is.
//
// A node that lost its disk is another acceptor. Voters are therefore told apart by their node and
// an incarnation, the number of the configuration that they came with; what an acceptor says
// carries its incarnation, and counts for that one alone.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/core/bytes.h"
#include "common/core/ids.h"
#include "phase4_paxos/ballot.h"

namespace kv::paxos {

struct Voter {
  NodeId node;
  std::uint64_t incarnation = 0;  // founders: 0
  std::uint64_t birth = 0;        // the mark of its disk; 0: a founder's, see Acquaintance
  std::string address;            // of its RPC; empty: it is in the flags of whoever needs it

  bool operator==(const Voter&) const = default;
  static void fields(auto& self, auto& visit) {
    visit("node", self.node.value);
    visit("incarnation", self.incarnation);
    visit("birth", self.birth);
    visit("address", self.address);
  }
};

/// Decides the slots from `from` on, up to where the next one begins.
struct Configuration {
  std::uint64_t number = 0;  // 0: the founders
  Slot from{1};
  std::vector<Voter> voters;  // by node

  bool operator==(const Configuration&) const = default;
  static void fields(auto& self, auto& visit) {
    visit("number", self.number);
    visit("from", self.from.value);
    visit("voters", self.voters);
  }
  const Voter* find(NodeId node) const;
  /// "1, 2, 3.4": with the incarnations of those who are no founders, for log lines.
  std::string text() const;
};

/// A change, as it stands in a slot's value: takes effect only if `base` is the number of the last
/// one, and that one holds already. So a change that is proposed twice is made once.
struct Reconfigure {
  std::uint64_t base = 0;
  std::vector<Voter> before;  // those of `base`: for who joins, and was not there then
  std::vector<Voter> voters;

  static void fields(auto& self, auto& visit) {
    visit("base", self.base);
    visit("before", self.before);
    visit("voters", self.voters);
  }
};

/// What is known of who decides: the configuration of the first slot that is not applied, and those
/// that come into effect behind it. None: this replica was not there from the beginning, and has
/// not learned it yet.
class Configurations {
 public:
  Configurations() = default;
  explicit Configurations(const std::vector<NodeId>& founders);

  bool known() const { return !all_.empty(); }
  const std::vector<Configuration>& all() const { return all_; }
  /// check() known().
  const Configuration& latest() const;
  /// The one that decides `slot`, which is not applied yet.
  const Configuration& at(Slot slot) const;
  /// All that are in any of them, each once.
  std::vector<NodeId> nodes() const;
  /// Whether `node` decides any of the slots from `slot` on.
  bool has(NodeId node, Slot slot) const;

  /// The change was chosen in slot `at`; false if it is of no effect. The same at every replica.
  bool apply(Slot at, const Reconfigure& change, std::uint64_t window_slots);
  /// Slots up to this one are applied.
  void forget(Slot applied);

  /// Of two that tell of the same log: whether they say the same.
  bool same_as(const Configurations& other) const {
    return all_.size() == other.all_.size() &&
           (all_.empty() || all_.back().number == other.all_.back().number);
  }
  bool operator==(const Configurations&) const = default;
  static void fields(auto& self, auto& visit) { visit("configurations", self.all_); }

 private:
  std::vector<Configuration> all_;
};

/// Why `voters` are no configuration; null if they are one.
const char* refusal_of(const std::vector<Voter>& voters);

}  // namespace kv::paxos
