#include "phase4_paxos/invariants.h"

#include <algorithm>
#include <bit>

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
  if (auto broken = check_acceptor(*replica, replicas.size())) {
    return broken;
  }
  return check_learner(*replica);
}

/// By what acceptors have durably, and thus may have told.
std::optional<Broken> Invariants::check_acceptor(const Watched& replica, std::size_t nodes) {
  Seen& seen = seen_[replica.self()];
  for (; seen.witnessed < replica.witnessed().size(); ++seen.witnessed) {
    const Stored& stored = replica.witnessed()[seen.witnessed];
    seen.promised = std::max(seen.promised, stored.promised);
    for (const Proposal& accepted : stored.accepted) {
      if (auto broken = count(accepted, replica.self(), nodes)) {
        return broken;
      }
    }
  }
  if (replica.acceptor() != nullptr && replica.acceptor()->promised() < seen.promised) {
    return Broken{"promises_are_kept", "node " + std::to_string(replica.self().value) +
                                           " promised " + to_text(seen.promised) +
                                           " and now knows of " +
                                           to_text(replica.acceptor()->promised())};
  }
  return std::nullopt;
}

std::optional<Broken> Invariants::count(const Proposal& accepted, NodeId by, std::size_t nodes) {
  std::vector<Votes>& votes = votes_[accepted.slot];
  auto of_ballot = std::ranges::find(votes, accepted.ballot, &Votes::ballot);
  if (of_ballot == votes.end()) {
    votes.push_back({.ballot = accepted.ballot, .value = accepted.value});
    of_ballot = votes.end() - 1;
  }
  if (of_ballot->value != accepted.value) {
    return Broken{
        "a_ballot_proposes_one_value_per_slot",
        "slot " + std::to_string(accepted.slot.value) + ", ballot " + to_text(accepted.ballot)};
  }
  of_ballot->nodes |= std::uint64_t{1} << by.value;
  if (static_cast<std::size_t>(std::popcount(of_ballot->nodes)) < majority(nodes)) {
    return std::nullopt;
  }
  return is_chosen(accepted.slot, accepted.value,
                   "a majority accepted another one under " + to_text(accepted.ballot));
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
