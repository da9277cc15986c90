// Updates on their way to their key's home, and those of others that have come to this one.
//
// A copy of a forwarded update counts once: it is for one life of its receiver, which knows the
// numbers it has seen. One without a client's ID is sent as one copy, and is sent again only if
// the receiver says that it did not take it. One with an ID is sent again when no reply comes; that
// it is done once is the sessions' work. A status that says "not done" is passed on only when no
// other copy can still be done.
//
// A home that dies leaves nobody unsure who need not be. What a copy becomes is a transaction that
// this node must promise too. So when the home is silent for too long, and no such promise was
// given, the client is told that nothing was done, and from then on none is given: the participant
// asks here first. And the commit that comes to a promise is the client's answer.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <unordered_map>
#include <vector>

#include "common/core/ids.h"
#include "common/core/time.h"
#include "common/kv/replica.h"
#include "phase3_2pc/messages.h"
#include "phase3_2pc/options.h"
#include "phase3_2pc/outbox.h"

namespace kv::two_phase {

class Forwards {
 public:
  Forwards(NodeId self, const TwoPhaseOptions& options, Outbox& outbox)
      : self_(self), options_(options), outbox_(outbox) {}
  Forwards(const Forwards&) = delete;
  Forwards& operator=(const Forwards&) = delete;

  /// Exactly one answer follows, unless the process ends.
  void forward(Instant now, RequestId id, const Command& command, NodeId to, Effects& out);
  void on_reply(Instant now, NodeId from, const ForwardReply& reply, Effects& out);
  /// Whether this copy is new and for this life: only then it is to be done.
  bool accept(NodeId from, std::uint64_t from_boot, std::uint64_t boot, const Forward& forward);
  void on_header(NodeId from, const Header& header);

  // This node's participant, of a transaction whose asker is `asker`.
  /// Whether it may be promised. If so, its outcome alone decides what the client is told.
  bool promise(const Asker& asker);
  void on_outcome(const Asker& asker, bool commit, Status outcome, Effects& out);

  /// The coordinator's life `boot` begins, and numbers copies.
  void start(std::uint64_t boot) { boot_ = boot; }
  /// The coordinator died, and this with it. Who waited is told by the next tick().
  void die();
  void tick(Instant now, Effects& out);
  Instant wake_at() const;
  std::size_t waiting() const { return waiting_.size(); }

 private:
  struct Waiting {
    RequestId id;
    Command command;
    NodeId to;
    Instant deadline{};
    Instant sent_at{};
    std::vector<std::uint64_t> copies;  // without a reply
    std::set<std::uint64_t> promised;   // of these: as a transaction, whose outcome is not known
  };
  struct Due {
    Instant at;
    RequestId id;
  };
  struct Seen {  // of another node's copies
    std::uint64_t boot = 0;
    std::uint64_t oldest = 0;
    std::set<std::uint64_t> numbers;
  };

  void send_copy(Instant now, Waiting& waiting);
  static Status status_now(const Waiting& waiting);
  void end(RequestId id, Reply reply, Effects& out);

  const NodeId self_;
  const TwoPhaseOptions& options_;
  Outbox& outbox_;
  std::uint64_t boot_ = 0;  // 0: dead
  std::uint64_t last_number_ = 0;
  std::unordered_map<RequestId, Waiting> waiting_;
  std::size_t waiting_bytes_ = 0;
  std::map<std::uint64_t, RequestId> copies_;  // by number
  std::deque<Due> dues_;
  std::map<NodeId, std::uint64_t> boots_;
  std::map<NodeId, Seen> seen_;
  std::vector<Answer> orphans_;
};

}  // namespace kv::two_phase
