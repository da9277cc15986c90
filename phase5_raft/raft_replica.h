// The store on Raft, behind the boundary that both hosts drive. Its one role, `raft`, can be
// killed: its memory is lost and its records are not.
#pragma once

#include <memory>
#include <vector>

#include "common/core/random.h"
#include "common/kv/members.h"
#include "common/kv/replica.h"
#include "common/kv/roles.h"
#include "phase5_raft/raft_life.h"

namespace kv::raft {

class RaftReplica : public Replica, public Roles, public Members {
 public:
  RaftReplica(NodeId self, std::vector<NodeId> members, RaftReplicaOptions options);

  void restore(ByteView snapshot_piece) override { life_->restore(snapshot_piece); }
  void recover(ByteView record) override { life_->recover(record); }
  void start(Instant now, Effects& out) override { life_->start(now, out); }
  void receive(Instant now, NodeId from, ByteView message, Effects& out) override;
  void request(Instant now, RequestId id, const Command& command, Effects& out) override;
  void tick(Instant now, Effects& out) override;
  Instant wake_at() const override { return life_ ? life_->wake_at() : never; }
  bool begin_snapshot() override;
  Bytes next_snapshot_piece() override;
  void check_invariants() const override;

  bool plays(std::string_view role) const override;
  bool has_role(std::string_view role) const override { return role == "raft"; }
  void kill_role(std::string_view role) override;
  void restore_role(std::string_view role, ByteView snapshot_piece) override;
  void recover_role(std::string_view role, ByteView record) override;
  void start_role(std::string_view role, Instant now, Effects& out) override;

  /// While the role is dead: as it was last.
  MemberList members() const override;
  std::uint64_t members_version() const override;
  void change_members(Instant now, RequestId id, const MemberChange& change, Effects& out) override;

  /// The role's life; null while it is dead.
  const RaftLife* life() const { return life_.get(); }
  RaftLife* life() { return life_.get(); }

 private:
  std::unique_ptr<RaftLife> new_life();
  RaftLife& coming_life();
  void end_life();

  const NodeId self_;
  const std::vector<NodeId> members_;
  const RaftReplicaOptions options_;
  Random seeds_;  // of the lives
  std::unique_ptr<RaftLife> life_;
  std::uint64_t lives_ = 0;
  MemberList last_members_;             // of the last life
  std::unique_ptr<RaftLife> coming_;    // is being recovered
  std::unique_ptr<RaftLife> snapshot_;  // dead, but a snapshot of it is still on its way out
};

}  // namespace kv::raft
