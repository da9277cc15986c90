// One life of the role `raft`: a member of the cluster, the store that its log is applied to, and
// the requests that wait for either. What a RaftReplica has in memory, and loses when it dies.
//
// A change is proposed by the leader; whoever else is asked forwards it. A read is answered by
// whoever is asked: the leader says how far the log was committed when it was asked, after a
// majority has confirmed that it still leads, and the read waits until that much is applied here.
// Everything that waits has a deadline and a limit. An answer is never a guess: `unavailable` if a
// change was certainly not done and never will be, else `unknown`.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>

#include "common/kv/members.h"
#include "common/kv/replica.h"
#include "common/kv/state_machine.h"
#include "phase5_raft/acquaintance.h"
#include "phase5_raft/raft.h"

namespace kv::raft {

struct RaftReplicaOptions : RaftOptions {
  Duration request_patience = std::chrono::seconds{4};        // of whatever waits; then unknown
  Duration ask_again_after = std::chrono::milliseconds{100};  // of the leader, without an answer
  std::size_t requests_max = 64 * 1024;                       // that wait; then unavailable
  std::size_t commit_lag_bytes_max = 64 * 1024 * 1024;        // of log not applied yet; likewise
  /// Of log, of which one who is sent an image needs the end; beyond, it needs another image.
  std::size_t image_log_bytes_max = 256 * 1024 * 1024;
  std::size_t forward_bytes_max = 1024 * 1024;            // in one message, or one command
  std::size_t forwarded_bytes_max = 1024 * 1024;          // without their replies: then no more
  Duration forward_lost_after = std::chrono::seconds{1};  // it counts there no longer
  /// Of applied entries, for slow followers: at most this much, and no more than an image of the
  /// state would have, or log_bytes_worth.
  std::size_t log_bytes_kept = 16 * 1024 * 1024;
  std::size_t log_bytes_worth = 2 * 1024 * 1024;
  std::size_t snapshot_tail_bytes_max = 64 * 1024 * 1024;  // not applied: beyond, no snapshot now
  std::uint64_t sample_every = 128;  // entries: how often states are compared by their checksums
  SessionBounds sessions;
};

class RaftLife final : private StateImages {
 public:
  RaftLife(NodeId self, const std::vector<NodeId>& members, const RaftReplicaOptions& options);
  RaftLife(const RaftLife&) = delete;
  RaftLife& operator=(const RaftLife&) = delete;
  ~RaftLife() override = default;

  // As in kv::Replica.
  void restore(ByteView snapshot_piece);
  void recover(ByteView record);
  void start(Instant now, Effects& out);
  void receive(Instant now, NodeId from, ByteView message, Effects& out);
  void request(Instant now, RequestId id, const Command& command, Effects& out);
  void tick(Instant now, Effects& out);
  Instant wake_at() const;
  bool begin_snapshot();
  Bytes next_snapshot_piece();
  bool snapshot_open() const { return image_use_ == ImageUse::host; }
  void check_invariants() const;

  // As in kv::Members.
  MemberList members() const;
  std::uint64_t members_version() const { return members_version_; }
  void change_members(Instant now, RequestId id, const MemberChange& change, Effects& out);

  /// See Raft.
  const char* transfer_leadership(Instant now, NodeId to, Effects& out);
  const char* change_membership(Instant now, const Membership& next, Effects& out);

  const Raft& raft() const { return raft_; }
  Index applied() const { return applied_; }
  const Acquaintance& acquaintance() const { return acquaintance_; }
  /// Its state is not the leader's: it serves no more.
  bool diverged() const { return diverged_; }
  std::uint64_t checksum() const { return machine_->checksum(); }

 private:
  enum class ImageUse : std::uint8_t { none, host, peer };

  /// A command in the log, and whom to tell how it ended.
  struct Waiting {
    Index index;
    Term term;
    Instant until;
    NodeId from;               // who forwarded it; nobody: it is a request here …
    std::uint64_t number = 0;  // … of this number; else the forwarder's, …
    std::uint64_t life = 0;    // … in this life

