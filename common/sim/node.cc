#include "common/sim/node.h"

#include <algorithm>

#include "common/core/check.h"
#include "common/wire/frame.h"
#include "common/wire/line.h"
#include "common/wire/logfmt.h"

namespace kv::sim {
namespace {

using std::chrono::hours;
using std::chrono::microseconds;

constexpr Duration wake_ahead_max = hours{24};

}  // namespace

Node::Node(World& world, Protocol& protocol, const Scenario& scenario, NodeId self)
    : world_(world),
      protocol_(protocol),
      scenario_(scenario),
      self_(self),
      random_(world.random_for("node", self.value)),
      journal_(disk_, scenario.disk.segment_bytes),
      snapshots_(disk_) {}

void Node::handle(const Event& event) {
  if (event.kind == EventKind::message || event.kind == EventKind::request) {
    return gather({.is_request = event.kind == EventKind::request, .item = event.item});
  }
  if (event.life != life_) {
    return;
  }
  switch (event.kind) {
    case EventKind::wake:
      wake_planned_ = wake_planned_ == world_.now() ? never : wake_planned_;
      return run();
    case EventKind::run:
      run_planned_ = false;
      return run();
    case EventKind::sync_done:
      return finish_sync();
    case EventKind::snapshot:
      return take_snapshot_piece();
    default:
      check(false);
  }
}

// --- a run ---------------------------------------------------------------------------------------

void Node::gather(Input input) {
  if (up() && inbox_.size() < inbox_max) {
    inbox_.push_back(input);
    return plan_run();
  }
  if (input.is_request) {
    refuse_request(world_.asks[input.item].id, up() ? "too many requests wait" : "no connection");
  }
  give_back(input);
}

void Node::plan_run() {
  if (!run_planned_) {
    run_planned_ = true;
    schedule(EventKind::run, random_.between(microseconds{1}, microseconds{30}));
  }
}

void Node::run() {
  if (pauses_ > 0) {
    run_missed_ = true;
    return;
  }
  inputs_.swap(inbox_);
  tell_room();
  const bool tick_first = random_.chance(0.5);
  if (tick_first) {
    tick_if_due();
  }
  for (const Input& input : inputs_) {
    tell(input);
  }
  inputs_.clear();
  if (!tick_first) {
    tick_if_due();
  }
  ship();
}

void Node::tell(const Input& input) {
  if (input.is_request) {
    tell_request(input.item);
  } else {
    tell_message(input.item);
  }
  give_back(input);
}

void Node::give_back(const Input& input) {
  if (input.is_request) {
    world_.asks.give(input.item);
  } else {
    world_.envelopes.give(input.item);
  }
}

void Node::refuse_request(RequestId id, std::string why) {
  world_.answer({.request = id,
                 .reply = {.status = Status::unavailable, .value = {}, .why = std::move(why)}});
}

void Node::tell_message(std::uint32_t item) {
  const Envelope& envelope = world_.envelopes[item];
  ByteView stream = envelope.frame;
  wire::Frame frame;
  const bool whole = wire::take_frame(stream, frame) == wire::FrameVerdict::whole;
  if (envelope.flipped) {
    if (whole) {
      return world_.fail("the_frame_catches_every_flipped_bit", "a damaged frame was accepted");
    }
    ++world_.counts.flips_caught;
    return;
  }
  check(whole && stream.empty() && frame.to == self_);
  if (!envelope.own && !world_.network.open({frame.from, self_})) {
    ++world_.counts.messages_lost;  // cut while it was on its way
    return;
  }
  if (world_.noting() && !envelope.own) {
    world_.trace(self_, Level::debug,
                 wire::LogFields{}
                     .add("event", "receive")
                     .add("msg", frame.msg)
                     .add("from", frame.from.value)
                     .text());
  }
  replica_->receive(local_now(), frame.from, frame.body, effects_);
  after_call();
}

void Node::tell_request(std::uint32_t item) {
  const Ask& ask = world_.asks[item];
  if (disk_state_ == DiskState::full && changes_something(ask.command.verb)) {
    return refuse_request(ask.id, "the disk is full");
  }
  if (open_requests_.size() >= waiting_requests_max) {
    return refuse_request(ask.id, "too many requests wait");
  }
  check(open_requests_.insert(ask.id.value).second);
  if (world_.noting()) {
    trace_request(ask);
  }
  replica_->request(local_now(), ask.id, ask.command, effects_);
  after_call();
}

void Node::trace_request(const Ask& ask) {
  std::string& op = ops_[ask.id.value];
  wire::append_origin(op, ask.command.origin);
  world_.trace(self_, Level::info,
               wire::LogFields{}
                   .add("event", "request")
                   .add("op", op)
                   .add("verb", name_of(ask.command.verb))
                   .add("key", ask.command.key)
                   .text());
}

void Node::trace_answer(const Answer& answer) {
  const auto op = ops_.find(answer.request.value);
  world_.trace(self_, Level::info,
               wire::LogFields{}
                   .add("event", "answer")
                   .add("op", op == ops_.end() ? "" : op->second)
                   .add("result", name_of(answer.reply.status))
                   .text());
  ops_.erase(answer.request.value);
}

void Node::tick_if_due() {
  if (local_now() >= replica_->wake_at()) {
    replica_->tick(local_now(), effects_);
    after_call();
  }
}

/// Once it has changed since this life was last told.
void Node::tell_room() {
  const bool has_room = disk_state_ != DiskState::full;
  if (has_room != std::exchange(told_room_, has_room)) {
    replica_->see_room(has_room);
    after_call();
  }
}

void Node::after_call() {
  replica_->check_invariants();
  ++world_.counts.calls;
}

/// Everything that a run asks of the world, in the order that keeps the replica's promises.
void Node::ship() {
  for (const Note& note : effects_.notes) {
    world_.note(self_, note.level, note.fields);
  }
  if (!effects_.records.empty() && dies_at(CrashPoint::before_write)) {
    return;
  }
  take_answers();
  given_out_ += effects_.records.size();
  std::ranges::move(effects_.records, std::back_inserter(unwritten_));
  Waiting waiting{.needs = given_out_, .sends = {}, .answers = std::move(effects_.answers)};
  for (Send& send : effects_.sends) {
    if (send.after_records) {
      waiting.sends.push_back(std::move(send));
    } else {
      this->send(send);
    }
  }
  effects_.clear();
  if (!waiting.sends.empty() || !waiting.answers.empty()) {
    waiting_.push_back(std::move(waiting));
  }
  write_records();
  release();
  begin_snapshot_if_due();
  plan_wake();
}

void Node::take_answers() {
  for (const Answer& answer : effects_.answers) {
    if (open_requests_.erase(answer.request.value) == 0) {
      world_.fail("each_request_is_answered_once",
                  "request " + std::to_string(answer.request.value) + " is answered again");
    }
  }
}

void Node::write_records() {
  if (!up() || syncing_ || unwritten_.empty()) {
    return;
  }
  std::size_t bytes = 0;
  std::size_t count = 0;
  while (count < unwritten_.size() && (count == 0 || bytes < wire::journal_batch_bytes_max / 2)) {
    bytes += unwritten_[count++].size();
  }
  if (disk_state_ == DiskState::full) {
    if (bytes > reserve_left_) {
      return;
    }
    reserve_left_ -= bytes;
  }
  const auto end = unwritten_.begin() + static_cast<std::ptrdiff_t>(count);
  writing_.assign(std::make_move_iterator(unwritten_.begin()), std::make_move_iterator(end));
  unwritten_.erase(unwritten_.begin(), end);
  journal_.write(writing_);
  bytes_since_snapshot_ += wire::journal_batch_bytes(writing_);
  world_.counts.records += count;
  syncing_ = true;
  if (dies_at(CrashPoint::after_write)) {
    return;
  }
  const Duration latency = random_.between(scenario_.disk.sync.low, scenario_.disk.sync.high);
  schedule(EventKind::sync_done, disk_state_ == DiskState::slow ? latency * disk_factor_ : latency);
}

void Node::finish_sync() {
  if (pauses_ > 0 || disk_state_ == DiskState::hung) {
    sync_held_ = true;
    return;
  }
  if (dies_at(CrashPoint::sync_fails)) {
    return;
  }
  journal_.sync();
  ++world_.counts.syncs;
  syncing_ = false;
  if (dies_at(CrashPoint::after_sync)) {
    return;
  }
  release();
  write_records();
  start_waiting_roles();
}

/// What held the sync may be over; if it is not, the event finds that out.
void Node::try_held_sync() {
  if (up() && sync_held_) {
    sync_held_ = false;
    schedule(EventKind::sync_done, Duration{});
  }
}

void Node::release() {
  while (up() && !waiting_.empty() && waiting_.front().needs <= journal_.synced()) {
    if (!release_one(waiting_.front())) {
      return;
    }
    waiting_.pop_front();
  }
}

void Node::send(const Send& send) {
  if (send.to != self_) {
    return world_.send(self_, send);
  }
  inbox_.push_back({.is_request = false, .item = world_.enclose(self_, send)});
  plan_run();
}

/// False if the process died over it.
bool Node::release_one(Waiting& waiting) {
  std::size_t left = 0;
  const std::size_t half = (waiting.sends.size() + waiting.answers.size()) / 2;
  for (const Send& send : waiting.sends) {
    if (left++ == half && dies_at(CrashPoint::during_send)) {
      return false;
    }
    this->send(send);
  }
  for (const Answer& answer : waiting.answers) {
    if (left++ == half && dies_at(CrashPoint::during_send)) {
      return false;
    }
    if (world_.noting()) {
      trace_answer(answer);
    }
    world_.answer(answer);
  }
  return !dies_at(CrashPoint::after_send);
}

void Node::plan_wake() {
  if (!up()) {
    return;
  }
  const Instant local = replica_->wake_at();
  if (local == never || local - local_now() > wake_ahead_max) {
    return;
  }
  const Duration delay = until(local);
  if (world_.now() + delay < wake_planned_) {
    wake_planned_ = world_.now() + delay;
    schedule(EventKind::wake, delay);
  }
}

// --- small things --------------------------------------------------------------------------------

void Node::schedule(EventKind kind, Duration delay) {
  world_.after(delay, {.life = life_, .kind = kind, .target = self_.value});
}

void Node::note_event(Level level, std::string_view event, std::string_view key,
                      std::string_view value) {
  wire::LogFields fields;
  fields.add("event", event);
  if (!key.empty()) {
    fields.add(key, value);
  }
  world_.note(self_, level, fields.text());
}

}  // namespace kv::sim
