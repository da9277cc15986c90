#include "common/sim/journaling_replica.h"

#include "common/core/check.h"
#include "common/wire/fields.h"

namespace kv::sim {

void JournalingReplica::restore(ByteView snapshot_piece) {
  const StateMachine::Restored restored = machine_.restore(snapshot_piece);
  check(restored != StateMachine::Restored::damaged);  // whoever drives us has proved its bytes
  restoring_ = restored == StateMachine::Restored::more;
}

void JournalingReplica::recover(ByteView record) {
  check(!restoring_);
  const auto entry = wire::decode<Entry>(record);
  check(entry.has_value());
  Reply reply;  // its client has it, or asks again
  machine_.apply(*entry, reply);
}

void JournalingReplica::start(Instant, Effects&) {
  check(!restoring_);
}

void JournalingReplica::receive(Instant, NodeId, ByteView, Effects&) {}

void JournalingReplica::request(Instant now, RequestId id, const Command& command, Effects& out) {
  Reply& reply = out.answers.emplace_back(Answer{id, {}}).reply;
  if (!changes_something(command.verb)) {
    machine_.read(command, reply);  // what it shows is durable before the answer leaves
    return;
  }
  entry_.command = command;
  entry_.time = stamper_.stamp(now, machine_.time());
  wire::encode_to(entry_, out.records.emplace_back());
  machine_.apply(entry_, reply);
}

void JournalingReplica::tick(Instant, Effects&) {}

void JournalingReplica::check_invariants() const {
  check(!restoring_);
}

}  // namespace kv::sim
