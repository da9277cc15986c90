#include "phase3_2pc/coordinator.h"

#include <algorithm>
#include <bit>
#include <iterator>

#include "common/core/check.h"
#include "common/core/transfer_time.h"
#include "common/kv/sessions.h"
#include "common/kv/store.h"
#include "phase3_2pc/notes.h"

namespace kv::two_phase {
namespace {

constexpr unsigned pause_doublings_max = 4;

/// What is sent again comes at the first, second, fourth, eighth … time and then at every 16th.
bool is_worth_sending(unsigned time) {
  return time % 16 == 0 || (time < 16 && std::has_single_bit(time));
}

}  // namespace

Coordinator::Coordinator(NodeId self, const TwoPhaseOptions& options, Participant& participant,
                         Hearing& hearing, Outbox& outbox)
    : self_(self),
      options_(options),
      participant_(participant),
      hearing_(hearing),
      outbox_(outbox),
      random_(options.seed) {}

// --- an update comes in --------------------------------------------------------------------------

void Coordinator::submit(Instant now, Asker asker, const Command& command, Effects& out) {
  if (const char* why = refusal_of(command); why != nullptr) {
    return refuse(asker, Status::bad_request, why, out);
  }
  if (command.verb == Verb::batch && command.guards.empty() && command.writes.empty()) {
    return send_answer(asker, {}, out);
  }
  if (const char* why = refusal(); why != nullptr) {
    return refuse(asker, Status::unavailable, why, out);
  }
  const std::uint64_t ticket = ++last_ticket_;
  const Instant deadline = now + options_.request_patience;
  operations_.emplace(
      ticket,
      Operation{
          .asker = asker, .command = command, .age = {next_clock(), self_}, .deadline = deadline});
  deadlines_.push_back({deadline, ticket});
  take_keys(now, ticket, out);
}

/// Why nothing new is taken in; null if it is.
const char* Coordinator::refusal() const {
  if (participant_lost_) {
    return "the participant is down";
  }
  if (operations_.size() >= options_.operations_max) {
    return "too many updates wait";
  }
  return entries_.size() >= options_.transactions_max ? "too many transactions are unfinished"
                                                      : nullptr;
}

void Coordinator::take_keys(Instant now, std::uint64_t ticket, Effects& out) {
  Operation& operation = operations_.at(ticket);
  switch (participant_.claim(now, ticket, operation.age, keys_of(operation.command), out)) {
    case LockTable::Verdict::granted:
      to_begin_.push_back(ticket);
      return;
    case LockTable::Verdict::waits:
      return;
    case LockTable::Verdict::dies:
      return answer(ticket, {Status::aborted, {}, "the key is another's"}, out);
  }
}

/// It holds its keys here: what it does is decided now.
void Coordinator::begin(Instant now, std::uint64_t ticket, Effects& out) {
  const auto found = operations_.find(ticket);
  if (found == operations_.end()) {
    return participant_.release(now, ticket, out);
  }
  CommittedState::Plan plan = participant_.state().plan(found->second.command);
  if (!plan.needs_transaction) {
    participant_.release(now, ticket, out);
    return answer(ticket, std::move(plan.reply), out);
  }
  if (std::string why = hearing_.why_in_vain(); !why.empty()) {
    participant_.release(now, ticket, out);
    return answer(ticket, {Status::unavailable, {}, std::move(why)}, out);
  }
  // What begins just before its deadline aborts with the first message that is lost; and after it
  // the next, which waited as long. So its turn is for one who still has the time for it.
  if (found->second.deadline - now < options_.turn_min) {
    participant_.release(now, ticket, out);
    return answer(ticket, {Status::aborted, {}, "the key stayed busy"}, out);
  }
  Entry& entry = open_entry(now, ticket, plan);
  note(out, options_.note_level, Level::debug, coordinator_role, "begin",
       [&](wire::LogFields& fields) {
         add_op(fields, entry.transaction.origin);
         add_txn(fields, entry.transaction.id);
       });
  if (presumes_commit()) {
    outbox_.record(RecordKind::collecting, entry.transaction.id);
    outbox_.hold_prepares();
  }
  if (outbox_.peers().empty()) {
    leave_round(entry);
    to_commit_.push_back(entry.transaction.id.sequence);
    return;
  }
  outbox_.prepare(entry.transaction);
  send_dues_.push_back({now + options_.resend_after, entry.transaction.id.sequence});
}

Coordinator::Entry& Coordinator::open_entry(Instant now, std::uint64_t ticket,
                                            CommittedState::Plan& plan) {
  Operation& operation = operations_.at(ticket);
  operation.sequence = first_sequence_ + entries_.size();
  Entry& entry = entries_.emplace_back();
  entry.round = round_;
  ++round_open_;
  entry.ticket = ticket;
  entry.begun = now;
  entry.transaction.id = {self_, boot_, operation.sequence};
  entry.transaction.age = operation.age;
  entry.transaction.asker = operation.asker;
  entry.sent_at = now;
  entry.transaction.parts = std::move(plan.parts);
  for (const Part& part : entry.transaction.parts) {
    entry.bytes += part.value.size();
  }
  open_bytes_ += entry.bytes;
  entry.transaction.outcome = plan.outcome;
  entry.transaction.origin = operation.command.origin;
  if (!operation.command.origin.client.empty()) {
    entry.transaction.fingerprint = fingerprint_of(operation.command);
  }
  ++undecided_;
  if (options_.witness != nullptr) {
    options_.witness->begun(entry.transaction);
  }
  return entry;
}

// --- votes and decisions -------------------------------------------------------------------------

void Coordinator::on_vote(Instant now, NodeId from, const Vote& vote, Effects& out) {
  Entry* entry = find(vote.txn);
  if (entry == nullptr || entry->state != State::open) {
    if (vote.ballot == Ballot::yes) {
      on_inquiry(from, vote.txn);  // it promised, and nobody waits for that any more
    }
    return;
  }
  switch (vote.ballot) {
    case Ballot::yes:
      entry->votes |= bit_of(from);
      if (entry->votes == all_peers()) {
        leave_round(*entry);
        entry->state = State::decided;  // the record follows, with others', in flush()
        to_commit_.push_back(vote.txn.sequence);
      }
      return;
    case Ballot::busy:
    case Ballot::refused:
      return abort_and_retry(now, *entry, out);
    case Ballot::diverged:
      note(out, options_.note_level, Level::error, coordinator_role, "divergence",
           [&](wire::LogFields& fields) {
             add_txn(fields, vote.txn);
             fields.add("from", from.value).add("key", entry->transaction.parts.front().key);
           });
      return abort_and_answer(now, *entry, Status::unavailable,
                              "the replicas hold different values", out);
    case Ballot::no_room:
      hearing_.see_room(from, false);  // until its pulse says otherwise
      return abort_and_answer(now, *entry, Status::unavailable, full_disk_of(from), out);
    case Ballot::withdrawn:
      return abort_and_answer(now, *entry, Status::aborted, "who asked waits no more", out);
  }
}

/// The commit point, once this record is on disk.
void Coordinator::decide_commit(Entry& entry, Effects& out) {
  entry.state = State::decided;
  entry.commit = true;
  --undecided_;
  open_bytes_ -= entry.bytes;
  outbox_.record(RecordKind::decided, entry.transaction);
  participant_.apply_own(entry.ticket, entry.transaction);
  flushed_.push_back({last_flush_, entry.transaction.id.sequence});
  note(out, options_.note_level, Level::debug, coordinator_role, "decide",
       [&](wire::LogFields& fields) {
         add_op(fields, entry.transaction.origin);
         add_txn(fields, entry.transaction.id);
         fields.add("decision", "commit");
       });
}

void Coordinator::on_durable(Instant now, const Durable& durable, Effects& out) {
  if (durable.boot != boot_) {
    return;  // an earlier life of this role asked
  }
  boot_durable_ = true;
  while (!flushed_.empty() && flushed_.front().flush <= durable.flush) {
    const std::uint64_t sequence = flushed_.front().sequence;
    flushed_.pop_front();
    announce_commit(now, *find({self_, boot_, sequence}), out);
  }
  forget_finished();
}

void Coordinator::announce_commit(Instant now, Entry& entry, Effects& out) {
  const TxnId txn = entry.transaction.id;
  if (options_.witness != nullptr) {
    options_.witness->committed(txn);
    options_.witness->decided(self_, txn, true);
  }
  outbox_.commit(txn);
  participant_.release(now, entry.ticket, out);
  if (entry.transaction.asker.node == self_) {
    answer(entry.ticket, {.status = entry.transaction.outcome}, out);
  } else {
    operations_.erase(entry.ticket);  // the commit is its answer
  }
  if (presumes_commit()) {
    return finish(entry);
  }
  entry.begun = now;
  tell_until_acknowledged(entry);
}

void Coordinator::tell_until_acknowledged(Entry& entry) {
  entry.state = State::telling;
  entry.sent = 0;
  entry.transaction.parts = {};  // whoever promised has them
  if (outbox_.peers().empty()) {
    return finish(entry);
  }
  send_dues_.push_back({entry.begun + options_.resend_after, entry.transaction.id.sequence});
}

void Coordinator::abort(Instant now, Entry& entry, Effects& out) {
  check(entry.state == State::open);
  const TxnId txn = entry.transaction.id;
  --undecided_;
  open_bytes_ -= entry.bytes;
  leave_round(entry);
  note(out, options_.note_level, Level::debug, coordinator_role, "decide",
       [&](wire::LogFields& fields) {
         add_op(fields, entry.transaction.origin);
         add_txn(fields, txn);
         fields.add("decision", "abort");
       });
  if (options_.witness != nullptr) {
    options_.witness->decided(self_, txn, false);
  }
  outbox_.abort(txn);
  participant_.release(now, entry.ticket, out);
  if (const auto operation = operations_.find(entry.ticket); operation != operations_.end()) {
    operation->second.sequence = 0;
  }
  entry.begun = now;
  if (presumes_commit()) {
    return tell_until_acknowledged(entry);
  }
  finish(entry);
}

/// With its old age: it grows older than all it meets, and then it is waited for.
void Coordinator::abort_and_retry(Instant now, Entry& entry, Effects& out) {
  const std::uint64_t ticket = entry.ticket;
  abort(now, entry, out);
  forget_finished();
  Operation& operation = operations_.at(ticket);
  const unsigned doublings = std::min(operation.tries++, pause_doublings_max);
  const Duration pause = random_.between(Duration{}, options_.retry_pause_max * (1 << doublings));
  pauses_.emplace(now + pause, ticket);
}

void Coordinator::abort_and_answer(Instant now, Entry& entry, Status status, const std::string& why,
                                   Effects& out) {
  const std::uint64_t ticket = entry.ticket;
  abort(now, entry, out);
  forget_finished();
  answer(ticket, {.status = status, .value = {}, .why = why}, out);
}

void Coordinator::abort_all(Instant now, Effects& out) {
  for (Entry& entry : entries_) {
    // With all votes in, but no record given out, it is as undecided as any.
    if (entry.state == State::open || (entry.state == State::decided && !entry.commit)) {
      entry.state = State::open;
      abort(now, entry, out);
    }
  }
  to_commit_.clear();
  to_begin_.clear();
  forget_finished();
  std::vector<std::uint64_t> tickets;
  for (const auto& [ticket, operation] : operations_) {
    if (operation.sequence == 0) {
      tickets.push_back(ticket);
    }
  }
  std::ranges::sort(tickets);
  for (const std::uint64_t ticket : tickets) {
    answer(ticket, {Status::aborted, {}, "the participant died"}, out);
  }
}

// --- acknowledgements ----------------------------------------------------------------------------

void Coordinator::on_ack(NodeId from, const TxnId& txn) {
  if (const auto old = old_.find(txn); old != old_.end()) {
    old->second |= bit_of(from);
    if (old->second == all_peers()) {
      old_.erase(old);
      outbox_.record_later(RecordKind::ended, txn);
    }
    return;
  }
  Entry* entry = find(txn);
  if (entry == nullptr || entry->state != State::telling) {
    return;
  }
  entry->acks |= bit_of(from);
  if (entry->acks == all_peers()) {
    outbox_.record_later(RecordKind::ended, txn);
    finish(*entry);
    forget_finished();
  }
}

void Coordinator::finish(Entry& entry) {
  entry.state = State::finished;
  entry.transaction.parts = {};
  if (options_.witness != nullptr && !presumes_commit() && entry.commit) {
    options_.witness->ended(entry.transaction.id);
  }
}

void Coordinator::forget_finished() {
  while (!entries_.empty() && entries_.front().state == State::finished) {
    entries_.pop_front();
    ++first_sequence_;
  }
}

TxnId Coordinator::mark() const {
  return old_.empty() ? TxnId{self_, boot_, first_sequence_} : old_.begin()->first;
}

/// What became of a transaction, for one who promised it; silence while that is open.
void Coordinator::on_inquiry(NodeId from, const TxnId& txn) {
  if (txn.coordinator != self_ || txn.boot > boot_) {
    return;
  }
  const Entry* entry = find(txn);
  if (entry != nullptr && (entry->state == State::open || entry->state == State::decided)) {
    return;
  }
  const bool telling = old_.contains(txn) || (entry != nullptr && entry->state == State::telling);
  // What must be acknowledged is known until it is; the rest is as presumed.
  outbox_.decide(from, {txn, telling != presumes_commit()});
}

std::size_t Coordinator::unacknowledged() const {
  return old_.size() +
         static_cast<std::size_t>(std::ranges::count(entries_, State::telling, &Entry::state));
}

// --- answers -------------------------------------------------------------------------------------

void Coordinator::answer(std::uint64_t ticket, Reply reply, Effects& out) {
  const auto found = operations_.find(ticket);
  if (found == operations_.end()) {
    return;
  }
  send_answer(found->second.asker, std::move(reply), out);
  operations_.erase(found);
}

void Coordinator::refuse(Asker asker, Status status, std::string why, Effects& out) {
  send_answer(asker, {.status = status, .value = {}, .why = std::move(why)}, out);
}

void Coordinator::send_answer(Asker asker, Reply reply, Effects& out) {
  if (asker.node == self_) {
    out.answers.push_back({{asker.number}, std::move(reply)});
  } else {
    outbox_.reply(
        asker.node,
        {.to_boot = asker.boot, .number = asker.number, .taken = true, .reply = std::move(reply)});
  }
}

// --- time ----------------------------------------------------------------------------------------

void Coordinator::tick(Instant now, Effects& out) {
  retry_whose_pause_is_over(now, out);
  give_up_late_operations(now, out);
  send_again(now, out);
  tell_old_again(now);
}

void Coordinator::tell_orphans(Effects& out) {
  for (const Orphan& orphan : std::exchange(orphans_, {})) {
    refuse(orphan.asker, orphan.status, "the coordinator died", out);
  }
}

void Coordinator::send_again(Instant now, Effects& out) {
  while (!send_dues_.empty() && send_dues_.front().at <= now) {
    const std::uint64_t sequence = send_dues_.front().sequence;
    send_dues_.pop_front();
    if (Entry* entry = find({self_, boot_, sequence})) {
      send_again(now, *entry, out);
    }
  }
}

void Coordinator::send_again(Instant now, Entry& entry, Effects& out) {
  const bool open = entry.state == State::open;
  if (!open && entry.state != State::telling) {
    return;  // a decision's own round follows, or nothing
  }
  const std::uint64_t heard = open ? entry.votes : entry.acks;
  const auto& peers = outbox_.peers();
  const bool unanswered = now - entry.begun >= options_.vote_patience;
  if (open && (unanswered || now >= operations_.at(entry.ticket).deadline)) {
    const auto quiet = static_cast<std::size_t>(std::countr_one(heard));
    if (unanswered) {
      hearing_.suspect(peers[quiet]);
    }
    return abort_and_answer(
        now, entry, Status::aborted,
        "replica " + std::to_string(peers[quiet].value) + " did not answer in time", out);
  }
  // A decision is short; a Prepare may only be late.
  const bool due = !open || now - entry.sent_at >= transfer_time(open_bytes_);
  const bool worth = is_worth_sending(++entry.sent) && due;
  entry.sent_at = worth ? now : entry.sent_at;
  for (std::size_t i = 0; worth && i < peers.size(); ++i) {
    if ((heard >> i & 1) == 0 && open) {
      outbox_.prepare_again(peers[i], entry.transaction);
    } else if ((heard >> i & 1) == 0) {
      outbox_.decide(peers[i], {entry.transaction.id, entry.commit});
    }
  }
  send_dues_.push_back({now + options_.resend_after, entry.transaction.id.sequence});
}

void Coordinator::tell_old_again(Instant now) {
  if (old_.empty() || now < old_due_) {
    return;
  }
  old_due_ = now + options_.resend_after;
  if (!is_worth_sending(++old_sent_)) {
    return;
  }
  for (const auto& [txn, acks] : old_) {
    for (const NodeId peer : outbox_.peers()) {
      if ((acks & bit_of(peer)) == 0) {
        outbox_.decide(peer, {txn, !presumes_commit()});
      }
    }
  }
}

void Coordinator::retry_whose_pause_is_over(Instant now, Effects& out) {
  while (!pauses_.empty() && pauses_.begin()->first <= now) {
    const std::uint64_t ticket = pauses_.begin()->second;
    pauses_.erase(pauses_.begin());
    // A dead participant's keys are its next life's to take: what is undecided aborts at once.
    if (operations_.contains(ticket) && !participant_lost_) {
      take_keys(now, ticket, out);
    }
  }
}

/// One whose transaction is under way is left to that: it looks at the time itself.
void Coordinator::give_up_late_operations(Instant now, Effects& out) {
  for (; !deadlines_.empty() && deadlines_.front().at <= now; deadlines_.pop_front()) {
    const std::uint64_t ticket = deadlines_.front().ticket;
    const auto found = operations_.find(ticket);
    if (found != operations_.end() && found->second.sequence == 0) {
      participant_.release(now, ticket, out);
      answer(ticket, {Status::aborted, {}, "the key stayed busy"}, out);
    }
  }
}

Instant Coordinator::wake_at() const {
  const bool begins = may_begin();
  if (!to_commit_.empty() || abandons_ || (begins && round_open_ == 0)) {
    return Instant{};
  }
  Instant at = begins ? round_begun_ + options_.gather_for : never;
  at = std::min(at, old_.empty() ? never : old_due_);
  at = std::min(at, send_dues_.empty() ? never : send_dues_.front().at);
  at = std::min(at, deadlines_.empty() ? never : deadlines_.front().at);
  return std::min(at, pauses_.empty() ? never : pauses_.begin()->first);
}

void Coordinator::flush(Instant now, Effects& out) {
  if (std::exchange(abandons_, false)) {
    abort_all(now, out);
  }
  if (may_begin() && (round_open_ == 0 || now >= round_begun_ + options_.gather_for)) {
    begin_round(now, out);
  }
  if (!to_commit_.empty()) {
    ++last_flush_;
    for (const std::uint64_t sequence : std::exchange(to_commit_, {})) {
      decide_commit(*find({self_, boot_, sequence}), out);
    }
    outbox_.tell_self_when_durable({boot_, last_flush_});
  }
}

/// Large ones wait for those before them: together they would all be too late.
bool Coordinator::may_begin() const {
  return boot_durable_ && open_bytes_ < options_.open_bytes_max &&
         (!to_begin_.empty() || participant_.has_granted());
}

/// The first begins at once; what comes while its votes are under way shares the next one's
/// messages and syncs.
void Coordinator::begin_round(Instant now, Effects& out) {
  ++round_;
  round_open_ = 0;
  round_begun_ = now;
  while (may_begin()) {
    if (to_begin_.empty()) {
      std::ranges::copy(participant_.take_granted(), std::back_inserter(to_begin_));
    }
    const std::uint64_t ticket = to_begin_.front();
    to_begin_.pop_front();
    begin(now, ticket, out);
  }
}

/// Its votes are in, or waited for no more.
void Coordinator::leave_round(Entry& entry) {
  if (std::exchange(entry.round, 0) == round_) {
    --round_open_;
  }
}

// --- small things --------------------------------------------------------------------------------

Coordinator::Entry* Coordinator::find(const TxnId& txn) {
  if (txn.boot != boot_ || txn.sequence < first_sequence_ ||
      txn.sequence - first_sequence_ >= entries_.size()) {
    return nullptr;
  }
  return &entries_[txn.sequence - first_sequence_];
}

std::uint64_t Coordinator::bit_of(NodeId peer) const {
  const auto& peers = outbox_.peers();
  const auto found = std::ranges::find(peers, peer);
  check(found != peers.end());
  return std::uint64_t{1} << (found - peers.begin());
}

void Coordinator::check_invariants() const {
  std::size_t undecided = 0;
  std::size_t open_bytes = 0;
  std::size_t gathered = 0;
  for (const Entry& entry : entries_) {
    gathered += entry.round == round_ && round_ > 0 ? 1 : 0;
    const bool open =
        entry.state == State::open || (entry.state == State::decided && !entry.commit);
    undecided += open ? 1 : 0;
    open_bytes += open ? entry.bytes : 0;
    check(open || entry.state != State::decided || !flushed_.empty());
  }
  check(undecided == undecided_ && open_bytes == open_bytes_);
  check(gathered == round_open_);
  check(entries_.empty() || entries_.front().state != State::finished);
}

}  // namespace kv::two_phase
