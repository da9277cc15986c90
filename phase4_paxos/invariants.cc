#include "phase4_paxos/invariants.h"

#include <algorithm>

#include "common/core/hash.h"
#include "common/core/quorum.h"

namespace kv::paxos {

void Invariants::born(NodeId node) {
  seen_[node].witnessed = 0;
  seen_[node].applied = {};
}

std::optional<Broken> Invariants::check(std::span<const Watched* const> replicas, NodeId stepped) {
  const Watched* replica = replicas[stepped.value - 1];
  if (replica == nullptr) {
    return std::nullopt;
  }
  if (auto broken = check_members(*replica)) {
    return broken;
  }
  if (auto broken = check_acceptor(*replica)) {
    return broken;
  }
  return check_learner(*replica);
}

/// Who decides a slot is the same for all who know it, and a member serves.
std::optional<Broken> Invariants::check_members(const Watched& replica) {
  const Acquaintance& self = replica.acquaintance();
  if (!self.born()) {
    return std::nullopt;  // it may be wrong about the founders, and says nothing
  }
  if (replica.configurations().known()) {
    const Configuration& last = replica.configurations().latest();
    const Voter* voter = last.find(replica.self());
    std::uint64_t& newest = seen_[replica.self()].members;  // a learner's new life may know less
    newest = std::max(newest, last.number);
    if (self.outside() && voter != nullptr && voter->incarnation == self.incarnation() &&
        last.number == newest) {
      return Broken{"a_member_serves",
                    "node " + std::to_string(replica.self().value) + " takes itself for none"};
    }
  }
  for (const Configuration& each : replica.configurations().all()) {
    const auto [known, fresh] = configurations_.try_emplace(each.number, each);
    if (!fresh && known->second != each) {
      return Broken{"who_decides_a_slot_is_agreed",
                    "node " + std::to_string(replica.self().value) + " has another configuration " +
                        std::to_string(each.number) + ": " + each.text() + " from slot " +
                        std::to_string(each.from.value)};
    }
  }
  return std::nullopt;
}

/// By what acceptors have durably, and thus may have told.
std::optional<Broken> Invariants::check_acceptor(const Watched& replica) {
  Seen& seen = seen_[replica.self()];
  for (; seen.witnessed < replica.witnessed().size(); ++seen.witnessed) {
    const Stored& stored = replica.witnessed()[seen.witnessed];
    Ballot& promised = promised_[{replica.self(), stored.incarnation}];
    promised = std::max(promised, stored.promised);
    for (const Proposal& accepted : stored.accepted) {
      if (auto broken = count(accepted, replica.self(), stored.incarnation)) {
        return broken;
      }
    }
  }
  if (replica.acceptor() == nullptr) {
    return std::nullopt;
  }
  const Ballot& promised = promised_[{replica.self(), replica.acceptor()->incarnation()}];
  if (replica.acceptor()->promised() < promised) {
    return Broken{"promises_are_kept", "node " + std::to_string(replica.self().value) +
                                           " promised " + to_text(promised) + " and now knows of " +
                                           to_text(replica.acceptor()->promised())};
  }
  return std::nullopt;
}

std::optional<Broken> Invariants::count(const Proposal& accepted, NodeId by,
                                        std::uint64_t incarnation) {
  std::vector<Votes>& votes = votes_[accepted.slot];
  auto of_ballot = std::ranges::find(votes, accepted.ballot, &Votes::ballot);
  if (of_ballot == votes.end()) {
    votes.push_back({.ballot = accepted.ballot, .value = accepted.value, .acceptors = {}});
    of_ballot = votes.end() - 1;
  }
  if (of_ballot->value != accepted.value) {
    return Broken{
        "a_ballot_proposes_one_value_per_slot",
        "slot " + std::to_string(accepted.slot.value) + ", ballot " + to_text(accepted.ballot)};
  }
  const std::pair acceptor{by, incarnation};
  if (std::ranges::find(of_ballot->acceptors, acceptor) == of_ballot->acceptors.end()) {
    of_ballot->acceptors.push_back(acceptor);
  }
  if (!chosen_by(accepted.slot, *of_ballot)) {
    return std::nullopt;
  }
  return is_chosen(accepted.slot, accepted.value,
                   "a majority accepted another one under " + to_text(accepted.ballot));
}

/// By a majority of those who decide that slot, as whoever proposed in it knew before.
bool Invariants::chosen_by(Slot slot, const Votes& votes) const {
  const Configuration* decides = nullptr;
  for (const auto& [number, each] : configurations_) {
    decides = each.from <= slot ? &each : decides;
  }
  if (decides == nullptr) {
    return false;
  }
  const auto count = std::ranges::count_if(decides->voters, [&](const Voter& voter) {
    return std::ranges::find(votes.acceptors, std::pair{voter.node, voter.incarnation}) !=
           votes.acceptors.end();
  });
  return static_cast<std::size_t>(count) >= majority(decides->voters.size());
}

std::optional<Broken> Invariants::is_chosen(Slot slot, const std::string& value,
                                            std::string_view how) {
  const auto [known, fresh] = chosen_.try_emplace(slot, value);
  if (!fresh && known->second != value) {
    return Broken{
        "at_most_one_value_is_chosen",
        "slot " + std::to_string(slot.value) + " had a value chosen, and " + std::string{how}};
  }
  return std::nullopt;
}

std::optional<Broken> Invariants::check_learner(const Watched& replica) {
  const Learner* learner = replica.learner();
  if (learner == nullptr) {
    return std::nullopt;
  }
  Seen& seen = seen_[replica.self()];
  const Slot applied = learner->applied();
  const std::string who = "node " + std::to_string(replica.self().value);
  if (learner->diverged()) {
    return Broken{"replicas_apply_the_same_log", who + " found that its log is another"};
  }
  for (Slot slot = std::max(seen.applied + 1, learner->kept_from()); slot <= applied;
       slot = slot + 1) {
    const std::string value = std::to_string(hash_of(*learner->value_at(slot)));
    if (auto broken = is_chosen(slot, value, who + " learned another one")) {
      return Broken{"learners_learn_only_what_is_chosen", broken->detail};
    }
  }
  if (applied != seen.applied && applied.value > 0) {
    const auto [known, fresh] = checksums_.try_emplace(applied, learner->checksum());
    if (!fresh && known->second != learner->checksum()) {
      return Broken{"replicas_apply_the_same_log",
                    who + " has another state after slot " + std::to_string(applied.value)};
    }
  }
  seen.applied = applied;  // a learner that was born again may be behind what it was
  return std::nullopt;
}

}  // namespace kv::paxos
