// Changes: proposed by the leader, forwarded to it by everyone else, answered when they are
// applied.
//
// Raft 5.1 has a follower redirect the client. Here it asks the leader itself, so that a client may
// stay with whomever it knows.
#include <algorithm>

#include "common/core/check.h"
#include "common/core/hash.h"
#include "common/core/transfer_time.h"
#include "phase5_raft/log_command.h"
#include "phase5_raft/raft_life.h"

namespace kv::raft {
namespace {

constexpr std::size_t seen_lives_max = 256;
constexpr std::size_t held_places_max = 8;  // for each request that may wait

std::uint64_t hash_of(const Origin& origin) {
  return kv::hash_of(origin.client, origin.sequence);
}

Reply outcome(Status status, const char* why) {
  return {.status = status, .value = {}, .why = why};
}

}  // namespace

const char* RaftLife::refusal_now() const {
  // One that was lost keeps the places of those behind it.
  if (waiting_.size() + held_open_ + reads_waiting_ >= options_.requests_max ||
      held_.size() >= held_places_max * options_.requests_max) {
    return "too many requests wait";
  }
  const std::size_t for_image = raft_.sending_image() ? options_.image_log_bytes_max : 0;
  const std::size_t most = options_.commit_lag_bytes_max + 2 * options_.log_bytes_kept + for_image;
  if (raft_.log().bytes() > most) {
    return "too much is not committed";
  }
  return nullptr;
}

/// payload_, the stamped command, becomes an entry; it leaves with the next tick().
void RaftLife::propose(Instant now, const Command& command, Waiting who) {
  if (join_waiting(command, who)) {
    return;
  }
  who.index = raft_.propose(now, EntryKind::command, payload_);
  if (!command.origin.client.empty()) {
    proposed_[hash_of(command.origin)] = who.index;
  }
  waiting_.push_back(who);
}

/// A client that asks again while its command is on its way waits for that one: else, whenever
/// answers are slow, repetitions would make them slower.
bool RaftLife::join_waiting(const Command& command, const Waiting& who) {
  if (command.origin.client.empty()) {
    return false;
  }
  const auto found = proposed_.find(hash_of(command.origin));
  if (found == proposed_.end() || raft_.log().term_at(found->second) != raft_.term() ||
      found->second <= applied_) {
    return false;
  }
  const EntryView entry = raft_.log().at(found->second);
  if (!read_log_command(entry.payload, other_) || other_.command != command) {
    return false;
  }
  Waiting joined = who;
  joined.index = found->second;
  const auto those = std::ranges::equal_range(waiting_, joined.index, {}, &Waiting::index);
  if (std::ranges::none_of(those, [&](const Waiting& each) { return each.is_same_asker(who); })) {
    waiting_.insert(those.end(), joined);
  }
  return true;
}

// --- what the leader must be asked for -----------------------------------------------------------

void RaftLife::hold(Instant now, RequestId id, const Command& command) {
  Held& fresh = held_.emplace_back();
  fresh.number = next_number_++;
  fresh.request = id;
  append_command(fresh.command, command);
  fresh.until = now + options_.request_patience;
  fresh.repeatable = !command.origin.client.empty();
  ++unsent_;
  ++held_open_;
}

/// Numbers have no gaps, so a number is a place.
RaftLife::Held* RaftLife::held(std::uint64_t number) {
  if (held_.empty() || number < held_.front().number || number > held_.back().number) {
    return nullptr;
  }
  Held& found = held_[number - held_.front().number];
  return found.done ? nullptr : &found;
}

void RaftLife::finish_held(Held& each, const Reply& reply, Effects& out) {
  out.answers.push_back({each.request, reply});
  unsent_ -= each.unsent ? 1 : 0;
  close_held(each);
}

void RaftLife::close_held(Held& each) {
  each.done = true;
  each.unsent = false;
  each.command = {};
  --held_open_;
}

void RaftLife::drop_finished() {
  while (!held_.empty() && held_.front().done) {
    held_.pop_front();
  }
}

void RaftLife::flush_held(Instant now, Effects& out) {
  if (unsent_ == 0) {
    return;
  }
  if (!raft_.leads()) {
    return forward_held(now, out);
  }
  if (!raft_.may_propose()) {
    return;  // leadership is being handed over: whoever has it then is asked
  }
  for (Held& each : held_) {
    if (each.unsent) {
      payload_.clear();
      append_stamp(payload_, stamper_.stamp(now, machine_->time()));
      payload_ += each.command;
      check(read_log_command(payload_, entry_));  // it was encoded here
      propose(now, entry_.command,
              {Index{}, raft_.term(), each.until, NodeId{}, each.request.value});
      close_held(each);  // it is answered as any other now
      --unsent_;
    }
  }
  drop_finished();
}

/// Of what was forwarded to the leader of now, and is not answered. What is so for long was lost.
std::size_t RaftLife::forwarded_bytes(Instant now) const {
  std::size_t bytes = 0;
  for (const Held& each : held_) {
    const bool on_its_way =
        !each.unsent && !each.done && now - each.asked < options_.forward_lost_after;
    bytes += on_its_way ? each.command.size() : 0;
  }
  return bytes;
}

/// One message for all that gathered, or a few. No more than arrives soon: what acknowledges the
/// leader's entries, by which it knows that it still leads, comes behind it.
void RaftLife::forward_held(Instant now, Effects& out) {
  if (raft_.leader().value == 0) {
    return;
  }
  std::size_t on_their_way = forwarded_bytes(now);
  Forward forward{.term = raft_.term(), .life = life_, .sequence = 0, .commands = {}};
  std::size_t bytes = 0;
  const auto send = [&] {
    forward.sequence = next_sequence_++;
    out.sends.push_back({raft_.leader(), encode_message(forward), false});
    forward.commands.clear();
    bytes = 0;
  };
  // What was not sent stands at the end, but for what is asked again.
  for (Held& each : held_) {
    if (!each.unsent) {
      continue;
    }
    if (on_their_way >= options_.forwarded_bytes_max) {
      break;  // a reply makes room
    }
    on_their_way += each.command.size();
    if (!forward.commands.empty() && bytes + each.command.size() > options_.forward_bytes_max) {
      send();
    }
    forward.commands.push_back({each.number, each.command});
    bytes += each.command.size();
    each.asked = now;
    each.asked_before = each.maybe_taken;
    each.maybe_taken = true;
    each.sequence = next_sequence_;
    each.unsent = false;
    --unsent_;
  }
  if (!forward.commands.empty()) {
    send();
  }
}

void RaftLife::on(Instant now, NodeId, const Forwarded& forwarded, Effects& out) {
  if (forwarded.life != life_) {
    return;  // an answer to a former life
  }
  for (const ForwardedReply& each : forwarded.replies) {
    Held* asked = held(each.number);
    if (asked == nullptr) {
      continue;
    }
    if (each.not_taken == 0) {
      finish_held(*asked, each.reply, out);
    } else if (each.not_taken == asked->sequence && !asked->asked_before) {
      asked->maybe_taken = false;  // that leader never will: sequence numbers see to it
    }
  }
  drop_finished();
  if (unsent_ > 0) {
    want_flush(now);
  }
}

// --- what others ask the leader for --------------------------------------------------------------

/// A message that comes again, or late, must not be taken: not every command has a session. Nor may
/// it be said that it was not taken: an earlier copy may have been. Sequence numbers rise within a
/// life of the forwarder; and it meant the leader of one term, whose copies are known for as long
/// as this life has led no other.
bool RaftLife::first_of_its_kind(NodeId from, const Forward& forward) {
  const auto seen = std::ranges::find_if(seen_lives_, [&](const SeenLife& each) {
    return each.from == from && each.life == forward.life;
  });
  if (seen == seen_lives_.end()) {
    if (seen_lives_.size() == seen_lives_max) {
      return false;  // until the next term: it restarts too often
    }
    seen_lives_.push_back({from, forward.life, forward.sequence});
    return true;
  }
  const bool later = forward.sequence > seen->sequence;
  seen->sequence = std::max(seen->sequence, forward.sequence);
  return later;
}

void RaftLife::on(Instant now, NodeId from, const Forward& forward, Effects& out) {
  if (forward.term != led_term_ || !first_of_its_kind(from, forward)) {
    return;  // its first copy is answered, or was; or a former life of ours may have taken one
  }
  const bool takes = raft_.leads() && forward.term == raft_.term() && raft_.may_propose() &&
                     refusal_now() == nullptr;
  for (const ForwardedCommand& each : forward.commands) {
    payload_.clear();
    append_stamp(payload_, stamper_.stamp(now, machine_->time()));
    payload_ += each.command;
    const bool good = takes && read_log_command(payload_, entry_) &&
                      changes_something(entry_.command.verb) &&
                      refusal_of(entry_.command) == nullptr;
    if (!good) {
      reply_to(from, {.number = each.number, .not_taken = forward.sequence, .reply = {}},
               forward.life);
      continue;
    }
    propose(
        now, entry_.command,
        {Index{}, raft_.term(), now + options_.request_patience, from, each.number, forward.life});
    if (noting(Level::debug)) {
      note_op("propose", raft_.log().last(), entry_.command, out);
    }
  }
  want_flush(now);
}

void RaftLife::reply_to(NodeId forwarder, ForwardedReply reply, std::uint64_t life) {
  auto found = std::ranges::find_if(replies_, [&](const Replies& each) {
    return each.to == forwarder && each.message.life == life;
  });
  if (found == replies_.end()) {
    replies_.push_back({forwarder, {.life = life, .replies = {}}});
    found = std::prev(replies_.end());
  }
  found->message.replies.push_back(std::move(reply));
}

/// They say what a majority has on disk, or that nothing was done: our own disk need not have it.
void RaftLife::flush_replies(Effects& out) {
  for (const Replies& each : replies_) {
    out.sends.push_back({each.to, encode_message(each.message), false});
  }
  replies_.clear();
}

// --- what is committed ---------------------------------------------------------------------------

/// Whoever lacks more than the state itself is better served with an image of that.
std::size_t RaftLife::log_bytes_worth_keeping() const {
  return std::min(options_.log_bytes_kept,
                  std::max(options_.log_bytes_worth, machine_->memory_bytes()));
}

void RaftLife::apply_committed(Effects& out) {
  if (applied_ >= raft_.commit()) {
    return;
  }
  while (applied_ < raft_.commit()) {
    ++applied_;
    apply_one(raft_.log().at(applied_), out);
    sample();
  }
  raft_.applied(applied_);
  raft_.trim_log(log_bytes_worth_keeping(), options_.image_log_bytes_max);
  if (said_ && said_->index <= applied_) {
    compare(*said_, out);
  }
}

void RaftLife::apply_one(const EntryView& entry, Effects& out) {
  if (entry.kind != EntryKind::command) {
    return;
  }
  check(read_log_command(entry.payload, entry_));  // the leader looked at it before it proposed it
  machine_->apply(entry_, reply_);
  if (noting(Level::debug) && now_ != Instant{}) {
    note_op("apply", applied_, entry_.command, out);
  }
  if (!proposed_.empty() && !entry_.command.origin.client.empty()) {
    const auto found = proposed_.find(hash_of(entry_.command.origin));
    if (found != proposed_.end() && found->second <= applied_) {
      proposed_.erase(found);
    }
  }
  while (!waiting_.empty() && waiting_.front().index == applied_) {
    const Waiting waiting = waiting_.front();
    waiting_.pop_front();
    check(waiting.term == entry.term);  // what was truncated does not wait any more
    const bool last = waiting_.empty() || waiting_.front().index != applied_;
    tell(waiting, last ? std::move(reply_) : Reply{reply_}, out);
  }
}

void RaftLife::tell(const Waiting& waiting, Reply&& reply, Effects& out) {
  if (waiting.from.value == 0) {
    out.answers.push_back({RequestId{waiting.number}, std::move(reply)});
  } else {
    reply_to(waiting.from, {.number = waiting.number, .not_taken = 0, .reply = std::move(reply)},
             waiting.life);
  }
}

/// What was taken from our log may still be in another's, and be committed by a later leader.
void RaftLife::give_up_truncated(Effects& out) {
  const RaftLog& log = raft_.log();
  while (!waiting_.empty() && (waiting_.back().index > log.last() ||
                               (waiting_.back().index > log.base() &&
                                log.term_at(waiting_.back().index) != waiting_.back().term))) {
    tell(waiting_.back(), outcome(Status::unknown, "another leader came before it was committed"),
         out);
    waiting_.pop_back();
  }
  // And what an image of the state stands for: done or not, its reply is not known.
  while (!waiting_.empty() && waiting_.front().index <= log.base()) {
    tell(waiting_.front(), outcome(Status::unknown, "its reply was not seen here"), out);
    waiting_.pop_front();
  }
}

// --- time ----------------------------------------------------------------------------------------

void RaftLife::end_patience_of_changes(Instant now, Effects& out) {
  while (!waiting_.empty() && waiting_.front().until <= now) {
    tell(waiting_.front(), outcome(Status::unknown, "it was not committed in time"), out);
    waiting_.pop_front();
  }
  // The others forward as much, and the leader sends all of it on.
  const Duration lost_after = options_.ask_again_after + transfer_time(8 * forwarded_bytes(now));
  for (Held& each : held_) {
    if (each.done) {
      continue;
    }
    if (each.until <= now) {
      finish_held(each,
                  each.maybe_taken ? outcome(Status::unknown, "the leader did not answer in time")
                                   : outcome(Status::unavailable, "there is no leader"),
                  out);
    } else if (!each.unsent && now - each.asked >= lost_after &&
               (each.repeatable || !each.maybe_taken)) {
      each.unsent = true;
      ++unsent_;
    }
  }
  drop_finished();
  if (unsent_ > 0) {
    want_flush(now);
  }
}

}  // namespace kv::raft
