#include "phase4_paxos/desk.h"

#include <algorithm>
#include <utility>

#include "common/core/check.h"
#include "common/core/hash.h"
#include "common/core/transfer_time.h"
#include "common/core/varint.h"
#include "common/wire/line.h"
#include "common/wire/logfmt.h"

namespace kv::paxos {
namespace {

constexpr std::size_t forward_header_bytes = 2;
constexpr int sends_before_again = 4;  // a parcel may have to wait at the leader for a while

constexpr const char* outcome_not_seen = "its outcome was not seen";

ByteView parcel_of(const Bytes& forward) {
  return ByteView{forward}.substr(forward_header_bytes);
}

Reply refusal(Status status, const char* why) {
  return {.status = status, .value = {}, .why = why};
}

}  // namespace

void Desk::start(Instant now, std::uint64_t boot) {
  now_ = now;
  boot_ = boot;
  booted_ = false;
  if (options_.leadership == Leadership::none) {
    leader_ = {.round = 0, .node = self_.value, .boot = boot};
  }
}

void Desk::on_booted(std::uint64_t boot) {
  booted_ = booted_ || boot == boot_;
}

// --- in ------------------------------------------------------------------------------------------

void Desk::request(Instant now, RequestId id, const Command& command, Post& post) {
  now_ = now;
  if (command.verb == Verb::ping) {
    return post.answer(id, {});
  }
  if (bytes_ > options_.desk_bytes_max) {
    return post.answer(id, refusal(Status::unavailable, "too many commands wait for a leader"));
  }
  look_at_ = std::min(look_at_, now + options_.resend_after);
  if (!changes_something(command.verb)) {
    if (reads_.reads.empty()) {
      reads_.since = now;
    }
    reads_.reads.push_back({id, command});
    return;
  }
  gather(now, id, command);
}

void Desk::gather(Instant now, RequestId id, const Command& command, bool took_effect) {
  if (gathered_.empty() || gathered_.back().commands.size() >= options_.parcel_bytes ||
      gathered_.back().took_effect != took_effect) {
    gathered_.push_back({.commands = {}, .requests = {}, .since = now, .took_effect = took_effect});
  }
  Gathered& last = gathered_.back();
  const std::size_t before = last.commands.size();
  append_command(last.commands, command, scratch_);
  last.requests.push_back(id);
  bytes_ += last.commands.size() - before;
}

void Desk::on_leader(Instant now, const Ballot& ballot) {
  now_ = now;
  if (ballot < leader_) {
    return;
  }
  heard_at_ = now;
  if (options_.leadership == Leadership::none) {
    return;  // its own proposer is asked, whoever won last
  }
  if (ballot > leader_) {
    leader_is_new_ = waits();
    leader_ = ballot;
  }
}

// --- out -----------------------------------------------------------------------------------------

void Desk::tick(Instant now, Post& post) {
  now_ = now;
  if (leader_is_new_) {
    leader_is_new_ = false;
    send_again(now, true, post);
  }
  while (can_hand_in()) {
    hand_in(now, post);
  }
  if (can_ask()) {
    ask(now, post);
  }
  if (now >= look_at_) {
    give_up(now - options_.command_patience, "nobody leads", "no majority answers", post);
    send_again(now, false, post);
    look_at_ = waits() ? now + options_.resend_after : never;
  }
}

Instant Desk::wake_at() const {
  return leader_is_new_ || can_hand_in() || can_ask() ? now_ : look_at_;
}

void Desk::hand_in(Instant now, Post& post) {
  Gathered& next = gathered_.front();
  const ParcelId id{self_, boot_, first_ + open_.size()};
  const Bytes head = begin_parcel(id);
  Bytes message = pack(Forward{}, head);
  message.append(next.commands);
  bytes_ += message.size() - next.commands.size();
  open_bytes_ += message.size();
  if (post.notes(Level::debug)) {
    post.note(Level::debug, wire::LogFields{}
                                .add("role", "desk")
                                .add("event", "forward")
                                .add("parcel", id.number)
                                .add("commands", next.requests.size())
                                .add("to", leader_.node)
                                .text());
  }
  post.send({leader_.node}, message, Leaves::at_once);
  open_.push_back({.message = std::move(message),
                   .requests = std::move(next.requests),
                   .since = next.since,
                   .sent_at = now});
  gathered_.pop_front();
}

void Desk::ask(Instant now, Post& post) {
  asked_ = std::exchange(reads_, {});
  asked_->number = ++last_question_;
  asked_->sent_at = now;
  post.send({leader_.node}, pack(ReadAsk{boot_, asked_->number}), Leaves::at_once);
}

void Desk::send_again(Instant now, bool all, Post& post) {
  if (!ready()) {
    return;
  }
  // The others' desks hand in as much, and the leader sends all of it on.
  const Duration patience =
      sends_before_again * options_.resend_after + transfer_time(8 * open_bytes_);
  for (Open& open : open_) {
    if (!open.requests.empty() && (all || now - open.sent_at >= patience)) {
      open.sent_at = now;
      post.send({leader_.node}, open.message, Leaves::at_once);
    }
  }
  if (asked_ && (all || now - asked_->sent_at >= options_.resend_after)) {
    asked_->sent_at = now;
    post.send({leader_.node}, pack(ReadAsk{boot_, asked_->number}), Leaves::at_once);
  }
}

void Desk::abandon(const char* why, Post& post) {
  give_up(never, why, why, post);
}

/// Whoever waits since then is told what is certain: nothing, if a parcel has left with it.
void Desk::give_up(Instant oldest, const char* why_here, const char* why_away, Post& post) {
  while (!gathered_.empty() && gathered_.front().since <= oldest) {
    const bool certain = !gathered_.front().took_effect;
    for (const RequestId id : gathered_.front().requests) {
      post.answer(id, certain ? refusal(Status::unavailable, why_here)
                              : refusal(Status::unknown, outcome_not_seen));
    }
    bytes_ -= gathered_.front().commands.size();
    gathered_.pop_front();
  }
  for (Open& open : open_) {
    if (open.since <= oldest) {
      for (const RequestId id : open.requests) {
        post.answer(id, refusal(Status::unknown, why_away));
      }
      close(open);
    }
  }
  drop_closed();
  const auto refuse_reads = [&](const Reads& reads) {
    for (const Read& read : reads.reads) {
      post.answer(read.request, refusal(Status::unavailable, why_away));
    }
  };
  if (!reads_.reads.empty() && reads_.since <= oldest) {
    refuse_reads(std::exchange(reads_, {}));
  }
  if (asked_ && asked_->since <= oldest) {
    refuse_reads(*std::exchange(asked_, std::nullopt));
  }
  for (; !answered_.empty() && answered_.front().since <= oldest; answered_.pop_front()) {
    refuse_reads(answered_.front());
  }
}

// --- answers -------------------------------------------------------------------------------------

void Desk::on_replied(const Replied& done, Post& post) {
  if (is_of_another_life({self_, done.boot, done.number})) {
    older_copy_ = true;
    return;
  }
  if (done.boot != boot_ || done.number < first_ || done.number - first_ >= open_.size()) {
    return;  // it was given up
  }
  Open& open = open_[done.number - first_];
  if (!open.message.empty() && hash_of(parcel_of(open.message)) != done.print) {
    older_copy_ = true;  // another life handed in something else by this number
    return;
  }
  if (done.replies.empty()) {
    settle(open, post);
  } else {
    const std::size_t count = std::min(open.requests.size(), done.replies.size());
    for (std::size_t i = 0; i < count; ++i) {
      post.answer(open.requests[i], done.replies[i]);
    }
    close(open);
  }
  drop_closed();
}

bool Desk::is_of_another_life(const ParcelId& id) const {
  const std::uint64_t next = first_ + open_.size();
  return born_ && (id.boot > boot_ || (id.boot == boot_ && id.number >= next));
}

/// The parcel took effect where nobody here saw its replies. A command with an origin is handed in
/// again: it is not executed again, and the outcome it had is remembered with its client.
void Desk::settle(Open& open, Post& post) {
  if (open.requests.empty()) {
    return;
  }
  const Bytes message = std::move(open.message);
  const std::vector<RequestId> requests = std::move(open.requests);
  bytes_ -= message.size();
  open_bytes_ -= message.size();
  open.message.clear();
  open.requests.clear();
  ByteView rest = parcel_of(message);
  check(read_parcel_id(rest).has_value());
  Command command;
  for (const RequestId id : requests) {
    check(read_command(rest, command));
    if (command.origin.client.empty()) {
      post.answer(id, refusal(Status::unknown, outcome_not_seen));
    } else {
      gather(now_, id, command, /*took_effect=*/true);
    }
  }
  look_at_ = std::min(look_at_, now_ + options_.resend_after);
}

void Desk::on_leapt(ByteView windows, Post& post) {
  ParcelWindows parcels;
  check(parcels.decode(windows));
  if (is_of_another_life(parcels.newest(self_))) {
    older_copy_ = true;
    return;
  }
  for (std::size_t i = 0; i < open_.size(); ++i) {
    if (parcels.taken({self_, boot_, first_ + i})) {
      settle(open_[i], post);
    }
  }
  drop_closed();
  applied_ = {};
  for (Reads& reads : answered_) {
    reads.handed = false;
  }
}

void Desk::close(Open& open) {
  bytes_ -= open.message.size();
  open_bytes_ -= open.message.size();
  open.message.clear();
  open.requests.clear();
}

/// A closed parcel keeps its place until those before it are closed.
void Desk::drop_closed() {
  while (!open_.empty() && open_.front().requests.empty()) {
    open_.pop_front();
    ++first_;
  }
}

void Desk::on_read_at(Instant now, const ReadAt& read_at, Post& post) {
  now_ = now;
  if (!asked_ || read_at.boot != boot_ || read_at.number != asked_->number) {
    return;
  }
  asked_->slot = read_at.slot;
  answered_.push_back(*std::exchange(asked_, std::nullopt));
  hand_reads(post);
}

void Desk::on_progress(Slot applied, Post& post) {
  applied_ = applied;
  hand_reads(post);
}

/// What is applied up to the leader's slot shows every write that was answered before the question
/// was asked.
void Desk::hand_reads(Post& post) {
  for (Reads& reads : answered_) {
    if (reads.handed || reads.slot > applied_) {
      continue;
    }
    reads.handed = true;
    ReadNow now{.number = reads.number, .slot = reads.slot, .commands = {}};
    for (const Read& read : reads.reads) {
      now.commands.push_back(read.command);
    }
    post.send(self_, pack(now), Leaves::at_once);
  }
}

void Desk::on_read_done(const ReadDone& done, Post& post) {
  const auto found = std::ranges::find(answered_, done.number, &Reads::number);
  if (found == answered_.end() || found->reads.size() != done.replies.size()) {
    return;  // answered by an earlier life, or given up
  }
  for (std::size_t i = 0; i < done.replies.size(); ++i) {
    post.answer(found->reads[i].request, done.replies[i]);
  }
  answered_.erase(found);
}

}  // namespace kv::paxos
