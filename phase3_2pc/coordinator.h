// The coordinator: makes transactions of updates, and decides them.
//
// An update takes its keys at its own replica first; who holds them there sees all that was ever
// committed on them, so what the update does (its outcome, its changes, or that it is a repeat) is
// decided then and there. Prepare goes to all; when all have voted yes, the decision is one record:
// the commit point. Once that is on disk the client is answered and Commit is sent until everybody
// has acknowledged it. A no, or silence, aborts: no record, one message, and it is forgotten.
//
// Transactions begin in rounds: while one's votes are under way, what comes gathers for the next,
// so that a lone update waits for nobody and a crowd shares messages and syncs.
//
// Presumed abort: a coordinator that knows nothing of a transaction says abort. Presumed commit is
// the other way round: it writes down what it begins before anybody prepares, commits need no
// acknowledgement, and aborts do.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/core/ids.h"
#include "common/core/random.h"
#include "common/core/time.h"
#include "common/kv/command.h"
#include "common/kv/replica.h"
#include "phase3_2pc/hearing.h"
#include "phase3_2pc/messages.h"
#include "phase3_2pc/options.h"
#include "phase3_2pc/outbox.h"
#include "phase3_2pc/participant.h"

namespace kv::two_phase {

class Coordinator {
 public:
  Coordinator(NodeId self, const TwoPhaseOptions& options, Participant& participant,
              Hearing& hearing, Outbox& outbox);
  Coordinator(const Coordinator&) = delete;
  Coordinator& operator=(const Coordinator&) = delete;

  // A life begins: the snapshot's part, then records, then start().
  bool restore_head(ByteView head);
  void recover(RecordKind kind, ByteView body);
  void start(Instant now);
  /// Everything in memory is lost; who waited for an answer is told by tell_orphans().
  void die();
  /// As die(), of a replica that is to take no part any more: who waited is told what is certain
  /// even if another copy of its disk comes back.
  void leave();
  bool has_orphans() const { return !orphans_.empty(); }
  void tell_orphans(Effects& out);
  /// The participant died, and with it the keys that were taken: what is not decided aborts, at
  /// the next flush().
  void lose_participant() { participant_lost_ = abandons_ = true; }
  void regain_participant() { participant_lost_ = false; }

  /// An update. Exactly one answer() follows, unless the process ends.
  void submit(Instant now, Asker asker, const Command& command, Effects& out);

  void on_vote(Instant now, NodeId from, const Vote& vote, Effects& out);
  void on_ack(NodeId from, const TxnId& txn);
  void on_inquiry(NodeId from, const TxnId& txn);
  void on_durable(Instant now, const Durable& durable, Effects& out);

  void tick(Instant now, Effects& out);
  Instant wake_at() const;
  /// Begins what has its keys, and decides what has its votes: the last step of a turn.
  void flush(Instant now, Effects& out);

  void encode_head(Bytes& head) const;

  std::uint64_t boot() const { return boot_; }
  /// Everything before it is finished for everyone.
  TxnId mark() const;
  std::uint64_t next_clock() { return ++clock_; }
  std::uint64_t clock() const { return clock_; }
  void see_clock(std::uint64_t clock) { clock_ = std::max(clock_, clock); }

  /// Updates taken in and not answered.
  std::size_t operations() const { return operations_.size(); }
  /// Transactions begun and not decided.
  std::size_t undecided() const { return undecided_; }
  /// Decided and applied here, with the record on its way to the disk.
  std::size_t unsecured() const { return flushed_.size(); }
  /// Decided, and not acknowledged by everyone who must.
  std::size_t unacknowledged() const;
  void check_invariants() const;

 private:
  enum class State : std::uint8_t { open, decided, telling, finished };

