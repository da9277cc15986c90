#include "phase4_paxos/quorums.h"

#include <algorithm>
#include <bit>

#include "common/core/check.h"
#include "common/core/quorum.h"

namespace kv::paxos {

Quorums::Quorums(const Configurations& configurations, Slot from) {
  const std::vector<Configuration>& all = configurations.all();
  const std::uint64_t first = configurations.at(from).number;
  for (const Configuration& each : all) {
    for (const Voter& voter : each.voters) {
      if (each.number >= first) {
        seats_.push_back({voter.node, voter.incarnation});
      }
    }
  }
  std::ranges::sort(seats_);
  seats_.erase(std::unique(seats_.begin(), seats_.end()), seats_.end());
  check(seats_.size() <= 64);
  for (const Seat& seat : seats_) {
    if (nodes_.empty() || nodes_.back() != seat.node) {
      nodes_.push_back(seat.node);
    }
  }
  for (const Configuration& each : all) {
    if (each.number >= first) {
      Quorum& quorum = quorums_.emplace_back(Quorum{each.from, 0, majority(each.voters.size())});
      for (const Voter& voter : each.voters) {
        quorum.voters |= of(voter.node, voter.incarnation);
      }
    }
  }
}

Seats Quorums::of(NodeId node) const {
  Seats seats = 0;
  for (std::size_t i = 0; i < seats_.size(); ++i) {
    seats |= seats_[i].node == node ? Seats{1} << i : 0;
  }
  return seats;
}

Seats Quorums::of(NodeId node, std::uint64_t incarnation) const {
  for (std::size_t i = 0; i < seats_.size(); ++i) {
    if (seats_[i] == Seat{node, incarnation}) {
      return Seats{1} << i;
    }
  }
  return 0;
}

bool Quorums::holds(const Quorum& quorum, Seats seats) {
  return static_cast<std::size_t>(std::popcount(seats & quorum.voters)) >= quorum.needed;
}

bool Quorums::decide(Slot slot, Seats seats) const {
  const auto behind = std::ranges::upper_bound(quorums_, slot, {}, &Quorum::from);
  return behind != quorums_.begin() && holds(*(behind - 1), seats);
}

bool Quorums::decide_from(Slot slot, Seats seats) const {
  for (std::size_t i = 0; i < quorums_.size(); ++i) {
    const bool over = i + 1 < quorums_.size() && quorums_[i + 1].from <= slot;
    if (!over && !holds(quorums_[i], seats)) {
      return false;
    }
  }
  return !quorums_.empty();
}

}  // namespace kv::paxos
