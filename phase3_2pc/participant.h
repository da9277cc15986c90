// The participant: holds the keys of what it promised to commit, and the copy of the store.
//
// It promises (votes yes) once its PREPARED record is on disk, and from then on never decides
// alone: until somebody who knows tells it, the key stays locked and no GET sees it. It asks: the
// coordinator first, then everyone (cooperative termination). Whoever has not voted refuses for
// good, on disk, and answers abort; whoever promised too is as uncertain as it is.
//
// Its own node's coordinator needs no vote from it: the coordinator's commit record is both. It
// takes the keys in memory, and they are free again if the coordinator dies before that record.
//
// Late and repeated messages: what was decided leaves a tombstone until the coordinator's mark has
// passed it, and what lies before the mark, or stems from an earlier life of its coordinator, is
// never promised again. A Commit for what is not held has been carried out before.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "common/core/ids.h"
#include "common/core/time.h"
#include "common/kv/replica.h"
#include "phase3_2pc/committed_state.h"
#include "phase3_2pc/forwards.h"
#include "phase3_2pc/lock_table.h"
#include "phase3_2pc/messages.h"
#include "phase3_2pc/options.h"
#include "phase3_2pc/outbox.h"

namespace kv::two_phase {

class Participant {
 public:
  Participant(NodeId self, const TwoPhaseOptions& options, Forwards& forwards, Outbox& outbox);
  Participant(const Participant&) = delete;
  Participant& operator=(const Participant&) = delete;

  // A life begins: the snapshot's parts, then records, then start().
  bool restore_head(ByteView head);
  bool restore_items(ByteView items) { return state_->restore_items(items); }
  void recover(RecordKind kind, ByteView body);
  void start(Instant now);
  /// Everything in memory is lost. GETs that waited are refused by the next tick().
  void die();

  /// Without room it promises nothing more; what it has promised it finishes.
  void see_room(bool has_room) { has_room_ = has_room; }

  // Messages of other coordinators, and of others in doubt.
  void on_header(NodeId from, const Header& header);
  void on_prepare(Instant now, Transaction&& transaction, Effects& out);
  void on_decision(Instant now, const Decision& decision, Effects& out);
  void on_inquiry(Instant now, NodeId from, const TxnId& txn, Effects& out);

  // This node's coordinator. A ticket is an operation of its; granted ones are told later.
  LockTable::Verdict claim(Instant now, std::uint64_t ticket, Age age,
                           std::vector<std::string> keys, Effects& out);
  /// Lets go of the ticket's keys, or of its place in the queue.
  void release(Instant now, std::uint64_t ticket, Effects& out);
  bool has_granted() const { return !granted_.empty(); }
  std::vector<std::uint64_t> take_granted() { return std::exchange(granted_, {}); }
  /// Its commit record is given out: the changes are made, and the keys stay with it until
  /// release(), when that record is on disk.
  void apply_own(std::uint64_t ticket, const Transaction& transaction);
  /// The coordinator died: what it had not decided is free again. Who gets it is told by
  /// catch_up(), which must be the next call.
  void release_undecided();
  /// It lives again, so the records that it had given out are on disk.
  void release_decided();
  void catch_up(Instant now, Effects& out);

  /// A GET: at once, or when its key is in doubt no more, or unavailable when patience ends.
  void read(Instant now, RequestId id, const Command& command, Effects& out);

  void tick(Instant now, Effects& out);
  Instant wake_at() const;

  /// Freezes an image; its head is appended.
  void begin_snapshot(Bytes& head);
  bool next_items(Bytes& out, std::size_t bytes_max);

  const CommittedState& state() const { return *state_; }
  const LockTable& locks() const { return locks_; }
  bool holds(const TxnId& txn) const { return held_.contains(txn); }
  /// Promised, and not decided.
  std::size_t prepared() const { return prepared_; }
  /// Promised, and asked about more than once without an answer.
  std::size_t in_doubt() const { return in_doubt_; }
  /// How old the oldest of them was when it was last asked about.
  Duration oldest_doubt() const;
  std::size_t tombstones() const;
  void check_invariants() const;

 private:
  struct Held {
    Claim claim;
    Transaction transaction;
    Instant since{};
    Instant ask_at = never;  // promised: when to ask what became of it
    Instant asked_last{};
    unsigned asked = 0;
  };
  struct Life {  // of another node's coordinator
    std::uint64_t boot = 0;
    std::uint64_t mark_boot = 0;
    std::uint64_t mark_sequence = 0;
    std::map<TxnId, Ballot> tombstones;  // yes: committed; refused: never to be promised
  };
  struct Reader {
    RequestId id;
    Command command;
  };
  struct ReadDue {
    Instant at;
    RequestId id;
    std::string key;
  };
  struct AskDue {
    Instant at;
    TxnId txn;
  };
  struct Image;

  void promise(Instant now, Held& held, Effects& out);
  void vote(const TxnId& txn, Ballot ballot) { outbox_.vote(txn.coordinator, {txn, ballot}); }
  bool has_diverged(const Transaction& transaction) const;
  void decide(Instant now, Held& held, bool commit, Effects& out);
  void decide_unheld(const Decision& decision);
  void drop(Instant now, const TxnId& txn, Effects& out);
  void bury(const TxnId& txn, bool committed);
  bool is_before_mark(const TxnId& txn) const;
  bool is_finished(const TxnId& txn) const;
  void forget_before_mark(Life& life, NodeId coordinator);
  void settle(Instant now, LockTable::Turned& turned, Effects& out);
  Ballot const* tombstone_of(const TxnId& txn) const;
  void serve_readers(const std::vector<std::string>& keys, Effects& out);
  void ask_who_is_due(Instant now, Effects& out);
  void plan_ask(Instant now, Held& held);
  void ask(Instant now, Held& held, Effects& out);
  void give_up_reads(Instant now, Effects& out);
  void recover_prepared(Transaction&& transaction);
  void recover_decision(const TxnId& txn, bool committed);
  void tell_decided(const TxnId& txn, bool commit) const;
  void touch(const std::vector<std::string>& keys) const;

  const NodeId self_;
  const TwoPhaseOptions& options_;
  Forwards& forwards_;
  Outbox& outbox_;
  std::unique_ptr<CommittedState> state_;
  std::unique_ptr<CommittedState> image_;  // a dead life's, of which a snapshot is being taken
  LockTable locks_;
  std::unordered_map<TxnId, std::unique_ptr<Held>> held_;
  std::unordered_map<std::uint64_t, std::unique_ptr<Claim>> own_;  // by ticket
  std::map<std::uint64_t, TxnId> decided_;  // of own_: applied, their record on its way to the disk
  std::vector<std::uint64_t> granted_;
  LockTable::Turned turned_;        // of releases without a time; for catch_up()
  std::vector<RequestId> orphans_;  // GETs that a dead life left; for tick()
  std::map<NodeId, Life> lives_;
  std::unordered_map<std::string, std::deque<Reader>> readers_;  // by key
  std::size_t reads_waiting_ = 0;
  std::deque<ReadDue> read_dues_;
  std::deque<AskDue> ask_dues_;
  std::size_t prepared_ = 0;
  std::size_t in_doubt_ = 0;
  bool has_room_ = true;
};

}  // namespace kv::two_phase
