// A replica with one part that can die, for tests of the simulator and of the host.
#pragma once

#include <atomic>
#include <memory>

#include "common/core/check.h"
#include "common/kv/roles.h"
#include "common/sim/journaling_replica.h"

namespace kv {

/// All of it is one role, `keeper`: while that is dead, nothing is done and nothing known.
class OneRole final : public Replica, public Roles {
 public:
  void restore(ByteView piece) override { keeper_->restore(piece); }
  void recover(ByteView record) override { keeper_->recover(record); }
  void start(Instant now, Effects& out) override { keeper_->start(now, out); }
  void receive(Instant, NodeId, ByteView, Effects&) override {}
  void request(Instant now, RequestId id, const Command& command, Effects& out) override {
    if (keeper_) {
      keeper_->request(now, id, command, out);
    } else {
      out.answers.push_back({id, {Status::unavailable, {}, "the keeper is dead"}});
    }
  }
  void tick(Instant, Effects&) override {}
  Instant wake_at() const override { return never; }
  bool begin_snapshot() override { return keeper_ && (imaged_ = keeper_)->begin_snapshot(); }
  Bytes next_snapshot_piece() override {
    Bytes piece = imaged_->next_snapshot_piece();
    if (piece.empty()) {
      imaged_.reset();
    }
    return piece;
  }
  void check_invariants() const override {}

  bool plays(std::string_view role) const override { return role == "leader"; }
  bool has_role(std::string_view role) const override { return role == "keeper"; }
  void kill_role(std::string_view role) override {
    check(has_role(role));
    keeper_.reset();
    ++deaths;
  }
  void restore_role(std::string_view, ByteView piece) override { fresh().restore(piece); }
  void recover_role(std::string_view, ByteView record) override { fresh().recover(record); }
  void start_role(std::string_view, Instant now, Effects& out) override {
    fresh().start(now, out);
    ++births;
  }

  std::atomic<int> deaths = 0;
  std::atomic<int> births = 0;

 private:
  sim::JournalingReplica& fresh() {
    if (!keeper_) {
      keeper_ = std::make_shared<sim::JournalingReplica>();
    }
    return *keeper_;
  }

  std::shared_ptr<sim::JournalingReplica> keeper_ = std::make_shared<sim::JournalingReplica>();
  std::shared_ptr<sim::JournalingReplica> imaged_;  // whose image is on its way out
};

}  // namespace kv
