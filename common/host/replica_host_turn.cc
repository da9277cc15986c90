// A turn of the protocol's thread: what has come in is given to the Replica, and what it answers is
// let out in the order that keeps "records before messages".
#include <algorithm>
#include <utility>

#include "common/host/replica_host_core.h"

namespace kv::host {
namespace {

using wire::LogFields;

/// What one turn gives to the Replica at most, so that answers, timers and snapshot pieces get
/// their turn.
constexpr std::size_t requests_a_turn_max = 512;
constexpr std::size_t bytes_a_turn_max = 1024 * 1024;

/// A thread that has other work makes so many turns at a stretch.
constexpr int turns_lent_max = 4;

}  // namespace

/// On the thread that brought `messages`, or news from the disk: if nobody works, it does.
void ReplicaHost::Core::bring(std::vector<PeerMessage>& messages) {
  if (inbox_.add_and_work(messages, input_)) {
    work_a_while();
  }
}

/// On the thread that gathered requests.
void ReplicaHost::Core::begin() {
  if (inbox_.work_if_something(input_)) {
    work_a_while();
  }
}

void ReplicaHost::Core::work_a_while() {
  for (int turns = 1;; ++turns) {
    lent_ = true;
    turn();
    lent_ = false;
    if (!inbox_.rest(due(), turns < turns_lent_max ? &input_ : nullptr)) {
      return;
    }
  }
}

void ReplicaHost::Core::turn() {
  now_ = run_now();
  take_input();
  step();
}

void ReplicaHost::Core::take_input() {
  if (input_.stopping && stop_by_ == never) {
    stop_by_ = now_ + options_.drain_patience;
  }
  if (input_.messages_dropped > 0) {
    note(Level::warn, LogFields{}
                          .add("event", "dropped_messages")
                          .add("count", input_.messages_dropped)
                          .add("why", "this replica is behind"));
    counts_.messages_dropped.add(std::exchange(input_.messages_dropped, 0));
  }
  for (PeerMessage& message : input_.messages) {
    messages_.push_back(std::move(message));
  }
  for (WaitingRequest& request : input_.requests) {
    counts_.requests.add();
    const RequestId id{counts_.requests.read()};
    open_.emplace(id, Open{std::move(request.done), false});
    patience_ends_.emplace_back(request.submitted + options_.patience, id);
    held_.push_back({id, std::move(request.command), std::move(request.change)});
  }
}

/// A turn ends at its limits; whatever is left is for the next one, without sleep.
bool ReplicaHost::Core::more_to_do_now() const {
  if (snapshot_ == Snapshot::pulling && taker_->wants_piece()) {
    return true;
  }
  if (may_bear_role()) {
    return true;
  }
  return !held_back() && (!own_messages_.empty() || !messages_.empty() ||
                          (!held_.empty() && room_ != Journal::Room::wait));
}

Instant ReplicaHost::Core::due() const {
  return drained() || more_to_do_now() ? now_ : sleep_until();
}

Instant ReplicaHost::Core::sleep_until() const {
  Instant until = std::min({log_due_, stop_by_, totals_due_});
  if (!held_back()) {
    until = std::min(until, replica_->wake_at());
  }
  if (!patience_ends_.empty()) {
    until = std::min(until, patience_ends_.front().first);
  }
  if (next_failure_ && stop_by_ == never) {
    until = std::min(until, next_failure_->at);
  }
  if (snapshot_ == Snapshot::none && snapshot_due()) {
    until = std::min(until, snapshot_not_before_);
  }
  return until;
}

void ReplicaHost::Core::step() {
  release_durable();
  look_at_room();
  go_on_with_roles();
  give_messages();
  give_requests();
  give_tick();
  look_at_members();
  settle();
  end_patience();
  go_on_with_snapshot();
  inbox_.took(std::exchange(answered_, 0), std::exchange(request_bytes_used_, 0),
              std::exchange(message_bytes_used_, 0));
  counts_.requests_open.set(open_.size());
  counts_.requests_waiting.set(held_.size());
  counts_.batches_withheld.set(withheld_.size());
  look_at_service();
  read_gauges();
  tell_totals();
  flush_log();
}

void ReplicaHost::Core::give_messages() {
  while (!own_messages_.empty() && !held_back()) {
    replica_->receive(now_, options_.self, own_messages_.front(), effects_);
    own_messages_.pop_front();
  }
  std::size_t bytes = 0;
  while (!messages_.empty() && !held_back() && bytes < bytes_a_turn_max) {
    const PeerMessage& message = messages_.front();
    count_received(message);
    replica_->receive(now_, message.from, message.bytes, effects_);
    message_bytes_used_ += message.bytes.size();
    bytes += message.bytes.size() + 1;
    messages_.pop_front();
  }
}

void ReplicaHost::Core::give_requests() {
  std::size_t bytes = 0;
  for (std::size_t count = 0; count < requests_a_turn_max && bytes < bytes_a_turn_max; ++count) {
    const bool refuses = room_ == Journal::Room::none;
    if (held_.empty() || (!refuses && (held_back() || room_ == Journal::Room::wait))) {
      return;
    }
    Held request = std::move(held_.front());
    held_.pop_front();
    const std::size_t request_bytes = bytes_of(request.command);
    request_bytes_used_ += request_bytes;
    bytes += request_bytes;
    const auto found = open_.find(request.id);
    if (found == open_.end()) {
      continue;  // its patience has ended
    }
    const bool writes = request.change != nullptr || changes_something(request.command.verb);
    if (refuses || (writes && room_ == Journal::Room::full)) {
      answer(request.id, {.status = Status::unavailable, .value = {}, .why = "the disk is full"});
      continue;
    }
    found->second.given = true;
    give(request);
  }
}

void ReplicaHost::Core::give(Held& request) {
  if (request.change) {
    members_->change_members(now_, request.id, *request.change, effects_);
  } else {
    replica_->request(now_, request.id, request.command, effects_);
  }
}

void ReplicaHost::Core::give_tick() {
  if (!held_back() && now_ >= replica_->wake_at()) {
    replica_->tick(now_, effects_);
  }
}

/// Sees to all effects of this turn: the rule "records before messages" is kept here.
void ReplicaHost::Core::settle() {
  for (const Note& each : effects_.notes) {
    writer_.write(each.level, each.fields);
  }
  counts_.records.add(effects_.records.size());
  for (const Bytes& record : effects_.records) {
    bytes_since_snapshot_ += record.size();
    counts_.record_bytes.add(record.size());
  }
  journal_->append(effects_.records);
  const auto waits = std::stable_partition(effects_.sends.begin(), effects_.sends.end(),
                                           [](const Send& send) { return !send.after_records; });
  std::vector<Send> later{std::make_move_iterator(waits),
                          std::make_move_iterator(effects_.sends.end())};
  effects_.sends.erase(waits, effects_.sends.end());
  dispatch(effects_.sends);
  if (!later.empty() || !effects_.answers.empty()) {
    withheld_.push_back({journal_->next_record(), std::move(later), std::move(effects_.answers)});
  }
  effects_.clear();
  release_durable();
}

void ReplicaHost::Core::release_durable() {
  const std::uint64_t durable = journal_->durable_records();
  while (!withheld_.empty() && withheld_.front().records <= durable) {
    Withheld released = std::move(withheld_.front());
    withheld_.pop_front();
    dispatch(released.sends);
    answer_all(released.answers);
  }
}

/// To the peers, and to the Replica itself in its next turn.
void ReplicaHost::Core::dispatch(std::vector<Send>& sends) {
  std::erase_if(sends, [this](Send& send) {
    const bool own = send.to == options_.self;
    if (own) {
      own_messages_.push_back(std::move(send.message));
    }
    return own;
  });
  if (!sends.empty()) {
    count_sends(sends);
    transport_.send(sends, std::exchange(next_msg_, next_msg_ + sends.size()));
  }
}

void ReplicaHost::Core::count_sends(const std::vector<Send>& sends) {
  std::uint64_t msg = next_msg_;
  for (const Send& send : sends) {
    ReplicaCounts::Peer& peer = counts_.peer(send.to);
    peer.messages_sent.add();
    peer.bytes_sent.add(send.message.size());
    if (writer_.wants(Level::debug)) {
      note(Level::debug, LogFields{}
                             .add("event", "send")
                             .add("msg", msg++)
                             .add("to", send.to.value)
                             .add("bytes", send.message.size()));
    }
  }
}

void ReplicaHost::Core::count_received(const PeerMessage& message) {
  ReplicaCounts::Peer& peer = counts_.peer(message.from);
  peer.messages_received.add();
  peer.bytes_received.add(message.bytes.size());
  if (writer_.wants(Level::debug)) {
    note(Level::debug, LogFields{}
                           .add("event", "receive")
                           .add("msg", message.msg)
                           .add("from", message.from.value)
                           .add("bytes", message.bytes.size()));
  }
}

void ReplicaHost::Core::answer_all(std::vector<Answer>& answers) {
  for (const Answer& each : answers) {
    answer(each.request, each.reply);
  }
}

/// Once for each request: whatever comes after is not heard.
void ReplicaHost::Core::answer(RequestId id, const Reply& reply) {
  const auto found = open_.find(id);
  if (found == open_.end()) {
    return;
  }
  const Done done = std::move(found->second.done);
  open_.erase(found);
  ++answered_;
  counts_.answers[static_cast<std::size_t>(reply.status)].add();
  done(reply);
}

void ReplicaHost::Core::end_patience() {
  while (!patience_ends_.empty()) {
    const auto& [end, id] = patience_ends_.front();
    const auto found = open_.find(id);
    if (found != open_.end() && end > now_) {
      return;
    }
    if (found != open_.end()) {
      const bool given = found->second.given;
      answer(id, {.status = given ? Status::unknown : Status::unavailable,
                  .value = {},
                  .why = given ? "no answer in time" : "this replica is too busy"});
    }
    patience_ends_.pop_front();
  }
}

void ReplicaHost::Core::refuse_rest() {
  now_ = never;
  end_patience();
  check(open_.empty());
}

}  // namespace kv::host
