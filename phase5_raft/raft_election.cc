// Elections: Raft 5.2 and 5.4.1, with PreVote and stickiness (thesis 9.6, 4.2.3).
#include <algorithm>
#include <tuple>

#include "common/core/check.h"
#include "phase5_raft/raft.h"

namespace kv::raft {
namespace {

constexpr std::uint32_t votes_asked_max = 5;  // the first time included

}  // namespace

/// Raft 5.2: election timeouts are chosen randomly from a fixed interval, so that in most cases
/// only a single server will time out.
void Raft::reset_election_timer(Instant now) {
  const Duration least = options_.election_timeout * (elections_in_vain_ > 1 ? 2 : 1);
  // Whoever has no vote starts no election.
  election_at_ = membership().votes(self_) ? now + random_.between(least, 2 * least) : never;
}

/// With a bare majority, those go first who know what was committed: they will not have to answer
/// again what the last leader may have answered.
bool Raft::behind() const {
  return options_.fanout == Fanout::bare_majority && commit_ < log_.last();
}

Instant Raft::election_due_at() const {
  return election_at_ == never ? never
                               : election_at_ + (behind() ? options_.election_timeout : Duration{});
}

void Raft::bring_election_forward(Instant to) {
  const Instant at = to - (behind() ? options_.election_timeout : Duration{});
  election_at_ = membership().votes(self_) ? std::min(election_at_, at) : never;
}

/// Somebody misses the leader, and we do not, yet: if we come to, we do not wait long for our own
/// timer, for the others may be waiting for our vote.
void Raft::follow_suit(Instant now, const RequestVote& request) {
  if (options_.ask_votes_again_after > Duration{} && role_ == Role::follower && request.pre &&
      request.term > term_) {
    const Duration little = options_.election_timeout / 8;
    bring_election_forward(std::max(now, heard_at_ + options_.election_timeout) +
                           (behind() ? 2 * little : Duration{}) +
                           random_.between(Duration{}, little));
  }
}

/// With a bare majority only few have the last entries. One that has them, and is asked by one that
/// has not, need not wait for its own timer: nobody else can win.
void Raft::go_before(Instant now) {
  bring_election_forward(now + (behind() ? options_.election_timeout / 8 : Duration{}));
}

/// Thesis 4.2.3: within the minimum election timeout of hearing from a current leader, nobody else
/// is helped to become one. A leader hears itself for as long as a majority hears it.
bool Raft::hears_leader(Instant now) const {
  return leads() || (leader_.value != 0 && now - heard_at_ < options_.election_timeout);
}

/// Thesis 6.4.1: whoever has confirmed a leader that may hold a lease makes no other one meanwhile,
/// in whatever term.
bool Raft::bound_by_lease(Instant now) const {
  return options_.read_lease > Duration{} && now - heard_at_ < options_.election_timeout;
}

/// Raft 5.4.1: the log with the later term is more up-to-date; with the same term, the longer one.
bool Raft::up_to_date(const RequestVote& request) const {
  return request.last_term > log_.last_term() ||
         (request.last_term == log_.last_term() && request.last_index >= log_.last());
}

// --- who asks ------------------------------------------------------------------------------------

/// Raft 5.2 has a follower that hears nothing, and a candidate whose votes were split, begin an
/// election at once. Here it asks first (PreVote), in its old term. Thesis 9.6: a candidate only
/// increments its term if it first learns from a majority that they would be willing to grant it
/// their votes. So one that was cut off disturbs nobody.
void Raft::ask_for_pre_votes(Instant now, Effects& out) {
  // One that is cut off need not ask as often: whoever leads will speak to it.
  elections_in_vain_ += options_.ask_votes_again_after > Duration{} ? 1 : 0;
  reset_election_timer(now);
  if (!membership().votes(self_)) {
    return;
  }
  role_ = Role::pre_candidate;
  leader_ = {};
  owes_answer_ = false;
  request_votes(term_ + 1, true, false, out);
  note(out, Level::info,
       wire::LogFields{}
           .add("event", "pre_candidate")
           .add("term", term_.value)
           .add("last", log_.last().value));
}

/// Raft 5.2: to begin an election, a follower increments its current term, votes for itself and
/// asks all others.
void Raft::campaign(Instant now, bool transfer, Effects& out) {
  check(!leads() && membership().votes(self_));
  adopt_term(term_ + 1);
  voted_for_ = self_;
  save_hard_state(out);
  role_ = Role::candidate;
  reset_election_timer(now);
  request_votes(term_, false, transfer, out);
  note(out, Level::info,
       wire::LogFields{}
           .add("event", "candidate")
           .add("term", term_.value)
           .add("last", log_.last().value)
           .add("last_term", log_.last_term().value));
}

/// All of this waits for our disk, also what has no record of its own: whoever has a disk that
/// hangs must not lead, and so must not ask. Our own vote comes back from it too.
void Raft::request_votes(Term term, bool pre, bool transfer, Effects& out) {
  votes_.clear();
  refusals_.clear();
  asking_ = {.term = term,
             .last_index = log_.last(),
             .last_term = log_.last_term(),
             .pre = pre,
             .transfer = transfer};
  ask_votes_after_ = options_.ask_votes_again_after;
  votes_asked_ = 0;
  send_vote_requests(out);
  out.sends.push_back({self_, encode_message(Vote{.term = term, .granted = true, .pre = pre})});
}

/// Raft 5.1: servers retry RPCs if they do not receive a response in a timely manner, and they
/// issue RPCs in parallel.
void Raft::send_vote_requests(Effects& out) {
  const Bytes request = encode_message(asking_);
  for (const NodeId other : membership().others(self_)) {
    const bool answered = std::ranges::find(votes_, other) != votes_.end() ||
                          std::ranges::find(refusals_, other) != refusals_.end();
    if (membership().votes(other) && !answered) {
      out.sends.push_back({other, request});
    }
  }
  const bool again = ask_votes_after_ > Duration{} && ++votes_asked_ < votes_asked_max;
  ask_votes_at_ = again ? now_ + ask_votes_after_ : never;
  ask_votes_after_ *= 2;
}

void Raft::on(Instant now, NodeId from, const Vote& vote, Effects& out) {
  now_ = now;
  if (!vote.granted) {
    if (vote.term > term_) {
      follow(now, vote.term, {}, out);  // Raft 5.1
    } else {
      refusals_.push_back(from);
    }
    return;
  }
  const bool pre_counts = vote.pre && role_ == Role::pre_candidate && vote.term == term_ + 1;
  const bool counts = !vote.pre && role_ == Role::candidate && vote.term == term_;
  if (pre_counts || counts) {
    count_vote(now, from, out);
  }
}

/// Raft 5.2: a candidate wins an election if it receives votes from a majority of the servers in
/// the full cluster for the same term. (Raft 6: of both, while the configuration is joint.)
void Raft::count_vote(Instant now, NodeId voter, Effects& out) {
  const auto voted = [this](NodeId node) {
    return std::ranges::find(votes_, node) != votes_.end();
  };
  if (!voted(voter)) {
    votes_.push_back(voter);
  }
  if (!voted(self_) || !membership().has_quorum(voted)) {
    return;  // without our own, our disk has not spoken
  }
  if (role_ == Role::pre_candidate) {
    campaign(now, false, out);
  } else {
    become_leader(now, out);
  }
}

void Raft::become_leader(Instant now, Effects& out) {
  check(role_ == Role::candidate && voted_for_ == self_);
  role_ = Role::leader;
  leader_ = self_;
  ask_votes_at_ = never;
  const std::size_t votes = votes_.size();
  votes_.clear();
  peers_.clear();
  match_peers_to_membership();
  for (Peer& each : peers_) {
    each.heard = now;
  }
  own_match_ = recorded_ = log_.last();  // our vote came back from the disk behind all of these
  disk_progress_ = commit_progress_ = now;
  late_after_ = options_.resend_after;
  resent_ = 0;
  commits_ = late_ = 0;
  round_ = confirmed_round_ = 0;
  rounds_.clear();
  lease_until_ = {};
  lease_void_ = false;
  membership_done_ = {};
  // Raft 8: each leader commits a blank no-op entry at the start of its term, for only then does
  // it know which entries are committed. It is also the first heartbeat (Raft 5.2), which the paper
  // has empty.
  term_start_ = propose(now, EntryKind::noop, {});
  note(out, Level::info,
       wire::LogFields{}
           .add("event", "leader")
           .add("term", term_.value)
           .add("votes", votes)
           .add("of", membership().voters.size())
           .add("last", log_.last().value)
           .add("commit", commit_.value));
}

// --- who is asked --------------------------------------------------------------------------------

void Raft::on(Instant now, NodeId from, const RequestVote& request, Effects& out) {
  now_ = now;
  const bool sticks = (request.term > term_ && hears_leader(now)) || bound_by_lease(now);
  if (sticks && !request.transfer) {
    follow_suit(now, request);
    return;  // nothing at all: not as in Raft 5.1, also its term is none of our business
  }
  if (request.pre) {
    const bool granted = request.term > term_ && up_to_date(request);
    if (!granted && options_.fanout == Fanout::bare_majority && role_ == Role::follower) {
      go_before(now);
    }
    out.sends.push_back(
        {from, encode_message(
                   Vote{.term = granted ? request.term : term_, .granted = granted, .pre = true})});
    return;
  }
  if (request.term > term_) {
    follow(now, request.term, {}, out);
  }
  // Raft 5.2: each server will vote for at most one candidate in a given term, on a
  // first-come-first-served basis. And for none, beyond the paper, if it knows who won that term.
  const bool free = voted_for_.value == 0 || voted_for_ == from;
  const bool granted = request.term == term_ && free && leader_.value == 0 && up_to_date(request);
  if (granted) {
    if (voted_for_ != from) {
      voted_for_ = from;
      save_hard_state(out);
    }
    reset_election_timer(now);
  }
  if (noting(Level::debug)) {
    note(out, Level::debug,
         wire::LogFields{}
             .add("event", granted ? "vote" : "vote_refused")
             .add("term", request.term.value)
             .add("for", from.value));
  }
  out.sends.push_back({from, encode_message(Vote{.term = term_, .granted = granted})});
}

// --- handing leadership over ---------------------------------------------------------------------

/// Whoever is dead must not be chosen again and again: its log may be the longest still. So those
/// who were never tried, or longest ago, come first, and of them the most advanced.
NodeId Raft::successor(Instant now) const {
  const Peer* best = nullptr;
  for (const Peer& each : peers_) {
    const bool better = best == nullptr || each.failed_at < best->failed_at ||
                        (each.failed_at == best->failed_at &&
                         std::tie(each.match, each.heard) > std::tie(best->match, best->heard));
    if (membership().votes(each.id) && heard_lately(each, now) && better) {
      best = &each;
    }
  }
  return best == nullptr ? NodeId{} : best->id;
}

const char* Raft::transfer(Instant now, NodeId to, Effects& out) {
  if (!leads()) {
    return "this replica does not lead";
  }
  if (transfer_) {
    return "leadership is being handed over already";
  }
  if (to.value == 0) {
    if (now < transfer_again_at_) {
      return "leadership was handed over in vain: somebody else is tried soon";
    }
    to = successor(now);
    if (to.value == 0) {
      return "no other voter is heard";
    }
  }
  const Peer* const target = peer(to);
  if (target == nullptr || !membership().votes(to)) {
    return "there is no such other voter";
  }
  if (!heard_lately(*target, now)) {
    return "it has not been heard lately, so it cannot take over";
  }
  now_ = now;
  transfer_ = {.to = to, .until = now + options_.election_timeout};
  lease_until_ = {};
  lease_void_ = true;  // whoever is told may win at once, or much later: no lease in this term
  note(out, Level::info,
       wire::LogFields{}.add("event", "transfer").add("term", term_.value).add("to", to.value));
  go_on_with_transfer(now, out);
  return nullptr;
}

/// Thesis 3.10: the prior leader brings the target up to date, then tells it to start an election
/// at once; if that does not complete after about an election timeout, it goes on as before.
void Raft::go_on_with_transfer(Instant now, Effects& out) {
  if (!transfer_) {
    return;
  }
  Peer* const target = peer(transfer_->to);
  if (now >= transfer_->until || target == nullptr) {
    if (target != nullptr) {
      target->failed_at = now;
    }
    transfer_again_at_ = now + options_.election_timeout;  // what waited meanwhile goes first
    note(out, Level::warn,
         wire::LogFields{}
             .add("event", "transfer_aborted")
             .add("term", term_.value)
             .add("to", transfer_->to.value));
    transfer_.reset();
    return;
  }
  if (!transfer_->told && target->match == log_.last()) {
    transfer_->told = true;
    out.sends.push_back({transfer_->to, encode_message(TimeoutNow{.term = term_}), false});
  }
}

void Raft::on(Instant now, NodeId from, const TimeoutNow& timeout, Effects& out) {
  now_ = now;
  if (timeout.term == term_ && from == leader_ && role_ == Role::follower &&
      membership().votes(self_)) {
    campaign(now, true, out);
  }
}

}  // namespace kv::raft
