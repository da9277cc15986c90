// A proposer (Paxos Made Simple, 2.2 to 3): it wins a ballot once, for all slots that are open,
// and then decides one slot after the other with a single round trip each.
//
//   following   another proposer leads, or nobody does yet
//   preparing   phase 1: a majority is asked to promise
//   leading     phase 2, slot by slot, several at once
//
// It needs no stable storage but for the number of its life, which is part of its ballots. Its
// messages need not wait for the disk of its own replica: the acceptor beside it is one of several.
//
// It proposes only where it knows who decides: up to window_slots behind what its learner has
// applied (configuration.h), with promises of a majority of every configuration in that window.
// When it learns of another one it begins phase 1 anew, in a greater ballot.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <vector>

#include "common/core/gathering.h"
#include "common/core/random.h"
#include "common/core/time.h"
#include "common/kv/state_machine.h"
#include "phase4_paxos/ballot.h"
#include "phase4_paxos/configuration.h"
#include "phase4_paxos/messages.h"
#include "phase4_paxos/notices.h"
#include "phase4_paxos/options.h"
#include "phase4_paxos/parcel.h"
#include "phase4_paxos/post.h"
#include "phase4_paxos/quorums.h"

namespace kv::paxos {

class Proposer {
 public:
  /// Life number `boot` of this replica's proposer: it does nothing until on_booted() says that the
  /// number is durable. `configurations` are those behind what it is told to be applied.
  Proposer(NodeId self, Configurations configurations, const PaxosOptions& options,
           std::uint64_t boot, std::uint64_t seed);

  void start(Instant now);
  void on_booted(std::uint64_t boot);

  void on_promise(Instant now, NodeId from, const Promise& promise, Post& post);
  void on_accepted(Instant now, NodeId from, const Accepted& accepted, Post& post);
  void on_confirmed(Instant now, NodeId from, const Confirmed& confirmed, Post& post);
  void on_refused(Instant now, const Refused& refused, Post& post);
  /// A Beat or an Accept of that ballot came by, this replica's own among them.
  void on_leader(Instant now, const Ballot& ballot, Slot chosen, Post& post);
  void on_forward(NodeId from, ByteView parcel);
  void on_read_ask(NodeId from, const ReadAsk& ask);

  void tick(Instant now, Post& post);
  Instant wake_at() const;

  /// Of the learner beside it.
  void on_progress(Instant now, const Progress& progress);
  void on_deciders(const Deciders& deciders);

  bool leading() const { return stage_ == Stage::leading; }
  /// Whether it leads, no change of members is under way, and it has proposed none yet.
  bool may_reconfigure() const;
  /// check() may_reconfigure(). The next value has it. Whether it took effect is to be seen in the
  /// learner's configurations; if this leadership ends before, perhaps not.
  void reconfigure(const Reconfigure& change);
  /// Whether the last change is over for good: a majority of its voters has applied all that others
  /// decided.
  bool settled() const;
  /// Whether that acceptor, or another disk of that node, answered lately.
  bool hears(NodeId node, Instant now) const;
  /// Who decides the slots behind what is applied, as it knows.
  const Configurations& configurations() const { return configurations_; }
  const Ballot& ballot() const { return ballot_; }
  Slot chosen() const { return chosen_; }
  /// What earlier leaders may have had chosen ends here.
  Slot adopted_end() const { return adopted_end_; }
  /// Loses patience, whatever it was at: the next tick begins a ballot.
  void give_up(Instant now, Post& post);
  /// All that its messages depend on but time, as bytes: states are told apart by it.
  void digest_to(Bytes& out) const;
  void check_invariants() const;

 private:
  enum class Stage : std::uint8_t { following, preparing, leading };

  struct Open {  // a slot that is proposed and not known to be chosen
    Bytes message;
    Seats accepted = 0;
    Seats wanted = 0;            // by clients of these
    std::uint64_t commands = 0;  // of parcels; not of what an earlier leader left
    Instant sent_at;
  };
  struct Queued {
    Bytes parcel;
    std::uint64_t commands = 0;
    NodeId from;
  };
  struct Round {
    std::uint64_t number = 0;
    Instant sent_at;
  };
  struct Asked {
    NodeId from;
    ReadAsk ask;
  };
  struct Reads {  // that wait for a majority to confirm the ballot, in this round or a later one
    std::uint64_t round = 0;
    Slot slot;
    Seats confirmed = 0;
    std::vector<Asked> asks;
  };

  // Phase 1.
  void prepare(Instant now, Post& post);
  void ask_for_promises(Post& post);
  void ask_for_news(Post& post) const;
  void adopt(const Promise& promise);
  bool counts(std::size_t seat, const Lives& lives);
  void discount(std::size_t seat);
  void lead(Instant now, Post& post);
  void follow(Instant now, const char* why, Post& post);
  void lose(Instant now);
  void queue_again(const Open& open);
  void take_stock();
  bool duels() const { return options_.leadership == Leadership::none; }
  /// Without a leader: whether there is a reason to win a ballot.
  bool wants_ballot() const { return !queue_.empty() || !asks_.empty(); }
  /// Whether it may begin a ballot at all.
  bool may_run() const;
  /// Others decide, now or soon, than those who were asked for promises.
  bool reconfigured() const {
    return stage_ != Stage::following && configurations_.latest().number != number_;
  }
  bool needs_own_promise() const;
  void prepare_again(Instant now, Post& post);

