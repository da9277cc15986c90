// Where the clients of one replica are served: the paper's client, for all of them.
//
// Commands that change something are packed into parcels and handed to the leader, whoever that
// is; the parcel comes back in the log, and the replies are those of this replica's own learner.
// Until then the parcel is handed in again whenever somebody else leads or nothing comes of it: it
// takes effect once (parcel.h). Reads ask the leader how far one must have applied, and are
// answered here when this replica has.
//
// A desk is no role of Paxos and dies with its process alone: clients must be told something even
// while every role beside it is dead.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "common/core/time.h"
#include "common/kv/command.h"
#include "phase4_paxos/messages.h"
#include "phase4_paxos/notices.h"
#include "phase4_paxos/options.h"
#include "phase4_paxos/parcel.h"
#include "phase4_paxos/post.h"

namespace kv::paxos {

class Desk {
 public:
  Desk(NodeId self, const PaxosOptions& options) : self_(self), options_(options) {}

  /// Life number `boot` begins; nothing leaves before on_booted() says that it is durable, and
  /// on_born() that this replica may speak: another disk of its node may have handed in parcels of
  /// the same numbers, whose replies would be taken for those to its own.
  void start(Instant now, std::uint64_t boot);
  void on_booted(std::uint64_t boot);
  void on_born() { born_ = true; }
  bool booted() const { return booted_; }
  /// No parcel before this number waits for its replies.
  std::uint64_t first_open() const { return first_; }

  void request(Instant now, RequestId id, const Command& command, Post& post);
  void on_leader(Instant now, const Ballot& ballot);
  /// Whether a leader was heard lately.
  bool has_leader(Instant now) const {
    return leader_.node != 0 && now - heard_at_ < options_.election_max;
  }
  /// Who was heard last, and in which round it leads.
  NodeId leader() const { return {leader_.node}; }
  std::uint64_t round() const { return leader_.round; }
  void on_read_at(Instant now, const ReadAt& read_at, Post& post);
  /// The log has parcels of this replica that neither this life nor one before it handed in: its
  /// disk is a copy of what it was before some other life. (Each life's number is durable before
  /// anything leaves that bears it.)
  bool is_older_copy() const { return older_copy_; }
  /// This replica serves nobody any more.
  void abandon(const char* why, Post& post);
  // From the learner beside it.
  void on_progress(Slot applied, Post& post);
  void on_replied(const Replied& done, Post& post);
  void on_leapt(ByteView windows, Post& post);
  void on_read_done(const ReadDone& done, Post& post);

  void tick(Instant now, Post& post);
  Instant wake_at() const;

 private:
  /// Below it, so that a late one is never taken for one that took effect: see ParcelWindows.
  static constexpr std::uint64_t open_parcels_max = ParcelWindows::window / 2;

  struct Gathered {  // commands that are in no parcel yet
    Bytes commands;
    std::vector<RequestId> requests;
    Instant since;
    bool took_effect = false;  // all of them did, in a parcel whose replies nobody here saw
  };
  struct Open {  // a parcel that was handed in
    Bytes message;
    std::vector<RequestId> requests;  // empty: all are answered
    Instant since;
    Instant sent_at;
  };
  struct Read {
    RequestId request;
    Command command;
  };
  struct Reads {
    std::vector<Read> reads;
    Instant since;
    Instant sent_at;
    std::uint64_t number = 0;  // of the question
    Slot slot;                 // the answer, once it is here
    bool handed = false;       // to the learner
  };

  void gather(Instant now, RequestId id, const Command& command, bool took_effect = false);
  bool can_hand_in() const {
    return ready() && !gathered_.empty() && open_.size() < open_parcels_max &&
           open_bytes_ < options_.handed_in_bytes_max;
  }
  bool can_ask() const { return ready() && !reads_.reads.empty() && !asked_; }
  bool ready() const { return booted_ && born_ && leader_.node != 0; }
  void hand_in(Instant now, Post& post);
  void ask(Instant now, Post& post);
  void send_again(Instant now, bool all, Post& post);
  void give_up(Instant oldest, const char* why_here, const char* why_away, Post& post);
  void settle(Open& open, Post& post);
  bool is_of_another_life(const ParcelId& id) const;
  void hand_reads(Post& post);
  void close(Open& open);
  void drop_closed();
  bool waits() const {
    return !gathered_.empty() || !open_.empty() || asked_ || !reads_.reads.empty() ||
           !answered_.empty();
  }

  const NodeId self_;
  const PaxosOptions& options_;
  std::uint64_t boot_ = 0;
  bool booted_ = false;
  bool born_ = false;
  bool older_copy_ = false;
  Instant now_{};
  Ballot leader_;
  Instant heard_at_{};
  bool leader_is_new_ = false;

  std::deque<Gathered> gathered_;
  std::deque<Open> open_;  // of first_ and the numbers behind it
  std::uint64_t first_ = 1;
  std::size_t bytes_ = 0;       // of both
  std::size_t open_bytes_ = 0;  // of open_
  Reads reads_;                 // not asked for yet
  std::optional<Reads> asked_;
  std::deque<Reads> answered_;  // that wait for the learner
  Slot applied_;                // by it, as far as it said
  std::uint64_t last_question_ = 0;
  Instant look_at_ = never;  // whether something must be sent again, or given up
  Bytes scratch_;
};

}  // namespace kv::paxos
