// Which disks the members of a cluster live on: so that one whose disk was lost is not taken for
// the acceptor that it was.
//
// An acceptor that forgot its promises must never speak again under its name. It cannot know that
// it forgot: an empty disk looks like that of a new cluster. But the others know. Every disk has a
// mark, drawn at its first start; a replica speaks when so many others have written its mark down
// that no second disk can find as many who have not. That takes a majority of the *others*, once
// in a replica's life.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "common/core/ids.h"
#include "common/core/time.h"
#include "phase4_paxos/messages.h"
#include "phase4_paxos/options.h"
#include "phase4_paxos/post.h"

namespace kv::paxos {

class Acquaintance {
 public:
  Acquaintance(NodeId self, const std::vector<NodeId>& members, const PaxosOptions& options)
      : self_(self), members_(members), options_(options) {}

  void recover(const Met& met);
  /// `fresh` is this disk's mark, if it has none yet.
  void start(Instant now, std::uint64_t fresh, Post& post);

  void on_greet(NodeId from, const Greet& greet, Post& post);
  void on_greeted(NodeId from, const Greeted& greeted, Post& post);
  void tick(Instant now, Post& post);
  Instant wake_at() const { return born_ || refused_ ? never : greet_at_; }

  /// Whether this replica may speak as proposer and acceptor.
  bool born() const { return born_; }
  /// Somebody has met it with another disk: it never may.
  bool refused() const { return refused_; }
  /// As pieces of a snapshot.
  std::vector<Met> all() const;

 private:
  void be_born_if_known(Post& post);

  const NodeId self_;
  const std::vector<NodeId>& members_;
  const PaxosOptions& options_;
  std::map<std::uint32_t, std::uint64_t> marks_;  // of disks, by node; this one's too
  std::uint64_t welcomes_ = 0;                    // a bit each, by their order
  bool born_ = false;
  bool refused_ = false;
  Instant greet_at_ = never;
};

}  // namespace kv::paxos
