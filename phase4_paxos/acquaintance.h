// Which disks the members of a cluster live on: so that one whose disk was lost is not taken for
// the acceptor that it was.
//
// An acceptor that forgot its promises must never speak again under its name. It cannot know that
// it forgot: an empty disk looks like that of a new cluster. But the others know. Every disk has a
// mark, drawn at its first start; a founder speaks when so many other founders have written its
// mark down that no second disk can find as many who have not. That takes a majority of the
// *others*, once in a replica's life.
//
// Everybody else, whether the node is new or lost its disk, waits until the log says that its mark
// is a member's: an operator decides that. Then it is another acceptor, by its incarnation.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "common/core/ids.h"
#include "common/core/time.h"
#include "phase4_paxos/configuration.h"
#include "phase4_paxos/messages.h"
#include "phase4_paxos/options.h"
#include "phase4_paxos/post.h"

namespace kv::paxos {

/// Somebody who waits to be made a member, as it was heard last.
struct Knock {
  std::uint64_t birth = 0;
  Slot applied;
  Slot applied_here;  // then
  Instant at;
  /// It had applied all that was applied here when it was heard before: it keeps up.
  bool caught_up = false;
};

class Acquaintance {
 public:
  /// `founders`: all of them, or nobody if this replica is none of them.
  Acquaintance(NodeId self, std::vector<NodeId> founders, const PaxosOptions& options)
      : self_(self), founders_(std::move(founders)), options_(options) {}

  void recover(const Met& met);
  /// `fresh` is this disk's mark, if it has none yet.
  void start(Instant now, std::uint64_t fresh, Post& post);
  /// Whom to greet while it waits.
  void know(std::vector<NodeId> peers) { peers_ = std::move(peers); }

  /// `applied` by the learner here.
  void on_greet(Instant now, NodeId from, const Greet& greet, Slot applied, Post& post);
  void on_greeted(NodeId from, const Greeted& greeted, Post& post);
  /// `applied` by the learner here.
  void tick(Instant now, Slot applied, Post& post);
  Instant wake_at() const { return greet_at_; }

  /// True if the log has made this disk a member that it was not before: born() as incarnation().
  bool admit(Instant now, const Configurations& configurations, Slot applied, Post& post);

  /// This disk is a copy of what it was before: what it promised since is lost. In its next life it
  /// is nobody's that the cluster knows. `fresh` is its mark from now on.
  void disown(std::uint64_t fresh, Post& post);

  /// Whether this replica may speak as proposer and acceptor.
  bool born() const { return born_; }
  /// As which: 0 a founder.
  std::uint64_t incarnation() const { return incarnation_; }
  /// Neither may it speak, nor found a cluster: it is new, has lost a disk, or was removed.
  bool outside() const { return outside_; }
  /// Null if that node has not been heard to wait lately.
  const Knock* knock(Instant now, NodeId node) const;
  /// As pieces of a snapshot.
  std::vector<Met> all() const;

 private:
  bool founds() const { return !born_ && !outside_; }
  void be_born(std::uint64_t incarnation, Post& post);
  void be_born_if_known(Post& post);
  void stand_outside(Instant now);
  std::size_t welcomes_needed() const;
  void stand_outside_if_nobody_can_tell(Post& post);
  void complain_of_disk(NodeId by, Post& post);
  void on_knock(Instant now, NodeId from, const Greet& greet, Slot applied);

  const NodeId self_;
  const std::vector<NodeId> founders_;
  const PaxosOptions& options_;
  std::vector<NodeId> peers_;
  std::map<std::uint32_t, std::uint64_t> marks_;  // of disks, by node; this one's too
  std::map<NodeId, Knock> knocks_;
  std::uint64_t welcomes_ = 0;   // a bit each, by the founders' order
  std::uint64_t strangers_ = 0;  // likewise: those who cannot tell
  bool born_ = false;
  std::uint64_t incarnation_ = 0;
  bool outside_ = false;
  Instant lost_since_ = never;  // the log has this node, with another disk
  bool complained_ = false;
  Instant greet_at_ = never;
};

}  // namespace kv::paxos
