// Which disks the members live on: so that one whose disk was lost is not taken for the member that
// it was.
//
// A member that forgot its votes and entries must never speak again under its name (thesis 3.8).
// It cannot know that it forgot: an empty disk looks like that of a new cluster. But the others
// know. Every disk has a mark, drawn at its first start. A founder takes part once so many others
// have written its mark down that no second disk can find as many who have not: a majority of the
// other founders, once in a disk's life. Whoever joins later stands with its mark in the log's
// configuration, and takes part once it is told that it does. A change of the members puts
// everyone's mark into the log: from then on the log is what knows.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "common/core/ids.h"
#include "common/core/time.h"
#include "common/kv/replica.h"
#include "phase5_raft/membership.h"
#include "phase5_raft/messages.h"

namespace kv::raft {

class Acquaintance {
 public:
  /// `founders`: who votes at first, by number. Whoever is not among them joins.
  Acquaintance(NodeId self, std::vector<NodeId> founders, Duration ask_again_after);

  void recover(const Met& met);
  /// `fresh`, not 0, is this disk's mark if it has none yet.
  void start(Instant now, std::uint64_t fresh, Effects& out);

  /// `membership` is the latest in this replica's log.
  void on(NodeId from, const Greet& greet, const Membership& membership, Effects& out);
  void on(NodeId from, const Greeted& greeted, Effects& out);
  void tick(Instant now, Effects& out);
  Instant wake_at() const { return born_ || refused_ ? never : greet_at_; }
  /// Asks `node` for its mark.
  void ask(NodeId node, Effects& out) const;

  /// Whether this replica may take part.
  bool born() const { return born_; }
  /// Somebody has met it with another disk: it never may.
  bool refused() const { return refused_; }

  /// Of this disk, once it has started.
  std::uint64_t mark() const { return marks_.at(self_); }
  /// The marks as their disks have told, since this life's start; 0: not yet. A member's only if it
  /// may take part, a newcomer's also while it waits to be added.
  std::uint64_t mark_of_member(NodeId node) const;
  std::uint64_t mark_of_newcomer(NodeId node) const;

  /// What `node` told of its disk counts no more: it is to say it again.
  void forget(NodeId node) { told_.erase(node); }

  /// As pieces of a snapshot.
  std::vector<Met> all() const;

 private:
  bool joins() const { return !is_founder(self_); }
  bool is_founder(NodeId node) const;
  void be_born(Effects& out);
  void be_born_if_known(Effects& out);
  void complain(NodeId by, const char* why, Effects& out);

  struct Told {
    std::uint64_t mark = 0;
    bool joins = false;
  };

  const NodeId self_;
  const std::vector<NodeId> founders_;
  const Duration ask_again_after_;
  std::map<NodeId, std::uint64_t> marks_;  // of founders' disks, and of this one
  std::map<NodeId, Told> told_;
  std::uint64_t welcomes_ = 0;  // a bit each, by the founders' order
  bool born_ = false;
  bool refused_ = false;
  bool complained_ = false;
  Instant greet_at_ = never;
};

}  // namespace kv::raft
