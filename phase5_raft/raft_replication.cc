// The leader's half of log replication, and what is committed: Raft 5.3 and 5.4.2.
//
// Entries are pipelined: sent as they come, without waiting for answers, up to a limit of messages
// and bytes a follower. Where its log parts from ours is probed with one message at a time.
#include <algorithm>

#include "common/core/check.h"
#include "common/core/transfer_time.h"
#include "phase5_raft/raft.h"

namespace kv::raft {
namespace {

constexpr std::size_t rounds_max = 4096;
/// Before each takes twice as long as the last: a few losses must not cost more than they do.
constexpr std::uint32_t resends_in_a_row = 4;
/// Rounds not confirmed, this one included, beyond which every heartbeat asks for an answer.
constexpr std::uint64_t rounds_open_max = 1;
/// Messages to a follower without an answer that may have been lost; beyond, it may be dead.
constexpr std::uint32_t unanswered_few = 2;

}  // namespace

Raft::Peer* Raft::peer(NodeId id) {
  const auto found = std::ranges::find(peers_, id, &Peer::id);
  return found == peers_.end() ? nullptr : &*found;
}

const Raft::Peer* Raft::peer(NodeId id) const {
  const auto found = std::ranges::find(peers_, id, &Peer::id);
  return found == peers_.end() ? nullptr : &*found;
}

Index Raft::match_of(NodeId node) const {
  if (node == self_) {
    return own_match_;
  }
  const Peer* found = peer(node);
  return found == nullptr ? Index{} : found->match;
}

// --- what the leader takes in --------------------------------------------------------------------

Index Raft::propose(Instant now, EntryKind kind, ByteView payload) {
  check(leads());
  now_ = now;
  if (commit_ == log_.last()) {
    commit_progress_ = now;
    late_after_ = options_.resend_after;
    resent_ = 0;
  }
  log_.append(term_, kind, payload);
  dirty_ = true;
  return log_.last();
}

std::uint64_t Raft::confirm(Instant now) {
  check(leads());
  now_ = now;
  round_wanted_ = true;
  return round_ + 1;
}

void Raft::beat(Instant now, NodeId to) {
  check(leads());
  now_ = now;
  if (Peer* each = peer(to)) {
    each->sent = now - options_.heartbeat_every;
  }
}

// --- time ----------------------------------------------------------------------------------------

void Raft::lead(Instant now, Effects& out) {
  if (disk_hangs(now)) {
    return step_down(now, "own_disk_hangs", out);
  }
  // Thesis 6.2: a leader steps down if an election timeout elapses without a successful round of
  // heartbeats to a majority of its cluster.
  if (now - quorum_heard(now) >= options_.election_timeout) {
    return step_down(now, "no_majority", out);
  }
  if (now >= ask_majority_at(now)) {
    round_wanted_ = true;
    majority_asked_at_ = now;
  }
  go_on_with_transfer(now, out);
  go_on_with_images(now, out);
}

/// With a bare majority only few are asked at a time: when too few of them have answered, all are,
/// and again, before it is taken for certain that there is no majority.
Instant Raft::ask_majority_at(Instant now) const {
  if (options_.fanout == Fanout::everyone) {
    return never;
  }
  return std::max(quorum_heard(now) + options_.heartbeat_every * 3 / 2,
                  majority_asked_at_ + options_.heartbeat_every / 8);
}

/// What is durable here has not moved for an election time-out, though something waits for it.
bool Raft::disk_hangs(Instant now) const {
  return own_match_ < recorded_ && now - disk_progress_ >= options_.election_timeout;
}

/// Since when a majority, ourselves included, has been heard.
Instant Raft::quorum_heard(Instant now) const {
  return membership().quorum_value([&](NodeId node) {
    const Peer* found = peer(node);
    return found != nullptr ? found->heard : node == self_ ? now : Instant{};
  });
}

bool Raft::beat_due(const Peer& each, Instant now) const {
  return now - each.sent >= options_.heartbeat_every;
}

// --- what leaves ---------------------------------------------------------------------------------

/// One message a follower, or a few if much has gathered, and one record for all that is new. The
/// messages do not wait for the record (thesis 10.2.1): our own word for it comes back to us.
void Raft::replicate(Instant now, Effects& out) {
  const bool beats =
      std::ranges::any_of(peers_, [&](const Peer& each) { return beat_due(each, now); });
  const bool late = commit_is_late(now);
  if (gathers(now) && !round_wanted_ && !beats && !late) {
    return;
  }
  const bool fresh = recorded_ < log_.last();
  if (fresh) {
    record_proposals(now, out);
  }
  if (!dirty_ && !round_wanted_ && !beats && !late) {
    return;
  }
  begin_round(now);
  if (fresh || late || round_wanted_) {
    choose_few(late);
  }
  if (late) {
    resend(now);
  } else if (fresh && !everyone_now_) {
    rewind_chosen();
  }
  for (Peer& each : peers_) {
    tell(each, now, out);
  }
  dirty_ = round_wanted_ = false;
}

/// What is new waits for what is under way, so that it is one message and one record.
bool Raft::gathers(Instant now) const {
  return recorded_ < log_.last() && now < gathering_.due(now, log_.last() - recorded_);
}

void Raft::record_proposals(Instant now, Effects& out) {
  gathering_.left(now);
  EntriesRecord record{.previous = recorded_, .commit = commit_, .entries = {}};
  log_.copy_to(record.entries, recorded_ + 1, SIZE_MAX);
  out.records.push_back(encode_record(record));
  if (own_match_ == recorded_) {
    disk_progress_ = now;
  }
  recorded_ = log_.last();
  out.sends.push_back({self_, encode_message(Appended{.term = term_,
                                                      .round = round_,
                                                      .matched = true,
                                                      .match = recorded_,
                                                      .hint = {},
                                                      .hint_term = {}})});
}

void Raft::begin_round(Instant now) {
  ++round_;
  encoded_.bytes.clear();
  if (options_.read_lease > Duration{} && rounds_.size() < rounds_max) {
    rounds_.push_back({round_, now});
  }
  count_rounds();
}

void Raft::tell(Peer& each, Instant now, Effects& out) {
  const bool beat = beat_due(each, now);
  if (beat) {
    if (now - each.probed >= transfer_time(4 * each.probe_bytes)) {
      each.probing = false;  // the probe, or its answer, is taken to be lost
    }
    if (!everyone_now_ && each.pace == Pace::replicate && each.match > Index{}) {
      rewind(each);
    }
  }
  if (each.pace != Pace::image && each.next <= log_.base()) {
    go_back(each, each.match + 1);  // it was so slow that what it needs next is gone
  }
  bool told = false;
  while ((beat || told || chosen(each)) && may_send_entries(each, now)) {
    send_entries(each, now, out);
    told = true;
  }
  if (!told && (beat || round_wanted_)) {
    send_heartbeat(each, now, out);
  }
}

bool Raft::may_send_entries(const Peer& each, Instant now) const {
  if (each.next > log_.last() || each.next <= log_.base()) {
    return false;
  }
  switch (each.pace) {
    case Pace::probe:
      // One that is silent is asked without entries: they would only pile up on the way to it.
      return !each.probing && now - each.heard < options_.election_timeout;
    case Pace::replicate:
      return each.in_flight.size() < options_.in_flight_max &&
             each.in_flight_bytes < options_.in_flight_bytes_max;
    case Pace::image:
      return false;
  }
  return false;
}

void Raft::send_entries(Peer& each, Instant now, Effects& out) {
  const bool quiet = may_be_quiet(each);
  const Bytes& message =
      encoded_append(each.next - 1, quiet ? Content::quiet_entries : Content::entries);
  out.sends.push_back({each.id, message, false});
  each.sent = now;
  each.unanswered += quiet ? 0 : 1;
  if (each.pace == Pace::probe) {
    each.probing = true;
    each.probed = now;
    each.probe_bytes = message.size();
    return;
  }
  each.in_flight.push_back({encoded_.last, message.size()});
  each.in_flight_bytes += message.size();
  each.next = encoded_.last + 1;
}

/// With a bare majority: those who are not needed for it need not answer either, as long as they
/// follow and others confirm that we lead.
bool Raft::may_be_quiet(const Peer& each) const {
  return !chosen(each) && !round_wanted_ && each.pace == Pace::replicate &&
         each.unanswered <= unanswered_few && round_ <= confirmed_round_ + rounds_open_max;
}

/// Says that we lead, and asks whether its log is equal to ours as far as we think.
void Raft::send_heartbeat(Peer& each, Instant now, Effects& out) {
  const bool known = each.pace != Pace::image;
  each.sent = now;
  if (may_be_quiet(each) && each.match == log_.last()) {
    out.sends.push_back({each.id, encode_message(notice_of_commit()), false});
    return;
  }
  ++each.unanswered;
  out.sends.push_back(
      {each.id, encoded_append(known ? each.next - 1 : Index{}, Content::question), false});
}

/// It is of no round: no answer is wanted. For those whose log is ours up to there.
AppendEntries Raft::notice_of_commit() const {
  return {.term = term_,
          .previous = commit_,
          .previous_term = log_.term_at(commit_).value_or(Term{}),
          .commit = commit_};
}

/// Followers at the same place are sent the same bytes.
const Bytes& Raft::encoded_append(Index previous, Content content) {
  if (!encoded_.bytes.empty() && encoded_.previous == previous && encoded_.content == content) {
    return encoded_.bytes;
  }
  AppendEntries append{.term = term_,
                       .previous = previous,
                       .previous_term = log_.term_at(previous).value_or(Term{}),
                       .commit = commit_,
                       .round = content == Content::quiet_entries ? 0 : round_,
                       .sampled = sampled_,
                       .checksum = sampled_checksum_,
                       .entries = {}};
  encoded_.last = previous;
  if (content != Content::question) {
    encoded_.last = log_.copy_to(append.entries, previous + 1, options_.append_bytes_max);
  }
  encoded_.previous = previous;
  encoded_.content = content;
  encoded_.bytes = encode_message(std::move(append));
  return encoded_.bytes;
}

/// From here on one message at a time, until its answer says that this is the right place.
void Raft::go_back(Peer& each, Index next) {
  each.in_flight.clear();
  each.in_flight_bytes = 0;
  each.probing = false;
  each.next = next;
  each.pace = next <= log_.base() ? Pace::image : Pace::probe;
  dirty_ = true;
}

bool Raft::commit_is_late(Instant now) const {
  return options_.resend_after > Duration{} && commit_ < log_.last() &&
         now - commit_progress_ >= late_after_;
}

/// With a bare majority messages are dear, and bytes are not: what was not acknowledged goes along
/// again, so that none is refused for want of one that was lost.
void Raft::rewind_chosen() {
  for (Peer& each : peers_) {
    if (chosen(each) && each.pace == Pace::replicate && each.match > Index{}) {
      rewind(each);
    }
  }
}

void Raft::rewind(Peer& each) {
  each.in_flight.clear();
  each.in_flight_bytes = 0;
  each.next = each.match + 1;
}

/// Those who are chosen now get again what they have not acknowledged.
void Raft::resend(Instant now) {
  commit_progress_ = now;
  late_ += resent_ == 0 ? 1 : 0;
  ++resent_;
  late_after_ = resent_ < resends_in_a_row ? options_.resend_after
                                           : std::min(2 * late_after_, options_.heartbeat_every);
  for (Peer& each : peers_) {
    if (chosen(each) && each.pace != Pace::image && each.match < log_.last()) {
      go_back(each, each.match + 1);
      each.pace = each.pace == Pace::probe && each.match > Index{} ? Pace::replicate : each.pace;
    }
  }
}

// --- to whom entries go at once ------------------------------------------------------------------

/// A bare majority of those who answer, and another one each time, so that nobody falls far behind.
/// If that did not answer in time: as many others as are missing.
void Raft::choose_few(bool late) {
  few_.clear();
  everyone_now_ = options_.fanout == Fanout::everyone || membership().joint();
  if (everyone_now_) {
    return;
  }
  const auto has_all = [&](const Peer& each) { return late && each.match == log_.last(); };
  const auto have_all = static_cast<std::size_t>(std::ranges::count_if(peers_, has_all));
  const std::size_t needed = majority(membership().voters.size()) - 1;
  ++few_from_;
  std::vector<const Peer*> candidates;
  for (std::size_t i = 0; i < peers_.size(); ++i) {
    const Peer& each = peers_[(few_from_ + i) % peers_.size()];
    if (membership().votes(each.id) && !has_all(each)) {
      candidates.push_back(&each);
    }
  }
  std::ranges::stable_sort(candidates, {}, [](const Peer* each) {
    return std::pair{each->pace != Pace::replicate, each->unanswered};
  });
  for (std::size_t i = 0; i < candidates.size() && few_.size() + have_all < needed; ++i) {
    few_.push_back(candidates[i]->id);
  }
}

/// To one of those who have it, or to all of them where messages get lost: one of them leads next.
void Raft::announce_commit(Effects& out) {
  const bool messages_get_lost = late_ * 10 > commits_;
  for (const Peer& each : peers_) {
    if (each.match >= commit_ && membership().votes(each.id)) {
      out.sends.push_back({each.id, encode_message(notice_of_commit()), false});
      if (!messages_get_lost) {
        return;
      }
    }
  }
}

bool Raft::has_answered(NodeId id) const {
  const Peer* found = peer(id);
  return found != nullptr && found->unanswered <= unanswered_few;
}

bool Raft::chosen(const Peer& each) const {
  return everyone_now_ || std::ranges::find(few_, each.id) != few_.end();
}

// --- what comes back -----------------------------------------------------------------------------

void Raft::on(Instant now, NodeId from, const Appended& appended, Effects& out) {
  now_ = now;
  if (appended.term > term_) {
    return follow(now, appended.term, {}, out);  // Raft 5.1
  }
  Peer* each = peer(from);
  if (!leads() || appended.term < term_ || (each == nullptr && from != self_)) {
    return;
  }
  if (from == self_) {
    own_match_ = std::max(own_match_, appended.match);
    disk_progress_ = now;
    return commit_by_counting(now, out);
  }
  each->heard = now;
  each->unanswered = 0;
  if (appended.round > each->round) {
    each->round = appended.round;
    count_rounds();
  }
  if (appended.matched) {
    on_matched(now, *each, appended.match, out);
    go_on_with_transfer(now, out);
  } else {
    on_refused(*each, appended);
  }
}

/// Figure 2, leaders: if successful, update nextIndex and matchIndex for the follower.
void Raft::on_matched(Instant now, Peer& each, Index match, Effects& out) {
  if (match > log_.last()) {
    return;  // nobody has what we do not have
  }
  const bool moved = match > each.match;
  each.match = std::max(each.match, match);
  while (!each.in_flight.empty() && each.in_flight.front().last <= each.match) {
    each.in_flight_bytes -= each.in_flight.front().bytes;
    each.in_flight.pop_front();
  }
  const bool known = each.match >= log_.base();
  if ((each.pace == Pace::probe && each.match + 1 >= each.next) ||
      (each.pace == Pace::image && known)) {
    go_back(each, each.match + 1);
    each.pace = known ? Pace::replicate : each.pace;
  }
  each.next = std::max(each.next, each.match + 1);
  dirty_ = dirty_ || each.next <= log_.last();
  if (moved) {
    commit_by_counting(now, out);
  }
}

/// Raft 5.3: after a rejection, the leader decrements nextIndex and retries. By the follower's
/// hint: to the last place at which both logs can still be equal.
void Raft::on_refused(Peer& each, const Appended& refused) {
  const bool stale =
      refused.match <= each.match || (each.pace == Pace::probe && refused.match + 1 != each.next);
  if (stale || each.pace == Pace::image) {
    return;
  }
  if (each.pace == Pace::replicate) {
    return go_back(each, each.match + 1);  // something in between was lost
  }
  const Index equal = log_.last_up_to(refused.hint, refused.hint_term);
  const bool gone =
      refused.hint < log_.base() || (equal == log_.base() && log_.base_term() > refused.hint_term);
  go_back(each, gone ? log_.base() : std::max(equal, each.match) + 1);
}

/// Which round a majority has confirmed; and how long the lease is, that comes of it.
void Raft::count_rounds() {
  const std::uint64_t confirmed = membership().quorum_value([this](NodeId node) {
    const Peer* found = peer(node);
    return found != nullptr ? found->round : node == self_ ? round_ : 0;
  });
  confirmed_round_ = std::max(confirmed_round_, confirmed);
  while (!rounds_.empty() && rounds_.front().number <= confirmed_round_) {
    if (!lease_void_) {
      lease_until_ = rounds_.front().began + options_.read_lease;
    }
    rounds_.pop_front();
  }
}

/// Raft 5.4.2: Raft never commits log entries from previous terms by counting replicas. Only log
/// entries from the leader's current term are committed by counting replicas; once an entry from
/// the current term has been committed in this way, then all prior entries are committed.
void Raft::commit_by_counting(Instant now, Effects& out) {
  const Index counted = membership().quorum_value([this](NodeId node) { return match_of(node); });
  if (counted <= commit_ || log_.term_at(counted) != term_) {
    return;
  }
  if (counted >= recorded_) {
    gathering_.done(now, counted - commit_, log_.last() - counted);
  }
  commit_ = counted;
  ++commits_;
  commit_progress_ = now;
  late_after_ = options_.resend_after;
  resent_ = 0;
  if (announces_commits_ && options_.fanout == Fanout::bare_majority) {
    announce_commit(out);
  }
  if (noting(Level::debug)) {
    note(out, Level::debug,
         wire::LogFields{}
             .add("event", "commit")
             .add("term", term_.value)
             .add("index", commit_.value));
  }
  go_on_with_membership(now, out);
}

}  // namespace kv::raft
