// The numbers that Paxos orders everything by: ballots (the paper's proposal numbers) and slots
// (its instances).
#pragma once

#include <compare>
#include <cstdint>
#include <string>

#include "common/core/ids.h"

namespace kv::paxos {

/// A proposal number (Paxos Made Simple, 2.2). No two proposers ever use the same one: the node
/// tells replicas apart, and the boot the lives of one replica's proposer. The boot is durable
/// before the first message that carries it, so a proposer that lost its memory cannot propose a
/// second value under a number it has used before. {} is less than every proposer's.
struct Ballot {
  std::uint64_t round = 0;
  std::uint32_t node = 0;
  std::uint64_t boot = 0;

  friend auto operator<=>(const Ballot&, const Ballot&) = default;
  /// Visited inside its message's fields, not as a struct of its own: no length, no copy.
  static void fields(auto& self, auto& visit) {
    visit("round", self.round);
    visit("node", self.node);
    visit("boot", self.boot);
  }
};

inline std::string to_text(const Ballot& ballot) {
  return std::to_string(ballot.round) + '.' + std::to_string(ballot.node) + '.' +
         std::to_string(ballot.boot);
}

/// A place in the log: an instance of the algorithm of its own. The first is 1; 0 is before it.
struct Slot {
  std::uint64_t value = 0;

  friend auto operator<=>(const Slot&, const Slot&) = default;
  friend Slot operator+(Slot slot, std::uint64_t by) { return {slot.value + by}; }
  /// check() nothing: the caller knows which one is later.
  friend std::uint64_t operator-(Slot later, Slot earlier) { return later.value - earlier.value; }
  static void fields(auto& self, auto& visit) { visit("slot", self.value); }
};

}  // namespace kv::paxos
