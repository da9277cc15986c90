#include "phase5_raft/raft_replica.h"

#include <utility>

#include "common/core/check.h"

namespace kv::raft {

RaftReplica::RaftReplica(NodeId self, std::vector<NodeId> members, RaftReplicaOptions options)
    : self_(self), members_(std::move(members)), options_(options), seeds_(options.seed) {
  life_ = new_life();
}

std::unique_ptr<RaftLife> RaftReplica::new_life() {
  RaftReplicaOptions options = options_;
  options.seed = seeds_.next();
  ++lives_;
  return std::make_unique<RaftLife>(self_, members_, options);
}

void RaftReplica::receive(Instant now, NodeId from, ByteView message, Effects& out) {
  if (life_) {
    life_->receive(now, from, message, out);
  }
}

void RaftReplica::request(Instant now, RequestId id, const Command& command, Effects& out) {
  if (life_) {
    return life_->request(now, id, command, out);
  }
  Reply& reply = out.answers.emplace_back(Answer{id, {}}).reply;
  reply.status = Status::unavailable;
  reply.why = "the role raft is down";
}

void RaftReplica::tick(Instant now, Effects& out) {
  if (life_) {
    life_->tick(now, out);
  }
}

bool RaftReplica::begin_snapshot() {
  return life_ && !snapshot_ && life_->begin_snapshot();
}

Bytes RaftReplica::next_snapshot_piece() {
  if (!snapshot_) {
    check(life_ != nullptr);
    return life_->next_snapshot_piece();
  }
  Bytes piece = snapshot_->next_snapshot_piece();
  if (piece.empty()) {
    snapshot_.reset();
  }
  return piece;
}

void RaftReplica::check_invariants() const {
  if (life_) {
    life_->check_invariants();
  }
}

// --- roles ---------------------------------------------------------------------------------------

bool RaftReplica::plays(std::string_view role) const {
  if (!life_) {
    return false;
  }
  const Role now = life_->raft().role();
  return role == "raft" || role == name_of(now) ||
         (role == "candidate" && now == Role::pre_candidate);
}

void RaftReplica::kill_role(std::string_view role) {
  check(has_role(role));
  end_life();
  coming_.reset();
}

void RaftReplica::end_life() {
  if (life_) {
    last_members_ = life_->members();
  }
  if (life_ && life_->snapshot_open()) {
    snapshot_ = std::move(life_);  // the host still takes its pieces
  }
  life_.reset();
}

MemberList RaftReplica::members() const {
  return life_ ? life_->members() : last_members_;
}

/// Those of two lives are never the same.
std::uint64_t RaftReplica::members_version() const {
  return (lives_ << 32) + (life_ ? life_->members_version() : 0);
}

void RaftReplica::change_members(Instant now, RequestId id, const MemberChange& change,
                                 Effects& out) {
  if (life_) {
    return life_->change_members(now, id, change, out);
  }
  Reply& reply = out.answers.emplace_back(Answer{id, {}}).reply;
  reply.status = Status::unavailable;
  reply.why = "the role raft is down";
}

RaftLife& RaftReplica::coming_life() {
  if (!coming_) {
    coming_ = new_life();
  }
  return *coming_;
}

void RaftReplica::restore_role(std::string_view role, ByteView snapshot_piece) {
  check(has_role(role));
  coming_life().restore(snapshot_piece);
}

void RaftReplica::recover_role(std::string_view role, ByteView record) {
  check(has_role(role));
  coming_life().recover(record);
}

void RaftReplica::start_role(std::string_view role, Instant now, Effects& out) {
  check(has_role(role));
  coming_life();
  end_life();  // it may have been started already, by another who killed it
  life_ = std::move(coming_);
  life_->start(now, out);
}

}  // namespace kv::raft