  // Phase 2.
  void propose_adopted(Instant now, Post& post);
  void propose_queued(Instant now, Post& post);
  void enqueue(ByteView parcel, ByteView commands, NodeId from);
  Bytes take_value(Instant now, Open& open);
  void propose(Instant now, ByteView value, Open open, Post& post);
  void advance(Instant now, Post& post);
  void resend(Instant now, Post& post);
  void beat(Instant now, Post& post);
  void tell_news(Post& post);
  Beat news() const;
  void begin_reads(Instant now, Post& post);
  void answer_confirmed_reads(Post& post);
  void answer_reads(const std::vector<Asked>& asks, Slot slot, Post& post);
  void take_grant(std::size_t seat, const Confirmed& confirmed);
  bool holds_lease(Instant now) const;
  void go_on_leading(Instant now, Post& post);
  void keep_leading(Instant now, Post& post);
  bool steps_down(Instant now, Post& post);

  void send_all(Bytes message, Post& post);
  Seats own() const { return quorums_.of(self_); }
  Slot next_slot() const { return chosen_ + 1 + open_.size(); }
  bool may_propose() const {
    return next_slot() > adopted_end_ && next_slot() <= window_end_ && !reconfigured();
  }
  bool may_open() const {
    return (!queue_.empty() || change_) && open_.size() < options_.pipeline_slots &&
           open_bytes_ < options_.pipeline_bytes && may_propose();
  }
  /// A change takes effect in a later slot: those before it are used up at once.
  bool fills() const { return configurations_.latest().from > next_slot() && may_propose(); }
  /// Whether it is known who would have to have decided the slot behind what a read must show.
  bool may_read() const { return read_slot() + 1 <= window_end_; }
  Slot read_slot() const { return std::max(chosen_, adopted_end_); }
  /// never: there is nothing to propose, or no room.
  Instant propose_at() const { return may_open() ? gathering_.due(now_, queue_commands_) : never; }
  Duration draw_patience();
  void note_role(Level level, const char* event, const char* why, Post& post) const;

  const NodeId self_;
  const PaxosOptions& options_;
  const std::uint64_t boot_;
  bool booted_ = false;
  Random random_;
  Instant now_{};

  Stage stage_ = Stage::following;
  std::uint64_t round_seen_ = 0;
  Ballot leader_;  // the greatest that was heard to lead
  Instant heard_at_{};
  Duration patience_{};
  Slot chosen_heard_;
  Instant retry_at_{};        // without a leader: not before
  std::uint32_t losses_ = 0;  // of ballots, in a row

  // preparing and leading
  Ballot ballot_;
  Quorums quorums_;             // of the slots from from_ on
  std::uint64_t number_ = 0;    // of the last configuration among them
  Slot window_end_;             // up to here it is known who decides
  Lives lives_;                 // of acceptors, as far as was heard; empty: they are durable
  Seats promised_ = 0;          // all of it was told
  std::vector<Slot> ask_from_;  // of each seat: where its Promise goes on
  bool own_asked_ = false;
  Slot from_;
  Slot floor_;
  std::map<Slot, Proposal> adopted_;  // and not proposed yet
  Instant prepare_until_{};
  Instant resend_at_{};

  // leading
  std::deque<Open> open_;  // of chosen_ + 1 and the slots behind it
  std::size_t open_bytes_ = 0;
  Slot chosen_;       // every slot up to here is chosen
  Slot adopted_end_;  // what earlier leaders may have had chosen ends here
  std::deque<Queued> queue_;
  std::size_t queue_bytes_ = 0;
  std::uint64_t queue_commands_ = 0;
  Gathering gathering_;                        // of what is queued
  ParcelWindows taken_;                        // into the queue, in this ballot
  std::optional<Bytes> change_;                // of members: to be proposed next
  std::optional<std::uint64_t> changes_from_;  // the number that a change was proposed on
  Stamper stamper_;
  std::vector<Asked> asks_;
  std::optional<Reads> reads_;
  std::uint64_t beat_round_ = 0;
  std::deque<Round> rounds_;            // with leases: those that may still bring one
  std::vector<Instant> granted_until_;  // by each seat
  std::uint64_t own_round_ = 0;         // that the acceptor beside it confirmed, in any ballot
  Seats own_seat_ = 0;                  // as which it did
  Instant beat_at_{};
  Seats want_news_ = 0;
  std::vector<Instant> confirmed_at_;  // by each seat, or accepted
  std::vector<Slot> applied_by_;       // each seat's learner, as it said with that
  std::uint64_t challenge_round_ = 0;  // a greater ballot was promised by somebody: 0 none
  Seats challenge_confirmed_ = 0;

  // of the learner beside it
  Slot applied_;
  Configurations configurations_;  // behind it
  LogTime log_time_{};
  Slot checked_at_;             // up to here the log has …
  std::uint64_t checksum_ = 0;  // … this checksum
  Instant learner_at_{};        // when it was last known to get on
};

}  // namespace kv::paxos