    bool is_same_asker(const Waiting& other) const {
      return from == other.from && number == other.number && life == other.life;
    }
  };
  /// A change that the leader must be asked for. Numbers have no gaps.
  struct Held {
    std::uint64_t number = 0;
    RequestId request;
    Bytes command;
    Instant until;
    Instant asked{};             // the leader of now
    std::uint64_t sequence = 0;  // of the last message that it was in
    bool repeatable = false;     // its session keeps it from being done twice
    bool maybe_taken = false;    // it was sent, and nobody said that it was not taken
    bool asked_before = false;   // so it was already when it was last sent
    bool unsent = true;          // to the leader of now
    bool done = false;
  };
  struct Read {
    RequestId request;
    Command command;
    Instant until;
  };
  struct RemoteQuery {
    NodeId from;
    ReadQuery query;
  };
  struct ReadBatch {
    std::uint64_t number = 0;  // the leader's: the round; else the query's
    Index index;
    Instant asked{};
    std::vector<Read> reads;
    std::vector<RemoteQuery> remote;
  };
  struct Replies {
    NodeId to;
    Forwarded message;
  };
  struct SeenLife {  // what a forwarder sent in this leader's term
    NodeId from;
    std::uint64_t life = 0;
    std::uint64_t sequence = 0;
  };
  struct Change {  // of the members, that this leader was asked for
    MemberChange what;
    std::vector<RequestId> asked;
    Instant until;
    Instant look_at{};         // again, if nothing comes before
    bool begun = false;        // a transfer
    bool misses_disk = false;  // of a founder, so nothing was done; see ask_unknown_disks()
  };
  struct Sample {
    Index index;
    std::uint64_t checksum = 0;
  };

  // StateImages.
  bool begin_image() override;
  Bytes next_image_piece() override;
  void end_image() override;
  Taken take_piece(ByteView piece, bool first) override;
  void take_over(Index last) override;

  // What belongs to this class alone of what comes in; the rest is Raft's.
  void on(Instant now, NodeId from, const Forward& forward, Effects& out);
  void on(Instant now, NodeId from, const Forwarded& forwarded, Effects& out);
  void on(Instant now, NodeId from, const ReadQuery& query, Effects& out);
  void on(Instant now, NodeId from, const ReadGrant& grant, Effects& out);
  void on(Instant now, NodeId from, const Greet& greet, Effects& out);
  void on(Instant now, NodeId from, const Greeted& greeted, Effects& out);

  bool stopped() const { return diverged_ || acquaintance_.refused(); }
  void after_step(Instant now, Effects& out);
  void on_new_leader(Instant now, Effects& out);
  void want_flush(Instant now);

  // Changes (raft_requests.cc).
  void propose(Instant now, const Command& command, Waiting who);
  bool join_waiting(const Command& command, const Waiting& who);
  const char* refusal_now() const;
  void hold(Instant now, RequestId id, const Command& command);
  void flush_held(Instant now, Effects& out);
  std::size_t forwarded_bytes(Instant now) const;
  void forward_held(Instant now, Effects& out);
  Held* held(std::uint64_t number);
  void finish_held(Held& held, const Reply& reply, Effects& out);
  void close_held(Held& held);
  void drop_finished();
  bool first_of_its_kind(NodeId from, const Forward& forward);
  void tell(const Waiting& waiting, Reply&& reply, Effects& out);
  void reply_to(NodeId forwarder, ForwardedReply reply, std::uint64_t life);
  void flush_replies(Effects& out);
  std::size_t log_bytes_worth_keeping() const;
  void apply_committed(Effects& out);
  void apply_one(const EntryView& entry, Effects& out);
  void give_up_truncated(Effects& out);
  void end_patience_of_changes(Instant now, Effects& out);

