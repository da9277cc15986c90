// The simplest protocol: one replica that writes each change down, applies it and answers.
//
// It is what the boundary is proved with: whatever it loses, its host or its journal has lost.
#pragma once

#include "common/kv/replica.h"
#include "common/kv/state_machine.h"

namespace kv::sim {

class JournalingReplica final : public Replica {
 public:
  void restore(ByteView snapshot_piece) override;
  void recover(ByteView record) override;
  void start(Instant now, Effects& out) override;
  void receive(Instant now, NodeId from, ByteView message, Effects& out) override;
  void request(Instant now, RequestId id, const Command& command, Effects& out) override;
  void tick(Instant now, Effects& out) override;
  Instant wake_at() const override { return never; }
  bool begin_snapshot() override {
    machine_.begin_snapshot();
    return true;
  }
  Bytes next_snapshot_piece() override { return machine_.next_snapshot_piece(); }
  void check_invariants() const override;

  /// Records applied in all lives, and the running checksum of what they said.
  std::uint64_t applied() const { return machine_.applied(); }
  std::uint64_t checksum() const { return machine_.checksum(); }

 private:
  StateMachine machine_;
  Stamper stamper_;
  Entry entry_;  // kept for its capacity
  bool restoring_ = false;
};

}  // namespace kv::sim
