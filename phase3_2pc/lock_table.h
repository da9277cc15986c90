// Which transaction has which key, and who waits for it: wait-die, without cycles and without
// starvation.
//
// A claim takes all its keys at once and holds none while it waits here. Two kinds wait:
//  - one of another coordinator (`foreign`) may hold keys at other replicas meanwhile. So it may
//    wait only for younger claims: whoever would wait for an older one dies, and its coordinator
//    tries again with the same age. Waits then lead from older to younger alone: no cycle.
//  - one of this node's own coordinator that has not begun holds nothing anywhere: it may wait for
//    anybody. It is not overtaken by a younger one that wants one of its keys.
// A freed key goes to its youngest foreign waiter first, which makes no other one die, and then to
// the oldest own one. Newcomers younger than a holder die, so each holder in such a row is older
// than the one before, the row ends, and the oldest gets its turn.
//
// One exception: of two foreign claims of one coordinator the later may wait for the earlier. Its
// coordinator began it after it had decided the earlier one, as both lock the key there too; the
// decision is on its way, overtaken.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "phase3_2pc/messages.h"

namespace kv::two_phase {

enum class Conflict : std::uint8_t {
  home,      // one coordinator for each key, which queues; wait-die where that is not enough
  wait_die,  // whoever is asked coordinates; wait-die
  no_wait,   // whoever is asked coordinates; who meets another dies
};

/// What wants keys. Its address is its identity while it is in a table.
struct Claim {
  std::vector<std::string> keys;  // sorted, each once
  Age age;
  TxnId txn;                 // foreign: whose
  std::uint64_t ticket = 0;  // own: which; 0: foreign
  bool holds = false;
  bool prepared = false;  // voted for: what stands under its keys may not be shown

  bool own() const { return ticket != 0; }
};

class LockTable {
 public:
  explicit LockTable(Conflict conflict) : conflict_(conflict) {}

  /// Claims that got their keys, or that must die (and are out of the table), by a step.
  struct Turned {
    std::vector<Claim*> granted;
    std::vector<Claim*> died;
  };
  enum class Verdict : std::uint8_t { granted, waits, dies };

  /// A new claim. If it is granted, others may die of it.
  Verdict take(Claim& claim, Turned& turned);
  /// The claim leaves the table, whether it held or waited; others may get their turn.
  void release(Claim& claim, Turned& turned);

  /// Null: nobody has it.
  const Claim* holder_of(std::string_view key) const;
  bool prepared(std::string_view key) const {
    const Claim* holder = holder_of(key);
    return holder != nullptr && holder->prepared;
  }
  std::size_t locked() const { return locked_; }
  void clear();

  void check_invariants() const;

 private:
  struct Lock {
    Claim* holder = nullptr;
    std::vector<Claim*> waiters;
  };
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view key) const {
      return std::hash<std::string_view>{}(key);
    }
  };

  bool is_free_for(const Claim& claim) const;
  bool may_wait(const Claim& claim) const;
  bool may_wait_for(const Claim& claim, const Claim& holder) const;
  void grant(Claim& claim, Turned& turned);
  void leave_queues(Claim& claim);
  void hand_on(const std::vector<std::string>& keys, Turned& turned);
  const Lock* find(std::string_view key) const;

  Conflict conflict_;
  std::unordered_map<std::string, Lock, Hash, std::equal_to<>> locks_;
  std::size_t locked_ = 0;  // keys
};

}  // namespace kv::two_phase
