// The follower's half of log replication: Raft 5.3.
#include <algorithm>

#include "common/core/check.h"
#include "common/wire/fields.h"
#include "phase5_raft/raft.h"

namespace kv::raft {
namespace {

bool is_membership(ByteView payload) {
  const auto membership = wire::decode<Membership>(payload);
  return membership && refusal_of(*membership) == nullptr;
}

/// Entries and nothing else, whose terms never fall.
bool well_formed(ByteView entries) {
  Term term;
  while (!entries.empty()) {
    const std::optional<EntryView> entry = take_entry(entries);
    if (!entry || entry->term < term ||
        (entry->kind == EntryKind::membership && !is_membership(entry->payload))) {
      return false;
    }
    term = entry->term;
  }
  return true;
}

}  // namespace

void Raft::on(Instant now, NodeId from, const AppendEntries& append, Effects& out) {
  now_ = now;
  // Figure 2, AppendEntries 1: reply false if term < currentTerm. The leader of the past learns
  // of the present from it.
  if (append.term < term_) {
    return refuse(from, append, out);
  }
  follow(now, append.term, from, out);
  // Figure 2, AppendEntries 2: reply false if the log does not contain an entry at prevLogIndex
  // whose term matches prevLogTerm. What stood up to base() is committed: it matches. What came
  // too early is not refused, but kept: keep_early().
  if (append.previous >= log_.base() && log_.term_at(append.previous) != append.previous_term) {
    if (!keep_early(append)) {
      refuse(from, append, out);
    }
    return;
  }
  if (!take_entries(append.previous, append.entries, &out) || !take_early(out)) {
    return note(out, Level::error,
                wire::LogFields{}.add("event", "malformed").add("from", from.value));
  }
  // Figure 2, AppendEntries 5: commitIndex = min(leaderCommit, index of last new entry). Here
  // matched_, of all messages of this term's leader: they overtake each other.
  advance_commit(std::min(append.commit, matched_));
  round_seen_ = std::max(round_seen_, append.round);
  owes_answer_ = owes_answer_ || append.round > 0;  // one answer for all that comes in a turn
}

/// Raft 5.3: the follower can include the term of the conflicting entry and the first index it
/// stores for that term. Here the last place at which the logs can still be equal, and its term:
/// a probe a term, or less.
void Raft::refuse(NodeId to, const AppendEntries& append, Effects& out) const {
  const Index hint = log_.last_up_to(append.previous, append.previous_term);
  out.sends.push_back({to, encode_message(Appended{.term = term_,
                                                   .round = append.round,
                                                   .matched = false,
                                                   .match = append.previous,
                                                   .hint = hint,
                                                   .hint_term = *log_.term_at(hint)})});
}

/// Messages overtake each other: what comes too early is kept until what it stands behind is here.
/// If that was lost, a heartbeat finds out: it is refused. So is a probe: the leader of this term
/// does not know yet where our logs part.
bool Raft::keep_early(const AppendEntries& append) {
  if (append.entries.empty() || matched_ == Index{} || append.previous <= log_.last() ||
      early_bytes_ + append.entries.size() > options_.early_bytes_max) {
    return false;
  }
  early_bytes_ += append.entries.size();
  early_.push_back(append);
  return true;
}

bool Raft::take_early(Effects& out) {
  for (bool moved = true; moved && !early_.empty();) {
    moved = false;
    for (std::size_t i = 0; i < early_.size() && !moved; ++i) {
      const AppendEntries& each = early_[i];
      if (each.previous > log_.last()) {
        continue;
      }
      const AppendEntries fits = std::move(early_[i]);
      early_.erase(early_.begin() + static_cast<std::ptrdiff_t>(i));
      early_bytes_ -= fits.entries.size();
      moved = true;
      const bool equal =
          fits.previous < log_.base() || log_.term_at(fits.previous) == fits.previous_term;
      if (equal && !take_entries(fits.previous, fits.entries, &out)) {
        return false;
      }
    }
  }
  return true;
}

void Raft::send_appended(Effects& out) {
  owes_answer_ = false;
  out.sends.push_back({leader_, encode_message(Appended{.term = term_,
                                                        .round = round_seen_,
                                                        .matched = true,
                                                        .match = matched_,
                                                        .hint = {},
                                                        .hint_term = {}})});
}

/// False, and nothing is changed, if the bytes are no entries. With `out`, what is new is recorded.
bool Raft::take_entries(Index previous, ByteView entries, Effects* out) {
  if (!well_formed(entries)) {
    return false;
  }
  Index index = previous;
  bool recorded = false;
  while (!entries.empty()) {
    const ByteView rest = entries;
    const std::optional<EntryView> entry = take_entry(entries);
    ++index;
    if (index <= log_.base() || log_.term_at(index) == entry->term) {
      continue;  // it stands there already: an old message must not take away what came later
    }
    // Figure 2, AppendEntries 3: if an existing entry conflicts with a new one, delete the
    // existing entry and all that follow it.
    if (index <= log_.last()) {
      check(index > commit_);  // State Machine Safety
      log_.truncate_after(index - 1);
      forget_configurations_after(index - 1);
    }
    if (out != nullptr && !recorded) {
      recorded = true;  // this entry and all behind it are new
      out->records.push_back(encode_record(
          EntriesRecord{.previous = index - 1, .commit = commit_, .entries = Bytes{rest}}));
    }
    place_entry(index, *entry);
  }
  matched_ = std::max(matched_, index);
  if (out != nullptr && recorded && noting(Level::debug)) {
    note(*out, Level::debug,
         wire::LogFields{}
             .add("event", "append")
             .add("term", term_.value)
             .add("from", leader_.value)
             .add("last", log_.last().value));
  }
  return true;
}

/// Figure 2, AppendEntries 4: append any new entries not already in the log.
void Raft::place_entry(Index index, const EntryView& entry) {
  check(index == log_.last() + 1);
  log_.append(entry);
  if (entry.kind == EntryKind::membership) {
    configure(index, *wire::decode<Membership>(entry.payload));
  }
}

}  // namespace kv::raft
