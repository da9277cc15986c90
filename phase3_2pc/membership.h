// Which disk each replica has, so that one that lost its own does not go on under its old number.
//
// A disk draws a number when it is first used, and everybody writes down whose they have met. A
// replica on a new disk takes no part (no vote, no GET) until every other one has told it whom it
// knows under this number: nobody, then the cluster is new; another disk, then this one's data is
// lost, and it stays out.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <vector>

#include "common/core/ids.h"
#include "phase3_2pc/messages.h"
#include "phase3_2pc/outbox.h"

namespace kv::two_phase {

class Membership {
 public:
  enum class Standing : std::uint8_t {
    joins,   // its disk is new, and not everybody has said that it may be
    member,  // takes part
    lost,    // somebody knows another disk of this replica, or more than is on this one
  };

  /// `drawn` becomes the disk's number if it has none.
  Membership(NodeId self, std::uint64_t drawn, Outbox& outbox);

  void recover(const KnownDisk& known) { disks_[known.node] = known.disk; }
  void start();
  /// What another replica's pulse says; the standing may change by it.
  void on_pulse(NodeId from, const Pulse& pulse);

  /// Somebody holds what this replica promised and does not know: its disk is an older copy.
  void lose() { standing_ = Standing::lost; }

  Standing standing() const { return standing_; }
  std::uint64_t disk() const { return disks_.at(self_); }
  std::vector<KnownDisk> known() const;
  /// Another disk of `node` was met than the one that speaks now.
  bool is_stranger(NodeId node, std::uint64_t disk) const;

 private:
  void meet(NodeId node, std::uint64_t disk);

  const NodeId self_;
  const std::uint64_t drawn_;
  Outbox& outbox_;
  Standing standing_ = Standing::joins;
  std::map<NodeId, std::uint64_t> disks_;
  std::set<NodeId> heard_;  // while it joins
};

}  // namespace kv::two_phase
