// A life of a Raft member: what it begins with, terms, roles and time. The rules stand in the
// files beside this one.
#include "phase5_raft/raft.h"

#include <algorithm>

#include "common/core/check.h"

namespace kv::raft {

std::string_view name_of(Role role) {
  switch (role) {
    case Role::follower:
      return "follower";
    case Role::pre_candidate:
      return "pre_candidate";
    case Role::candidate:
      return "candidate";
    case Role::leader:
      return "leader";
  }
  return "?";
}

Raft::Raft(NodeId self, Membership membership, const RaftOptions& options, StateImages* images)
    : self_(self),
      options_(options),
      images_(images),
      random_(options.seed),
      gathering_(options.gather) {
  check(self.value != 0 && refusal_of(membership) == nullptr);
  check(options.heartbeat_every > Duration{} &&
        options.heartbeat_every * 2 <= options.election_timeout &&
        options.read_lease < options.election_timeout);
  check(options.fanout == Fanout::everyone || options.resend_after > Duration{});
  configurations_.emplace_back(Index{}, std::move(membership));
}

// --- a life begins -------------------------------------------------------------------------------

Raft::Saved Raft::saved() const {
  const std::optional<Term> term = log_.term_at(applied_);
  check(term.has_value());
  return {.hard = {.term = term_, .voted_for = voted_for_},
          .applied = applied_,
          .applied_term = *term,
          .membership = membership_at(applied_)};
}

void Raft::restore(const Saved& saved) {
  recover(saved.hard);
  log_.reset(saved.applied, saved.applied_term);
  commit_ = applied_ = saved.applied;
  configurations_.clear();
  configurations_.emplace_back(saved.applied, saved.membership);
}

void Raft::restore_entries(ByteView entries) {
  check(take_entries(log_.last(), entries, nullptr));  // whoever drives us has proved its bytes
}

void Raft::recover(const HardState& record) {
  term_ = record.term;
  voted_for_ = record.voted_for;
}

void Raft::recover(const EntriesRecord& record) {
  check(record.previous >= log_.base() && record.previous <= log_.last());
  log_.truncate_after(record.previous);
  forget_configurations_after(record.previous);
  check(take_entries(record.previous, record.entries, nullptr));
  advance_commit(record.commit);
}

void Raft::recover(const InstallSnapshot& record) {
  take_image_piece(record);
}

void Raft::start(Instant now, Effects& out) {
  now_ = now;
  recorded_ = log_.last();
  matched_ = {};    // nobody has told this life so
  heard_at_ = now;  // a former life may have granted a lease: wait as long as it may last
  reset_election_timer(now);
  if (incoming_) {
    incoming_->progress = now;  // its sender may not have noticed
  }
  note(out, Level::info,
       wire::LogFields{}
           .add("event", "raft_start")
           .add("term", term_.value)
           .add("last", log_.last().value)
           .add("commit", commit_.value)
           .add("members", membership().text()));
}

// --- time ----------------------------------------------------------------------------------------

void Raft::tick(Instant now, Effects& out) {
  now_ = now;
  if (leads()) {
    lead(now, out);
  } else if (now >= election_due_at()) {
    ask_for_pre_votes(now, out);
  } else if (now >= ask_votes_at_) {
    send_vote_requests(out);
  }
  if (leads()) {
    replicate(now, out);
  } else if (owes_answer_) {
    send_appended(out);
  }
}

Instant Raft::wake_at() const {
  if (!leads()) {
    return owes_answer_ ? now_ : std::min(election_due_at(), ask_votes_at_);
  }
  if (round_wanted_ || (dirty_ && !gathers(now_))) {
    return now_;
  }
  Instant at = std::min(quorum_heard(now_) + max_age(), ask_majority_at(now_));
  if (dirty_) {
    at = std::min(at, gathering_.due(now_, log_.last() - recorded_));
  }
  if (own_match_ < recorded_) {
    at = std::min(at, disk_progress_ + max_age());
  }
  for (const Peer& each : peers_) {
    at = std::min(at, each.sent + options_.heartbeat_every);
  }
  if (options_.resend_after > Duration{} && commit_ < log_.last()) {
    at = std::min(at, commit_progress_ + late_after_);
  }
  return transfer_ ? std::min(at, transfer_->until) : at;
}

// --- terms and roles -----------------------------------------------------------------------------

/// Raft 5.1: if one server's current term is smaller than the other's, it updates its current term
/// to the larger value. Figure 2: voted_for is that of the current term.
void Raft::adopt_term(Term term) {
  check(term > term_);
  term_ = term;
  voted_for_ = {};
  leader_ = {};
  matched_ = {};
  round_seen_ = 0;
  owes_answer_ = false;
  early_.clear();
  early_bytes_ = 0;
}

/// Raft 5.1, 5.2: whoever hears of a later term, or of this term's leader, is a follower.
void Raft::follow(Instant now, Term term, NodeId leader, Effects& out) {
  check(term >= term_);
  const Role was = role_;
  if (was == Role::leader) {
    step_down(now, "later_term", out);
  }
  if (term > term_) {
    adopt_term(term);
    save_hard_state(out);
  }
  role_ = Role::follower;
  ask_votes_at_ = never;
  if (leader.value == 0) {
    return;
  }
  check(leader_.value == 0 || leader_ == leader);  // Election Safety
  const bool fresh = leader_ != leader;
  leader_ = leader;
  heard_at_ = now;
  elections_in_vain_ = 0;
  reset_election_timer(now);
  if (fresh) {
    note(out, Level::info,
         wire::LogFields{}
             .add("event", "follower")
             .add("term", term_.value)
             .add("leader", leader.value)
             .add("was", name_of(was)));
  }
}

void Raft::step_down(Instant now, const char* why, Effects& out) {
  check(leads());
  note(out, Level::warn,
       wire::LogFields{}
           .add("event", "step_down")
           .add("term", term_.value)
           .add("why", why)
           .add("last", log_.last().value)
           .add("commit", commit_.value));
  if (recorded_ < log_.last()) {
    record_proposals(now, out);  // they are in the log: so they are on disk, or in no later record
  }
  role_ = Role::follower;
  leader_ = {};
  peers_.clear();
  rounds_.clear();
  transfer_.reset();
  end_outgoing();
  dirty_ = round_wanted_ = false;
  lease_until_ = {};
  reset_election_timer(now);
}

void Raft::save_hard_state(Effects& out) const {
  out.records.push_back(encode_record(HardState{.term = term_, .voted_for = voted_for_}));
}

void Raft::learn_commit(Term term, Index commit) {
  if (term == term_ && !leads()) {
    advance_commit(std::min(commit, matched_));
  }
}

void Raft::advance_commit(Index commit) {
  commit_ = std::max(commit_, std::min(commit, log_.last()));
}

void Raft::trim_log(std::size_t bytes_kept, std::size_t bytes_for_image) {
  if (log_.bytes() <= 2 * bytes_kept) {
    return;
  }
  Index through = log_.base();
  // Whoever takes an image goes on with the entries behind it: unless it takes so long that all
  // others would have to wait for it.
  const bool keeps_for_image = outgoing_ && log_.bytes() <= bytes_for_image;
  const Index limit = keeps_for_image ? std::min(applied_, outgoing_->head.last_index) : applied_;
  for (std::size_t bytes = log_.bytes(); bytes > bytes_kept && through < limit;) {
    ++through;
    bytes -= log_.bytes_at(through);
  }
  log_.drop_through(through);
}

void Raft::check_invariants() const {
  check(log_.base() <= applied_ && applied_ <= commit_ && commit_ <= log_.last());
  check(log_.last_term() <= term_);
  check(!leads() || (leader_ == self_ && voted_for_ == self_));
  check(!leads() || (own_match_ <= recorded_ && recorded_ <= log_.last()));
  check(!configurations_.empty() && refusal_of(membership()) == nullptr);
}

}  // namespace kv::raft
