// An acceptor (Paxos Made Simple, 2.2): it promises, it accepts, and it forgets neither.
//
// Every promise and every acceptance is a record before the message that tells of it leaves. What
// an acceptor knows is thus what its records say, and a new life of it, whose memory is empty,
// is where the last one was.
//
// It keeps what it accepted as long as the learner beside it can not yet stand for it: see
// forget().
#pragma once

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "common/core/bytes.h"
#include "common/core/time.h"
#include "phase4_paxos/ballot.h"
#include "phase4_paxos/messages.h"
#include "phase4_paxos/options.h"
#include "phase4_paxos/post.h"

namespace kv::paxos {

/// Where `node` stands in a row of members, and its place in a crash vector.
inline std::size_t place_of(NodeId node, const std::vector<NodeId>& members) {
  return static_cast<std::size_t>(std::ranges::find(members, node) - members.begin());
}

/// What a slot holds: shared by the roles of a replica, and never changed.
using Value = std::shared_ptr<const Bytes>;

class Acceptor {
 public:
  /// `lives` is empty if it is durable: see Lives.
  explicit Acceptor(const PaxosOptions& options, Lives lives = {})
      : options_(options), lives_(std::move(lives)) {}

  /// A life begins. What the one before granted is forgotten: until that is certainly over, nobody
  /// is promised anything (with ReadsBy::lease).
  void start(Instant now);
  void on_prepare(Instant now, NodeId from, const Prepare& prepare, Post& post);
  /// `record` is the message: it is what gets written down.
  void on_accept(Instant now, const Accept& accept, const Value& value, ByteView record,
                 Post& post);
  void on_beat(Instant now, const Beat& beat, Post& post);
  /// From the acceptor of members[place].
  void on_recover_ask(NodeId from, std::size_t place, const RecoverAsk& ask, Post& post);
  /// Tells of all that was accepted since the last flush, in one message.
  void flush(Post& post);
  bool has_news() const { return !news_.empty(); }

  /// As which it speaks, see Voter. What it remembers of an earlier one stays true.
  void be(std::uint64_t incarnation) { incarnation_ = incarnation; }
  std::uint64_t incarnation() const { return incarnation_; }
  /// By the learner beside it.
  void on_applied(Slot slot) { applied_ = slot; }
  /// Everything up to `slot` is chosen, and the learner beside this acceptor has it: so nobody
  /// needs to hear from it what was accepted there.
  void forget(Slot slot);

  // A new life, from a snapshot and the records behind it.
  void restore(const Head& head);
  /// From what a majority of the others remembered.
  void recover(const Ballot& promised, Slot floor, const std::map<Slot, Proposal>& accepted);
  void recover(const Promised& promised) { raise(promised.ballot); }
  void recover(const Accept& accept, const Value& value);

  const Ballot& promised() const { return promised_; }
  Slot floor() const { return floor_; }
  /// What was accepted behind the floor, in the order of slots.
  std::vector<Proposal> accepted_after(Slot slot) const;
  /// All that its replies depend on but time, as bytes: states are told apart by it.
  void digest_to(Bytes& out) const;
  void check_invariants() const;

 private:
  struct Entry {
    Ballot ballot;
    Value value;  // null: nothing was accepted
  };

  bool follows_another(Instant now, const Ballot& ballot) const;
  bool granted_to_another(Instant now, const Ballot& ballot) const;
  Duration grant(Instant now, const Ballot& ballot);
  void refuse(const Ballot& ballot, Post& post) const;
  void raise(const Ballot& ballot);
  Entry& entry(Slot slot);
  void tell_promise(NodeId to, const Prepare& prepare, Post& post) const;
  Slot collect(Slot from, std::vector<Proposal>& accepted) const;
  bool durable() const { return options_.acceptor == AcceptorMemory::durable; }
  void write_down(Bytes record, Post& post) const;
  /// When what tells of the memory may leave.
  Leaves after_memory() const { return durable() ? Leaves::after_records : Leaves::at_once; }

  const PaxosOptions& options_;
  Lives lives_;
  std::uint64_t incarnation_ = 0;
  Slot applied_;
  Ballot promised_;
  std::deque<Entry> entries_;  // of floor_ + 1 and the slots behind it
  Slot floor_;

  Ballot leader_;        // heard of last
  Instant leader_at_{};  // when
  bool leader_heard_ = false;
  Ballot granted_to_;  // not by this life: greater than every ballot, and nobody's
  Instant granted_until_{};
  Ballot news_of_;          // accepted under this ballot, and not told yet:
  std::vector<Slot> news_;  // in these slots
};

}  // namespace kv::paxos
