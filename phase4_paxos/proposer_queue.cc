// What a proposer was asked to have chosen, until a slot takes it.
#include <utility>

#include "phase4_paxos/proposer.h"

namespace kv::paxos {

void Proposer::on_forward(NodeId from, ByteView parcel) {
  ByteView rest = parcel;
  const auto id = read_parcel_id(rest);
  if ((stage_ == Stage::following && !duels()) || !id ||
      queue_bytes_ + parcel.size() > options_.queue_bytes_max || !taken_.take(*id)) {
    return;  // whoever waits sends it again, to whoever leads then
  }
  enqueue(parcel, rest, from);
}

/// `commands`: what the parcel holds behind its id.
void Proposer::enqueue(ByteView parcel, ByteView commands, NodeId from) {
  const std::uint64_t count = count_commands(commands);
  queue_bytes_ += parcel.size();
  queue_commands_ += count;
  queue_.push_back({Bytes{parcel}, count, from});
}

Bytes Proposer::take_value(Instant now, Open& open) {
  Bytes value = begin_value(stamper_.stamp(now, log_time_));
  if (change_) {
    append_parcel(value, *std::exchange(change_, std::nullopt));
  }
  while (!queue_.empty() && value.size() < options_.slot_bytes) {
    const Queued& queued = queue_.front();
    append_parcel(value, queued.parcel);
    open.wanted |= quorums_.of(queued.from);
    open.commands += queued.commands;
    queue_bytes_ -= queued.parcel.size();
    queue_commands_ -= queued.commands;
    queue_.pop_front();
  }
  return value;
}

/// It may be chosen for all that: a parcel takes effect once.
void Proposer::queue_again(const Open& open) {
  ByteView value = unpack_with_body<Accept>(open.message)->second;
  if (value.empty() || !read_time(value)) {
    return;
  }
  while (const auto parcel = read_string(value)) {
    ByteView rest = *parcel;
    if (const auto id = read_parcel_id(rest); id && id->node == self_) {
      enqueue(*parcel, rest, self_);
    }
  }
}

}  // namespace kv::paxos