  struct Operation {
    Asker asker;
    Command command;
    Age age;
    Instant deadline{};
    unsigned tries = 0;
    std::uint64_t sequence = 0;  // of its transaction; 0: none yet
  };
  struct Entry {  // of the table of transactions, by sequence
    State state = State::open;
    bool commit = false;
    std::uint64_t round = 0;  // while it is counted there
    std::uint64_t ticket = 0;
    std::uint64_t votes = 0;  // a bit a peer
    std::uint64_t acks = 0;
    unsigned sent = 0;
    Instant begun{};
    Instant sent_at{};
    std::size_t bytes = 0;  // of what it changes
    Transaction transaction;
  };
  struct SendDue {
    Instant at;
    std::uint64_t sequence;
  };
  struct Deadline {
    Instant at;
    std::uint64_t ticket;
  };
  struct Orphan {
    Asker asker;
    Status status;
  };
  struct Flushed {
    std::uint64_t flush;
    std::uint64_t sequence;
  };
  struct Image;

  bool presumes_commit() const { return options_.presumed == Presumed::commit; }
  const char* refusal() const;
  void take_keys(Instant now, std::uint64_t ticket, Effects& out);
  void begin(Instant now, std::uint64_t ticket, Effects& out);
  Entry& open_entry(Instant now, std::uint64_t ticket, CommittedState::Plan& plan);
  void decide_commit(Entry& entry, Effects& out);
  void announce_commit(Instant now, Entry& entry, Effects& out);
  void abort(Instant now, Entry& entry, Effects& out);
  void abort_and_retry(Instant now, Entry& entry, Effects& out);
  void abort_and_answer(Instant now, Entry& entry, Status status, const std::string& why,
                        Effects& out);
  void abort_all(Instant now, Effects& out);
  void tell_until_acknowledged(Entry& entry);
  void finish(Entry& entry);
  void forget_finished();
  void answer(std::uint64_t ticket, Reply reply, Effects& out);
  void refuse(Asker asker, Status status, std::string why, Effects& out);
  void send_answer(Asker asker, Reply reply, Effects& out);

  void send_again(Instant now, Effects& out);
  void send_again(Instant now, Entry& entry, Effects& out);
  void tell_old_again(Instant now);
  void retry_whose_pause_is_over(Instant now, Effects& out);
  void give_up_late_operations(Instant now, Effects& out);

  bool may_begin() const;
  void begin_round(Instant now, Effects& out);
  void leave_round(Entry& entry);

  Entry* find(const TxnId& txn);
  std::uint64_t bit_of(NodeId peer) const;
  std::uint64_t all_peers() const { return (std::uint64_t{1} << outbox_.peers().size()) - 1; }

  const NodeId self_;
  const TwoPhaseOptions& options_;
  Participant& participant_;
  Hearing& hearing_;
  Outbox& outbox_;
  Random random_;

  std::uint64_t boot_ = 0;
  bool boot_durable_ = false;
  bool participant_lost_ = false;
  bool abandons_ = false;  // what is undecided, at the next flush()
  std::uint64_t clock_ = 0;
  std::uint64_t last_ticket_ = 0;  // goes on when the role dies
  std::uint64_t last_flush_ = 0;

  std::unordered_map<std::uint64_t, Operation> operations_;  // by ticket
  std::deque<std::uint64_t> to_begin_;                       // tickets
  std::deque<Entry> entries_;                                // from first_sequence_ on
  std::uint64_t first_sequence_ = 1;
  std::size_t undecided_ = 0;
  std::size_t open_bytes_ = 0;  // of those
  std::uint64_t round_ = 0;     // the newest
  std::size_t round_open_ = 0;
  Instant round_begun_{};
  std::vector<std::uint64_t> to_commit_;  // sequences
  std::deque<Flushed> flushed_;           // commit records on their way to the disk
  std::map<TxnId, std::uint64_t> old_;    // earlier lives', not acknowledged: who has
  std::vector<Orphan> orphans_;           // a dead life's

  std::deque<SendDue> send_dues_;
  std::deque<Deadline> deadlines_;
  std::multimap<Instant, std::uint64_t> pauses_;  // tickets that try again
  Instant old_due_ = never;
  unsigned old_sent_ = 0;
};

}  // namespace kv::two_phase
