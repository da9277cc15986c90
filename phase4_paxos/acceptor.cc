#include "phase4_paxos/acceptor.h"

#include <algorithm>
#include <chrono>
#include <limits>

#include "common/core/check.h"
#include "common/core/hash.h"
#include "common/core/varint.h"
#include "common/wire/logfmt.h"

namespace kv::paxos {
namespace {

NodeId node_of(const Ballot& ballot) {
  return {ballot.node};
}

Bytes hash_text(const Bytes& value) {
  return std::to_string(hash_of(value));
}

}  // namespace

// --- phase 1 -------------------------------------------------------------------------------------

void Acceptor::on_prepare(Instant now, NodeId from, const Prepare& prepare, Post& post) {
  // 2.2, phase 1 (b): only a number greater than every one promised is promised. The same one
  // again is its proposer asking for the rest of the answer, or for a lost one.
  if (prepare.ballot < promised_) {
    return refuse(prepare.ballot, post);
  }
  if (prepare.ballot > promised_) {
    // 2.4: one distinguished proposer, for progress. Not answering is always safe.
    if (follows_another(now, prepare.ballot) || granted_to_another(now, prepare.ballot)) {
      return refuse(prepare.ballot, post);
    }
    raise(prepare.ballot);
    write_down(pack(Promised{promised_}), post);
    if (post.notes(Level::debug)) {
      post.note(Level::debug, wire::LogFields{}
                                  .add("role", "acceptor")
                                  .add("event", "promise")
                                  .add("ballot", to_text(promised_))
                                  .add("from_slot", prepare.from.value)
                                  .text());
    }
  }
  tell_promise(from, prepare, post);
}

/// A leader that this acceptor hears is alive: to promise another would only depose it.
bool Acceptor::follows_another(Instant now, const Ballot& ballot) const {
  return options_.leadership == Leadership::one && leader_heard_ && leader_ >= promised_ &&
         leader_.node != ballot.node && now - leader_at_ < options_.grant();
}

/// A ballot of the same node is no danger: whoever runs for another has stopped to read in the one
/// that the grant was for.
bool Acceptor::granted_to_another(Instant now, const Ballot& ballot) const {
  return now < granted_until_ && granted_to_.node != ballot.node;
}

void Acceptor::start(Instant now) {
  if (options_.reads == ReadsBy::lease) {
    granted_to_ = {.round = std::numeric_limits<std::uint64_t>::max(), .node = 0, .boot = 0};
    granted_until_ = now + options_.grant();
  }
}

/// To the leader of that ballot; for how long. A greater one is a leader's whom a majority has
/// promised its ballot: they waited until what they had granted to the one before was over. A lower
/// one may be a message that was late, and what was granted since stays granted.
Duration Acceptor::grant(Instant now, const Ballot& ballot) {
  if (options_.reads != ReadsBy::lease || (now < granted_until_ && ballot < granted_to_)) {
    return {};
  }
  granted_to_ = ballot;
  granted_until_ = now + options_.grant();
  return options_.grant();
}

/// P1a and P2c: what was accepted under lower numbers, so that the proposer proposes nothing else
/// where something may be chosen. In pieces, if it is long.
void Acceptor::tell_promise(NodeId to, const Prepare& prepare, Post& post) const {
  Promise promise{.ballot = promised_,
                  .from = prepare.from,
                  .floor = floor_,
                  .lives = lives_,
                  .incarnation = incarnation_};
  promise.next = collect(prepare.from, promise.accepted);
  post.send(to, pack(promise), after_memory());
  if (options_.watch_durability) {
    post.send(post.self(), pack(Stored{promised_, {}, incarnation_}), after_memory());
  }
}

/// What was accepted from slot `from` on; where the next piece begins, or 0 if that is all.
Slot Acceptor::collect(Slot from, std::vector<Proposal>& accepted) const {
  std::size_t bytes = 0;
  const Slot base = floor_ + 1;
  for (Slot slot = std::max(from, base); slot - base < entries_.size(); slot = slot + 1) {
    const Entry& each = entries_[slot - base];
    if (bytes >= reply_bytes_max) {
      return slot;
    }
    if (each.value) {
      accepted.push_back({slot, each.ballot, *each.value});
      bytes += each.value->size();
    }
  }
  return {};
}

/// In the life of whoever asks, what it said in earlier ones is void: whatever this acceptor says
/// from now on tells of that life, so that nobody counts both.
void Acceptor::on_recover_ask(NodeId from, std::size_t place, const RecoverAsk& ask, Post& post) {
  if (durable()) {
    return;
  }
  if (place < lives_.size()) {
    lives_[place] = std::max(lives_[place], ask.life);
  }
  RecoverTell tell{
      .life = ask.life, .from = ask.from, .floor = floor_, .promised = promised_, .lives = lives_};
  tell.next = collect(ask.from, tell.accepted);
  post.send(from, pack(tell), Leaves::at_once);
}

void Acceptor::write_down(Bytes record, Post& post) const {
  if (durable()) {
    post.record(std::move(record));
  }
}

void Acceptor::refuse(const Ballot& ballot, Post& post) const {
  post.send(node_of(ballot), pack(Refused{ballot, promised_}), Leaves::at_once);
}

void Acceptor::raise(const Ballot& ballot) {
  promised_ = std::max(promised_, ballot);
}

// --- phase 2 -------------------------------------------------------------------------------------

void Acceptor::on_accept(Instant now, const Accept& accept, const Value& value, ByteView record,
                         Post& post) {
  // 2.2, phase 2 (b), and P1a: everything is accepted, unless a greater number was promised.
  if (accept.ballot < promised_) {
    return refuse(accept.ballot, post);
  }
  if (accept.slot.value > floor_.value + slots_ahead_max) {
    return;  // our learner is that far behind: the others are enough
  }
  leader_ = accept.ballot;
  leader_at_ = now;
  leader_heard_ = true;
  if (accept.slot <= floor_) {
    // It is chosen, so this is the chosen value (P2b). The promise that lies in it is still one.
    if (accept.ballot > promised_) {
      raise(accept.ballot);
      write_down(pack(Promised{promised_}), post);
    }
  } else if (Entry& each = entry(accept.slot); each.ballot != accept.ballot) {
    raise(accept.ballot);
    each = {accept.ballot, value};
    write_down(Bytes{record}, post);
    if (post.notes(Level::debug)) {
      post.note(Level::debug, wire::LogFields{}
                                  .add("role", "acceptor")
                                  .add("event", "accept")
                                  .add("slot", accept.slot.value)
                                  .add("ballot", to_text(accept.ballot))
                                  .text());
    }
  }
  if (news_of_ != accept.ballot) {
    news_.clear();  // their proposer has been superseded
    news_of_ = accept.ballot;
  }
  news_.push_back(accept.slot);
}

void Acceptor::flush(Post& post) {
  if (news_.empty()) {
    return;
  }
  std::ranges::sort(news_);
  Accepted accepted{.ballot = news_of_, .slots = {}, .lives = lives_, .incarnation = incarnation_};
  Stored stored{promised_, {}, incarnation_};
  for (const Slot slot : news_) {
    if (!accepted.slots.empty() && slot <= accepted.slots.back().last + 1) {
      accepted.slots.back().last = slot;
    } else {
      accepted.slots.push_back({slot, slot});
    }
    if (options_.watch_durability && slot > floor_ && entry(slot).ballot == news_of_) {
      stored.accepted.push_back({slot, news_of_, hash_text(*entry(slot).value)});
    }
  }
  news_.clear();
  post.send(node_of(news_of_), pack(accepted), after_memory());
  if (options_.watch_durability) {
    post.send(post.self(), pack(stored), after_memory());
  }
}

/// Whoever asks is told whether its ballot is still the greatest: for as long as a majority says
/// so, nobody else can have had anything chosen.
void Acceptor::on_beat(Instant now, const Beat& beat, Post& post) {
  if (beat.ballot < promised_) {
    return refuse(beat.ballot, post);
  }
  leader_ = beat.ballot;
  leader_at_ = now;
  leader_heard_ = true;
  if (beat.round > 0) {
    const auto granted = std::chrono::floor<std::chrono::microseconds>(grant(now, beat.ballot));
    post.send(node_of(beat.ballot),
              pack(Confirmed{.ballot = beat.ballot,
                             .round = beat.round,
                             .incarnation = incarnation_,
                             .applied = applied_,
                             .grant_us = static_cast<std::uint64_t>(granted.count())}),
              Leaves::at_once);
  }
}

// --- what it keeps -------------------------------------------------------------------------------

Acceptor::Entry& Acceptor::entry(Slot slot) {
  check(slot > floor_);
  const std::uint64_t index = slot - (floor_ + 1);
  if (index >= entries_.size()) {
    entries_.resize(index + 1);
  }
  return entries_[index];
}

void Acceptor::forget(Slot slot) {
  for (; floor_ < slot; floor_ = floor_ + 1) {
    if (entries_.empty()) {
      floor_ = slot;
      return;
    }
    entries_.pop_front();
  }
}

void Acceptor::restore(const Head& head) {
  promised_ = head.promised;
  floor_ = head.applied;
  entries_.clear();
}

void Acceptor::recover(const Accept& accept, const Value& value) {
  raise(accept.ballot);
  if (accept.slot <= floor_) {
    return;
  }
  if (Entry& each = entry(accept.slot); each.ballot < accept.ballot) {
    each = {accept.ballot, value};
  }
}

void Acceptor::recover(const Ballot& promised, Slot floor,
                       const std::map<Slot, Proposal>& accepted) {
  promised_ = promised;
  floor_ = floor;
  entries_.clear();
  for (const auto& [slot, proposal] : accepted) {
    if (slot > floor_) {
      entry(slot) = {proposal.ballot, std::make_shared<const Bytes>(proposal.value)};
    }
  }
}

std::vector<Proposal> Acceptor::accepted_after(Slot slot) const {
  std::vector<Proposal> all;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    const Slot at = floor_ + 1 + i;
    if (at > slot && entries_[i].value) {
      all.push_back({at, entries_[i].ballot, *entries_[i].value});
    }
  }
  return all;
}

void Acceptor::digest_to(Bytes& out) const {
  wire::encode_to(promised_, out);
  write_varint(out, floor_.value);
  for (const Entry& each : entries_) {
    wire::encode_to(each.ballot, out);
    write_fixed(out, each.value ? hash_of(*each.value) : 0);
  }
  for (const std::uint64_t life : lives_) {
    write_varint(out, life);
  }
}

void Acceptor::check_invariants() const {
  if (!entries_.empty() && entries_.back().value) {
    check(entries_.back().ballot <= promised_);
  }
}

}  // namespace kv::paxos
