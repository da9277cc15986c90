#include "phase4_paxos/configuration.h"

#include <algorithm>

#include "common/core/check.h"
#include "phase4_paxos/options.h"

namespace kv::paxos {

const Voter* Configuration::find(NodeId node) const {
  const auto found = std::ranges::find(voters, node, &Voter::node);
  return found == voters.end() ? nullptr : &*found;
}

std::string Configuration::text() const {
  std::string text;
  for (const Voter& voter : voters) {
    text += (text.empty() ? "" : ",") + std::to_string(voter.node.value);
    if (voter.incarnation != 0) {
      text += '.' + std::to_string(voter.incarnation);
    }
  }
  return text;
}

Configurations::Configurations(const std::vector<NodeId>& founders) {
  Configuration& first = all_.emplace_back();
  for (const NodeId node : founders) {
    first.voters.push_back({.node = node, .incarnation = 0, .birth = 0, .address = {}});
  }
  std::ranges::sort(first.voters, {}, &Voter::node);
}

const Configuration& Configurations::latest() const {
  check(known());
  return all_.back();
}

const Configuration& Configurations::at(Slot slot) const {
  check(known() && all_.front().from <= slot);
  const auto behind = std::ranges::upper_bound(all_, slot, {}, &Configuration::from);
  return *(behind - 1);
}

bool Configurations::has(NodeId node, Slot slot) const {
  for (std::size_t i = 0; i < all_.size(); ++i) {
    const bool over = i + 1 < all_.size() && all_[i + 1].from <= slot;
    if (!over && all_[i].find(node) != nullptr) {
      return true;
    }
  }
  return false;
}

std::vector<NodeId> Configurations::nodes() const {
  std::vector<NodeId> nodes;
  for (const Configuration& each : all_) {
    for (const Voter& voter : each.voters) {
      nodes.push_back(voter.node);
    }
  }
  std::ranges::sort(nodes);
  nodes.erase(std::unique(nodes.begin(), nodes.end()), nodes.end());
  return nodes;
}

bool Configurations::apply(Slot at, const Reconfigure& change, std::uint64_t window_slots) {
  // Who joins begins with the founders' log: the first change that it sees is the first there was.
  const std::uint64_t number = known() ? latest().number : 0;
  const bool under_way = known() && latest().from > at;
  if (change.base != number || under_way || refusal_of(change.voters) != nullptr) {
    return false;
  }
  if (!known()) {
    all_.emplace_back();
  }
  if (number == 0) {
    all_.back().voters = change.before;  // what flags say of the founders may be out of date
  }
  all_.push_back({.number = number + 1, .from = at + window_slots, .voters = change.voters});
  return true;
}

void Configurations::forget(Slot applied) {
  while (all_.size() > 1 && all_[1].from <= applied + 1) {
    all_.erase(all_.begin());
  }
}

const char* refusal_of(const std::vector<Voter>& voters) {
  if (voters.empty()) {
    return "somebody must be left";
  }
  if (voters.size() > voters_max) {
    return "there are as many members as can be";
  }
  const bool in_order = std::ranges::is_sorted(voters, {}, &Voter::node) &&
                        std::ranges::adjacent_find(voters, {}, &Voter::node) == voters.end();
  return in_order ? nullptr : "a node is in it twice";
}

}  // namespace kv::paxos