  // Reads (raft_reads.cc).
  Instant reads_due() const;
  void flush_reads(Instant now, Effects& out);
  void grant(ReadBatch&& batch, Effects& out);
  void serve_granted(Effects& out);
  void serve(std::vector<Read>& reads, Effects& out);
  void ask_again(Instant now, Effects& out);
  void take_reads_back();
  void end_patience_of_reads(Instant now, Effects& out);
  void drop_expired(std::vector<Read>& reads, Instant now, Effects& out);

  // The members (raft_members.cc). Each step says what there is to wait for.
  void go_on_with_change(Instant now, Effects& out);
  void on_change_without_leadership(Instant now, Effects& out);
  std::string add_member(Instant now, Effects& out);
  std::string remove_member(Instant now, Effects& out);
  std::string transfer_to(Instant now, Effects& out);
  std::string begin_change(Instant now, Membership next, Effects& out);
  std::string ask_unknown_disks(const Membership& next, Effects& out);
  void meet(NodeId node);
  void end_change(Status status, const std::string& why, Effects& out);
  void look_at_members(Instant now, Effects& out);

  // Divergence.
  void compare(const Sample& said, Effects& out);
  void sample();

  void sweep(Instant now, Effects& out);
  bool anything_waits() const;
  void answer(RequestId id, Status status, const char* why, Effects& out);
  bool noting(Level level) const { return level >= options_.note_level; }
  void note_op(const char* event, Index index, const Command& command, Effects& out) const;

  const NodeId self_;
  const RaftReplicaOptions options_;
  Raft raft_;
  Acquaintance acquaintance_;
  Instant now_{};
  std::uint64_t mark_ = 0;  // this disk's, if it has none yet
  std::uint64_t life_ = 0;  // drawn: what this life asks is never taken for another's

  std::unique_ptr<StateMachine> machine_;
  std::unique_ptr<StateMachine> coming_;    // an image that is being taken in
  std::unique_ptr<StateMachine> replaced_;  // by one: a snapshot of it is still on its way out
  Index applied_;
  ImageUse image_use_ = ImageUse::none;
  std::deque<Bytes> snapshot_front_;  // of the snapshot: what goes before the state machine's
  Stamper stamper_;
  Entry entry_;  // these are kept for their capacity
  Entry other_;
  Reply reply_;
  Bytes payload_;

  Term seen_term_;  // the leadership as after_step() last saw it
  NodeId seen_leader_;
  bool knew_commit_ = false;
  std::uint64_t seen_truncations_ = 0;
  bool took_over_ = false;    // an image, since after_step() last looked
  bool flush_ = false;        // of changes
  bool flush_reads_ = false;  // when they are due
  Instant sweep_at_ = never;

  std::deque<Waiting> waiting_;  // by index
  /// Where the leader's own entries stand that are not applied, by the hash of their command's ID.
  boost::unordered_flat_map<std::uint64_t, Index> proposed_;
  std::deque<Held> held_;  // by number
  std::uint64_t next_number_ = 1;
  std::size_t unsent_ = 0;     // of held_
  std::size_t held_open_ = 0;  // likewise: not done
  std::uint64_t next_sequence_ = 1;
  Term led_term_;                     // the last that this life has led
  std::vector<SeenLife> seen_lives_;  // who has forwarded what to it in that term
  std::vector<Replies> replies_;

  std::vector<Read> reads_;  // nobody has been asked yet
  std::vector<RemoteQuery> queries_;
  std::deque<ReadBatch> confirming_;  // a leader's, by round
  std::deque<ReadBatch> asked_;       // a follower's, by number
  std::vector<ReadBatch> granted_;    // wait for the log to be applied
  std::uint64_t next_query_ = 1;
  std::size_t reads_waiting_ = 0;

  std::optional<Change> change_;
  std::optional<Member> joining_;  // is asked for its disk
  Raft::ConfigurationMark seen_configuration_;
  std::uint64_t members_version_ = 1;

  std::deque<Sample> samples_;
  std::optional<Sample> said_;  // by the leader, of a place not applied here yet
  Index compared_;
  bool diverged_ = false;
};

}  // namespace kv::raft
