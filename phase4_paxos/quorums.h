// How many of whom are enough, for a proposer that may propose in slots of several configurations.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "common/core/ids.h"
#include "phase4_paxos/ballot.h"
#include "phase4_paxos/configuration.h"

namespace kv::paxos {

/// A bit for each voter of a Quorums.
using Seats = std::uint64_t;

/// The voters of every configuration that decides a slot from a certain one on. A node whose disk
/// is being replaced has two seats: its old acceptor's and its new one's.
class Quorums {
 public:
  struct Seat {
    NodeId node;
    std::uint64_t incarnation = 0;

    friend auto operator<=>(const Seat&, const Seat&) = default;
  };

  Quorums() = default;
  Quorums(const Configurations& configurations, Slot from);

  /// In order; by node first.
  const std::vector<Seat>& seats() const { return seats_; }
  /// Each node once.
  const std::vector<NodeId>& nodes() const { return nodes_; }
  /// All seats of that node; 0 if it has none.
  Seats of(NodeId node) const;
  /// That acceptor's seat; 0 if it has none.
  Seats of(NodeId node, std::uint64_t incarnation) const;
  Seats everyone() const {
    return seats_.size() == 64 ? ~Seats{} : (Seats{1} << seats_.size()) - 1;
  }

  /// Whether `seats` hold a majority of those who decide `slot`.
  bool decide(Slot slot, Seats seats) const;
  /// Whether they do so for `slot` and every slot behind it that is known of.
  bool decide_from(Slot slot, Seats seats) const;

 private:
  struct Quorum {
    Slot from;
    Seats voters = 0;
    std::size_t needed = 0;
  };
  static bool holds(const Quorum& quorum, Seats seats);

  std::vector<Seat> seats_;
  std::vector<NodeId> nodes_;
  std::vector<Quorum> quorums_;  // by `from`
};

}  // namespace kv::paxos
