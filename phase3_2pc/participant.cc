#include "phase3_2pc/participant.h"

#include <algorithm>

#include "common/core/check.h"
#include "phase3_2pc/notes.h"

namespace kv::two_phase {
namespace {

constexpr unsigned asks_before_doubt = 1;

bool presumes_commit(const TwoPhaseOptions& options) {
  return options.presumed == Presumed::commit;
}

}  // namespace

Participant::Participant(NodeId self, const TwoPhaseOptions& options, Forwards& forwards,
                         Outbox& outbox)
    : self_(self),
      options_(options),
      forwards_(forwards),
      outbox_(outbox),
      state_(std::make_unique<CommittedState>(options.outcomes, options.hash_seed)),
      locks_(options.conflict) {}

// --- votes ---------------------------------------------------------------------------------------

void Participant::on_prepare(Instant now, Transaction&& transaction, Effects& out) {
  const TxnId txn = transaction.id;
  check(txn.coordinator != self_);
  if (const auto found = held_.find(txn); found != held_.end()) {
    if (found->second->claim.prepared) {
      vote(txn, Ballot::yes);  // it was lost, or the Prepare came twice
    }
    return;
  }
  if (const Ballot* tombstone = tombstone_of(txn)) {
    if (*tombstone == Ballot::refused) {
      vote(txn, Ballot::refused);
    }
    return;  // a Prepare repeated after its Decide would lock its keys for ever
  }
  if (is_finished(txn) || transaction.parts.empty()) {
    return;
  }
  auto held = std::make_unique<Held>();
  held->claim = {.keys = keys_of(transaction), .age = transaction.age, .txn = txn};
  held->transaction = std::move(transaction);
  held->since = now;
  LockTable::Turned turned;
  const LockTable::Verdict verdict = locks_.take(held->claim, turned);
  if (verdict == LockTable::Verdict::dies) {
    return vote(txn, Ballot::busy);
  }
  Held& kept = *held_.emplace(txn, std::move(held)).first->second;
  if (verdict == LockTable::Verdict::granted) {
    promise(now, kept, out);
  }
  settle(now, turned, out);
}

/// It has its keys. If its coordinator has not aborted it by now, both replicas hold their locks,
/// and what stands there must be the same.
void Participant::promise(Instant now, Held& held, Effects& out) {
  const TxnId txn = held.transaction.id;
  if (has_diverged(held.transaction)) {
    vote(txn, Ballot::diverged);  // the coordinator knows whether that means anything
    return drop(now, txn, out);
  }
  if (!has_room_) {
    vote(txn, Ballot::no_room);
    return drop(now, txn, out);
  }
  if (!forwards_.promise(held.transaction.asker)) {
    vote(txn, Ballot::withdrawn);
    return drop(now, txn, out);
  }
  held.claim.prepared = true;
  ++prepared_;
  outbox_.record(RecordKind::prepared, held.transaction);
  vote(txn, Ballot::yes);
  plan_ask(now, held);
  note(out, options_.note_level, Level::debug, participant_role, "prepare",
       [&](wire::LogFields& fields) {
         add_op(fields, held.transaction.origin);
         add_txn(fields, txn);
       });
}

bool Participant::has_diverged(const Transaction& transaction) const {
  return std::ranges::any_of(transaction.parts, [this](const Part& part) {
    return state_->print_of(part.key) != part.before;
  });
}

/// Other claims got their turn, or died of somebody's.
void Participant::settle(Instant now, LockTable::Turned& turned, Effects& out) {
  for (const Claim* claim : turned.died) {
    const TxnId txn = claim->txn;
    vote(txn, Ballot::busy);
    held_.erase(txn);
  }
  for (const Claim* claim : turned.granted) {
    if (claim->own()) {
      granted_.push_back(claim->ticket);
    } else if (const auto held = held_.find(claim->txn); held != held_.end()) {
      promise(now, *held->second, out);
    }
  }
  turned = {};
}

/// Lets go of what was not promised, or is decided.
void Participant::drop(Instant now, const TxnId& txn, Effects& out) {
  const auto found = held_.find(txn);
  check(found != held_.end());
  const std::unique_ptr<Held> held = std::move(found->second);
  held_.erase(found);
  if (held->claim.prepared) {
    --prepared_;
    in_doubt_ -= held->asked > asks_before_doubt ? 1 : 0;
  }
  LockTable::Turned turned;
  locks_.release(held->claim, turned);
  touch(held->claim.keys);
  serve_readers(held->claim.keys, out);  // before the next one promises, and they wait for it
  settle(now, turned, out);
}

// --- decisions -----------------------------------------------------------------------------------

void Participant::on_decision(Instant now, const Decision& decision, Effects& out) {
  const TxnId txn = decision.txn;
  const auto found = held_.find(txn);
  if (found == held_.end()) {
    decide_unheld(decision);
  } else if (found->second->claim.prepared) {
    decide(now, *found->second, decision.commit, out);
  } else if (!decision.commit) {
    drop(now, txn, out);
    decide_unheld(decision);
  } else {
    return;  // nobody commits without this vote: whoever says so is wrong
  }
  if (decision.commit != presumes_commit(options_)) {
    outbox_.ack(txn.coordinator, txn);  // so that it may forget
  }
}

void Participant::decide(Instant now, Held& held, bool commit, Effects& out) {
  const TxnId txn = held.transaction.id;
  // If this is lost, it is in doubt again, and is told again.
  outbox_.record_later(commit ? RecordKind::committed : RecordKind::aborted, txn);
  if (commit) {
    state_->apply(held.transaction);
  }
  bury(txn, commit);
  tell_decided(txn, commit);
  forwards_.on_outcome(held.transaction.asker, commit, held.transaction.outcome, out);
  const bool was_doubted = held.asked > asks_before_doubt;
  note(out, options_.note_level, was_doubted ? Level::info : Level::debug, participant_role,
       commit ? "commit" : "abort", [&](wire::LogFields& fields) {
         add_op(fields, held.transaction.origin);
         add_txn(fields, txn);
         if (was_doubted) {
           fields.add("in_doubt_us", (now - held.since).count());
         }
       });
  drop(now, txn, out);
}

/// A commit was carried out before. An abort may have overtaken its Prepare.
void Participant::decide_unheld(const Decision& decision) {
  const TxnId& txn = decision.txn;
  if (decision.commit || tombstone_of(txn) != nullptr || is_before_mark(txn)) {
    return;
  }
  if (presumes_commit(options_)) {
    // It will not be told again, and then passes for committed. That its coordinator has another
    // life by now does not spare the record: a new life of ours may not know of that.
    outbox_.record(RecordKind::aborted, txn);
  } else if (is_finished(txn)) {
    return;
  }
  bury(txn, false);
}

void Participant::bury(const TxnId& txn, bool committed) {
  lives_[txn.coordinator].tombstones[txn] = committed ? Ballot::yes : Ballot::refused;
}

const Ballot* Participant::tombstone_of(const TxnId& txn) const {
  const auto life = lives_.find(txn.coordinator);
  if (life == lives_.end()) {
    return nullptr;
  }
  const auto found = life->second.tombstones.find(txn);
  return found == life->second.tombstones.end() ? nullptr : &found->second;
}

/// Everyone has acknowledged what needs it.
bool Participant::is_before_mark(const TxnId& txn) const {
  const auto life = lives_.find(txn.coordinator);
  return life != lives_.end() && std::tie(txn.boot, txn.sequence) <
                                     std::tie(life->second.mark_boot, life->second.mark_sequence);
}

/// Before the mark, or an earlier life's: no vote for it is waited for.
bool Participant::is_finished(const TxnId& txn) const {
  const auto life = lives_.find(txn.coordinator);
  return (life != lives_.end() && txn.boot < life->second.boot) || is_before_mark(txn);
}

void Participant::on_header(NodeId from, const Header& header) {
  Life& life = lives_[from];
  if (header.boot > life.boot) {
    life.boot = header.boot;
    for (const auto& [txn, held] : held_) {
      if (txn.coordinator == from && held->claim.prepared) {
        held->ask_at = Instant{};
        ask_dues_.push_front({held->ask_at, txn});  // whoever could tell is back
      }
    }
  }
  const auto mark = std::tie(header.mark_boot, header.mark_sequence);
  if (mark > std::tie(life.mark_boot, life.mark_sequence)) {
    life.mark_boot = header.mark_boot;
    life.mark_sequence = header.mark_sequence;
    forget_before_mark(life, from);
  }
}

void Participant::forget_before_mark(Life& life, NodeId coordinator) {
  const TxnId mark{coordinator, life.mark_boot, life.mark_sequence};
  life.tombstones.erase(life.tombstones.begin(), life.tombstones.lower_bound(mark));
}

Duration Participant::oldest_doubt() const {
  Duration oldest{};
  for (const auto& [txn, held] : held_) {
    if (held->asked > asks_before_doubt) {
      oldest = std::max(oldest, held->asked_last - held->since);
    }
  }
  return oldest;
}

std::size_t Participant::tombstones() const {
  std::size_t count = 0;
  for (const auto& [node, life] : lives_) {
    count += life.tombstones.size();
  }
  return count;
}

// --- in doubt ------------------------------------------------------------------------------------

/// Somebody promised this and does not know what became of it.
void Participant::on_inquiry(Instant now, NodeId from, const TxnId& txn, Effects& out) {
  check(txn.coordinator != self_);
  const auto found = held_.find(txn);
  if (found != held_.end() && found->second->claim.prepared) {
    return;  // as uncertain as the one who asks
  }
  const Ballot* tombstone = tombstone_of(txn);
  if (tombstone != nullptr) {
    return outbox_.decide(from, {txn, *tombstone == Ballot::yes});
  }
  if (is_before_mark(txn)) {
    // All that needs acknowledgement was acknowledged, by the one who asks too: the other it is.
    return outbox_.decide(from, {txn, presumes_commit(options_)});
  }
  if (found != held_.end()) {
    drop(now, txn, out);
  }
  // On disk before anybody may rely on it. Not a decision yet: a crash before that forgets it, and
  // nobody has heard of it then. Whoever hears of it tells the witness.
  outbox_.record(RecordKind::refused, txn);
  bury(txn, false);
  vote(txn, Ballot::refused);
  outbox_.decide(from, {txn, false});
}

void Participant::ask_who_is_due(Instant now, Effects& out) {
  while (!ask_dues_.empty() && ask_dues_.front().at <= now) {
    const AskDue due = ask_dues_.front();
    ask_dues_.pop_front();
    const auto held = held_.find(due.txn);
    if (held != held_.end() && held->second->ask_at == due.at) {
      ask(now, *held->second, out);
      plan_ask(now, *held->second);
    }
  }
}

void Participant::plan_ask(Instant now, Held& held) {
  held.ask_at = now + options_.inquire_after;
  ask_dues_.push_back({held.ask_at, held.transaction.id});
}

void Participant::ask(Instant now, Held& held, Effects& out) {
  const TxnId txn = held.transaction.id;
  const unsigned asked = held.asked++;
  held.asked_last = now;
  if (asked > 8 && asked % 8 != asks_before_doubt) {
    return;  // ever more rarely
  }
  outbox_.inquire(txn.coordinator, txn);
  if (asked < asks_before_doubt) {
    return;
  }
  for (const NodeId peer : outbox_.peers()) {
    if (peer != txn.coordinator) {
      outbox_.inquire(peer, txn);
    }
  }
  in_doubt_ += asked == asks_before_doubt ? 1 : 0;
  if (asked % 8 != asks_before_doubt) {
    return;
  }
  note(out, options_.note_level, Level::warn, participant_role, "in_doubt",
       [&](wire::LogFields& fields) {
         add_op(fields, held.transaction.origin);
         add_txn(fields, txn);
         fields.add("key", held.claim.keys.front());
         fields.add("age_us", (now - held.since).count());
       });
}

// --- this node's coordinator ---------------------------------------------------------------------

LockTable::Verdict Participant::claim(Instant now, std::uint64_t ticket, Age age,
                                      std::vector<std::string> keys, Effects& out) {
  auto claim = std::make_unique<Claim>();
  *claim = {.keys = std::move(keys), .age = age, .txn = {}, .ticket = ticket};
  LockTable::Turned turned;
  const LockTable::Verdict verdict = locks_.take(*claim, turned);
  if (verdict != LockTable::Verdict::dies) {
    check(own_.emplace(ticket, std::move(claim)).second);
  }
  settle(now, turned, out);
  return verdict;
}

void Participant::release(Instant now, std::uint64_t ticket, Effects& out) {
  const auto found = own_.find(ticket);
  if (found == own_.end()) {
    return;  // a life that is over had it
  }
  const std::unique_ptr<Claim> claim = std::move(found->second);
  own_.erase(found);
  decided_.erase(ticket);
  std::erase(granted_, ticket);
  LockTable::Turned turned;
  locks_.release(*claim, turned);
  touch(claim->keys);
  settle(now, turned, out);
}

void Participant::apply_own(std::uint64_t ticket, const Transaction& transaction) {
  decided_.emplace(ticket, transaction.id);
  state_->apply(transaction);
  touch(keys_of(transaction));
}

void Participant::release_undecided() {
  for (auto each = own_.begin(); each != own_.end(); ++each) {
    if (!decided_.contains(each->first)) {
      locks_.release(*each->second, turned_);
      touch(each->second->keys);
    }
  }
  std::erase_if(turned_.granted, [](const Claim* claim) { return claim->own(); });
  std::erase_if(own_, [this](const auto& each) { return !decided_.contains(each.first); });
  granted_.clear();
}

void Participant::release_decided() {
  for (const auto& [ticket, txn] : decided_) {
    const auto found = own_.find(ticket);
    check(found != own_.end());
    if (options_.witness != nullptr) {
      options_.witness->committed(txn);
    }
    locks_.release(*found->second, turned_);
    touch(found->second->keys);
    own_.erase(found);
  }
  decided_.clear();
}

// --- reads ---------------------------------------------------------------------------------------

void Participant::read(Instant now, RequestId id, const Command& command, Effects& out) {
  if (command.verb != Verb::get || !locks_.prepared(command.key)) {
    state_->read(command, out.answers.emplace_back(Answer{id, {}}).reply);
    return;
  }
  if (reads_waiting_ >= options_.reads_waiting_max) {
    out.answers.push_back({id, {Status::unavailable, {}, "too many reads wait"}});
    return;
  }
  readers_[command.key].push_back({id, command});
  read_dues_.push_back({now + options_.read_patience, id, command.key});
  ++reads_waiting_;
}

void Participant::serve_readers(const std::vector<std::string>& keys, Effects& out) {
  if (readers_.empty()) {
    return;
  }
  for (const std::string& key : keys) {
    const auto found = readers_.find(key);
    if (found == readers_.end() || locks_.prepared(key)) {
      continue;  // whoever let go only waited for it
    }
    for (const Reader& reader : found->second) {
      state_->read(reader.command, out.answers.emplace_back(Answer{reader.id, {}}).reply);
      --reads_waiting_;
    }
    readers_.erase(found);
  }
}

void Participant::give_up_reads(Instant now, Effects& out) {
  for (const RequestId id : std::exchange(orphans_, {})) {
    out.answers.push_back({id, {Status::unavailable, {}, "the participant died"}});
  }
  for (; !read_dues_.empty() && read_dues_.front().at <= now; read_dues_.pop_front()) {
    const ReadDue& due = read_dues_.front();
    const auto found = readers_.find(due.key);
    if (found == readers_.end() || found->second.front().id != due.id) {
      continue;  // it was served; those of one key wait in the order of their dues
    }
    found->second.pop_front();
    --reads_waiting_;
    out.answers.push_back({due.id, {Status::unavailable, {}, "the key is in doubt"}});
    if (found->second.empty()) {
      readers_.erase(found);
    }
  }
}

// --- time ----------------------------------------------------------------------------------------

void Participant::catch_up(Instant now, Effects& out) {
  if (!turned_.granted.empty() || !turned_.died.empty()) {
    settle(now, turned_, out);
  }
}

void Participant::tick(Instant now, Effects& out) {
  ask_who_is_due(now, out);
  give_up_reads(now, out);
}

Instant Participant::wake_at() const {
  if (!turned_.granted.empty() || !turned_.died.empty() || !orphans_.empty()) {
    return Instant{};
  }
  const Instant ask = ask_dues_.empty() ? never : ask_dues_.front().at;
  return std::min(ask, read_dues_.empty() ? never : read_dues_.front().at);
}

void Participant::tell_decided(const TxnId& txn, bool commit) const {
  if (options_.witness != nullptr) {
    options_.witness->decided(self_, txn, commit);
  }
}

void Participant::touch(const std::vector<std::string>& keys) const {
  if (options_.witness != nullptr) {
    for (const std::string& key : keys) {
      options_.witness->touched(self_, key);
    }
  }
}

void Participant::check_invariants() const {
  locks_.check_invariants();
  std::size_t prepared = 0;
  for (const auto& [txn, held] : held_) {
    prepared += held->claim.prepared ? 1 : 0;
    check(held->claim.holds || !held->claim.prepared);
    check(tombstone_of(txn) == nullptr);
  }
  check(prepared == prepared_);
}

}  // namespace kv::two_phase
