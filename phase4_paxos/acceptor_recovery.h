// How an acceptor without stable storage comes back: it asks the others what it must not forget.
//
// Merely asking a majority is not enough: what this acceptor promised before it died may be counted
// by a proposer together with what another promises after it answered here, and nobody remembers
// both. So whoever answers tells, from then on, of the new life of who asked, and proposers count
// only replies that are crash-consistent (Michael et al., DISC 2017). The number of the life comes
// from the one record that a replica of this kind writes.
//
// It needs a majority of the members besides itself. While fewer have their memory it waits: it
// stops rather than forgets.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "common/core/ids.h"
#include "common/core/time.h"
#include "phase4_paxos/acceptor.h"
#include "phase4_paxos/messages.h"
#include "phase4_paxos/options.h"
#include "phase4_paxos/post.h"

namespace kv::paxos {

class AcceptorRecovery {
 public:
  AcceptorRecovery(NodeId self, const std::vector<NodeId>& members, const PaxosOptions& options,
                   std::uint64_t life);

  void on_booted(Instant now, std::uint64_t boot);
  void on_tell(NodeId from, const RecoverTell& tell, Post& post);
  void tick(Instant now, Post& post);
  Instant wake_at() const { return booted_ ? ask_at_ : never; }

  /// A majority has told everything; floor() and what lies behind it are known.
  bool complete() const;
  /// Up to here the learner beside it must have applied before the acceptor may speak again.
  Slot floor() const { return floor_; }
  std::unique_ptr<Acceptor> acceptor() const;
  void digest_to(Bytes& out) const;

 private:
  struct Told {
    bool complete = false;
    Slot next{1};
    std::uint64_t life = 0;  // of who told
  };

  void merge(const Lives& lives);
  std::size_t told_all() const;
  void say_what_it_waits_for(Instant now, Post& post);

  const NodeId self_;
  const std::vector<NodeId>& members_;
  const PaxosOptions& options_;
  const std::uint64_t life_;
  bool booted_ = false;
  Instant ask_at_ = never;
  Instant say_at_ = never;
  std::vector<Told> told_;
  Lives lives_;  // empty where nobody has crash vectors: UNSAFE
  Ballot promised_;
  Slot floor_;
  std::map<Slot, Proposal> accepted_;
};

}  // namespace kv::paxos
