// Changes of the cluster: Raft 6, by joint consensus.
//
// A server uses the latest configuration in its log, committed or not. A change is an entry with
// the joint configuration; when that is committed the leader appends the final one.
#include <algorithm>

#include "common/core/check.h"
#include "common/wire/fields.h"
#include "phase5_raft/raft.h"

namespace kv::raft {

namespace {

/// What is known of the members, and `next` does not say.
void keep_facts(const Membership& known, Membership& next) {
  for (const MemberFacts& each : known.facts) {
    if (next.facts_of(each.node) == nullptr) {
      next.facts.push_back(each);
    }
  }
}

}  // namespace

const char* Raft::change_membership(Instant now, const Membership& next, Effects& out) {
  if (!may_propose()) {
    return "this replica does not lead";
  }
  // Ongaro, "bug in single-server membership changes" (2015): a leader must first commit an entry
  // of its own term. Joint consensus does not need it; a change of learners alone does.
  if (!knows_commit()) {
    return "this leader does not know yet what is committed";
  }
  if (membership().joint() || configurations_.back().first > commit_) {
    return "the last change is under way";
  }
  if (const char* why = next.joint() ? "a change ends in one set of voters" : refusal_of(next)) {
    return why;
  }
  Membership step = next;
  keep_facts(membership(), step);
  if (step.voters != membership().voters) {
    step.outgoing = membership().voters;
  }
  // A learner leaves at once, without a joint configuration: its disk must be forgotten here, or it
  // is what a newcomer under its number is compared with.
  std::erase_if(step.facts, [&](const MemberFacts& each) { return !step.includes(each.node); });
  const Index index = propose(now, EntryKind::membership, wire::encode(step));
  note(out, Level::info,
       wire::LogFields{}
           .add("event", "membership")
           .add("term", term_.value)
           .add("index", index.value)
           .add("members", step.text()));
  configure(index, std::move(step));
  match_peers_to_membership();
  return nullptr;
}

/// Raft 6: once C-old,new has been committed, the leader creates C-new. In the final
/// configuration, a leader that is not part of it steps down when it is committed.
void Raft::go_on_with_membership(Instant now, Effects& out) {
  if (configurations_.back().first > commit_ || configurations_.back().first <= membership_done_) {
    return;
  }
  membership_done_ = configurations_.back().first;
  if (!membership().joint()) {
    if (!membership().votes(self_)) {
      return step_down(now, "no_member", out);
    }
    return match_peers_to_membership();
  }
  Membership final = membership();
  final.outgoing.clear();
  std::erase_if(final.facts, [&](const MemberFacts& each) { return !final.includes(each.node); });
  const Index index = propose(now, EntryKind::membership, wire::encode(final));
  note(out, Level::info,
       wire::LogFields{}
           .add("event", "membership")
           .add("term", term_.value)
           .add("index", index.value)
           .add("members", final.text()));
  configure(index, std::move(final));
  // The peers are matched when this is committed: those who leave hear of it.
}

/// Raft 6: once a given server adds the new configuration entry to its log, it uses that
/// configuration for all future decisions.
void Raft::configure(Index index, Membership membership) {
  check(index > configurations_.back().first || configurations_.size() == 1);
  configurations_.emplace_back(index, std::move(membership));
  // What stands before the applied state is of no use but as the one that held there.
  while (configurations_.size() > 1 && configurations_[1].first <= log_.base()) {
    configurations_.erase(configurations_.begin());
  }
}

/// An entry that is taken away takes its configuration along: the one before it counts again.
void Raft::forget_configurations_after(Index index) {
  while (configurations_.size() > 1 && configurations_.back().first > index) {
    configurations_.pop_back();
  }
}

const Membership& Raft::membership_at(Index index) const {
  const Membership* found = &configurations_.front().second;
  for (const auto& [since, membership] : configurations_) {
    found = since <= index ? &membership : found;
  }
  return *found;
}

bool Raft::settled() const {
  return configurations_.back().first <= commit_ && !membership().joint();
}

Raft::ConfigurationMark Raft::configuration_mark() const {
  const Index last = configurations_.back().first;
  Index committed;
  for (const auto& [since, membership] : configurations_) {
    committed = since <= commit_ ? since : committed;
  }
  return {.last = last, .term = log_.term_at(last).value_or(Term{}), .committed = committed};
}

std::vector<NodeId> Raft::reachable() const {
  const Index committed = configuration_mark().committed;
  std::vector<NodeId> all;
  for (const auto& [since, membership] : configurations_) {
    if (since >= committed) {
      const std::vector<NodeId> some = membership.others({});
      all.insert(all.end(), some.begin(), some.end());
    }
  }
  std::ranges::sort(all);
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

const MemberFacts* Raft::facts_of(NodeId node) const {
  const MemberFacts* found = nullptr;
  for (const auto& [since, membership] : configurations_) {
    const MemberFacts* const facts = membership.facts_of(node);
    found = facts != nullptr ? facts : found;
  }
  return found;
}

std::optional<std::uint64_t> Raft::entries_behind(NodeId node, Instant now) const {
  const Peer* const found = peer(node);
  if (found == nullptr || found->pace != Pace::replicate || !heard_lately(*found, now)) {
    return std::nullopt;
  }
  return log_.last() - found->match;
}

bool Raft::hears_quorum_of(const Membership& next, Instant now) const {
  return next.has_quorum([&](NodeId node) {
    const Peer* const found = peer(node);
    return node == self_ || (found != nullptr && heard_lately(*found, now));
  });
}

void Raft::match_peers_to_membership() {
  const std::vector<NodeId> others = membership().others(self_);
  std::erase_if(
      peers_, [&](const Peer& each) { return std::ranges::find(others, each.id) == others.end(); });
  for (const NodeId id : others) {
    if (peer(id) == nullptr) {
      Peer fresh;
      fresh.id = id;
      fresh.next = log_.last() + 1;
      fresh.heard = now_;
      fresh.sent = now_ - options_.heartbeat_every;  // at once
      peers_.push_back(std::move(fresh));
    }
  }
}

}  // namespace kv::raft
