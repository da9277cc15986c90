// Raft over opaque entries: one log in one order on every member, in spite of lost messages, lost
// members and a network that lies about who is alive.
//
// Pure, like a Replica, and the part of one that knows no store: told messages and time, it answers
// with Effects and moves commit() on. Whoever owns it applies what is committed. Each group of the
// paper's rules has a file: raft_election (5.2, 5.4.1), raft_append (5.3, the follower's half),
// raft_replication (5.3 and 5.4.2, the leader's half), raft_snapshot (7), raft_membership (6).
//
// What is gathered between two calls of tick() leaves with the second: one message a peer, one
// record. The leader's messages do not wait for its own disk: it counts itself when a message to
// itself, which does wait, comes back. A leader whose disk says nothing for an election time-out
// steps down, and nobody's votes or questions for votes pass a disk that hangs.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <utility>
#include <vector>

#include "common/core/gathering.h"
#include "common/core/ids.h"
#include "common/core/level.h"
#include "common/core/random.h"
#include "common/core/time.h"
#include "common/kv/replica.h"
#include "common/wire/logfmt.h"
#include "phase5_raft/membership.h"
#include "phase5_raft/messages.h"
#include "phase5_raft/raft_log.h"

namespace kv::raft {

/// To whom the leader sends entries at once.
enum class Fanout : std::uint8_t {
  everyone,
  bare_majority,  // to as few as are needed; to the rest with the next heartbeat, or when no answer
                  // comes within `resend_after`
};

struct RaftOptions {
  std::uint64_t seed = 1;  // another one in each life
  Level note_level = Level::info;
  Duration heartbeat_every = std::chrono::milliseconds{50};
  /// A follower waits this long, to twice this long, before it asks for votes. Also how long a
  /// leader leads without hearing from a majority, or from its own disk.
  Duration election_timeout = std::chrono::milliseconds{400};
  /// Entries not committed for so long are sent again to whoever has not acknowledged them, then
  /// after twice as long …; 0: heartbeats find what is missing.
  Duration resend_after{};
  /// A candidate repeats its question to whoever has not answered after so long, then after twice
  /// as long, four times in all (Raft 5.1); 0: it waits for the next election.
  Duration ask_votes_again_after{};
  /// How long after the beginning of a confirmed round the leader may answer reads by itself; 0:
  /// never, each read is confirmed. Below election_timeout by more than clocks drift in it.
  Duration read_lease{};
  Fanout fanout = Fanout::everyone;
  /// While entries are not committed the next ones wait so long at most for them, so that what
  /// comes meanwhile is one message and one record; see Gathering. Reads wait likewise for those
  /// that a majority is being asked for. 0: not at all.
  Duration gather{};
  std::size_t append_bytes_max = 1024 * 1024;         // of entries in one message, or one entry
  std::size_t in_flight_bytes_max = 4 * 1024 * 1024;  // to one follower, not acknowledged
  std::size_t in_flight_max = 64;                     // messages with entries, likewise
  std::size_t early_bytes_max =
      1024 * 1024;  // of entries that overtook others, kept till those come
  std::size_t image_pieces_in_flight_max = 4;
  Duration image_resend_after = std::chrono::milliseconds{500};
  Duration image_patience = std::chrono::seconds{5};  // without progress: given up, then anew
};

/// The applied state, where Raft must send it or take it in. Its owner's; calls no Raft method.
class StateImages {
 public:
  virtual ~StateImages() = default;
  /// Freezes what is applied now. False: not now.
  virtual bool begin_image() = 0;
  /// The next piece; empty when the last is out.
  virtual Bytes next_image_piece() = 0;
  virtual void end_image() = 0;

  enum class Taken : std::uint8_t { more, complete, damaged };
  /// A piece of another's, `first` begins anew. It replaces nothing until take_over().
  virtual Taken take_piece(ByteView piece, bool first) = 0;
  /// What take_piece() completed is the state now: all up to `last` is applied.
  virtual void take_over(Index last) = 0;
};

enum class Role : std::uint8_t { follower, pre_candidate, candidate, leader };
std::string_view name_of(Role role);

class Raft {
 public:
  /// `images` may be null: then nothing may ever be dropped from the log.
  Raft(NodeId self, Membership membership, const RaftOptions& options, StateImages* images);
  Raft(const Raft&) = delete;
  Raft& operator=(const Raft&) = delete;

  // A life: what a snapshot held, then what records held, then start().

  struct Saved {  // everything but the applied state and the entries behind it
    HardState hard;
    Index applied;
    Term applied_term;
    Membership membership;  // as of `applied`

    static void fields(auto& self, auto& visit) {
      visit("hard", self.hard);
      visit("applied", self.applied.value);
      visit("applied_term", self.applied_term.value);
      visit("membership", self.membership);
    }
  };
  /// What a snapshot must hold, beside the entries from applied + 1 on. Not while receiving().
  Saved saved() const;
  void restore(const Saved& saved);
  void restore_entries(ByteView entries);
  void recover(const HardState& record);
  void recover(const EntriesRecord& record);
  void recover(const InstallSnapshot& record);
  void start(Instant now, Effects& out);

  // Steps.

  void on(Instant now, NodeId from, const RequestVote& request, Effects& out);
  void on(Instant now, NodeId from, const Vote& vote, Effects& out);
  void on(Instant now, NodeId from, const AppendEntries& append, Effects& out);
  void on(Instant now, NodeId from, const Appended& appended, Effects& out);
  void on(Instant now, NodeId from, const InstallSnapshot& install, Effects& out);
  void on(Instant now, NodeId from, const Installed& installed, Effects& out);
  void on(Instant now, NodeId from, const TimeoutNow& timeout, Effects& out);
  void tick(Instant now, Effects& out);
  Instant wake_at() const;

  /// Adds an entry to the leader's log; it leaves with the next tick(). check() that it leads.
  Index propose(Instant now, EntryKind kind, ByteView payload);
  /// The leader asks everyone, with the next tick(), whether it still leads. Once
  /// confirmed_round() has reached the number returned, it did when this was called.
  std::uint64_t confirm(Instant now);
  /// The leader speaks to `to` with the next tick(), as if a heartbeat were due.
  void beat(Instant now, NodeId to);
  /// Hands leadership to `to`, a voter heard within an election time-out, or to the most advanced
  /// such one if `to` is nobody; gives up after an election time-out. Nothing may be proposed in
  /// the meantime, so after a failed one there is as long a pause before another to nobody in
  /// particular, and that one goes to somebody else if it can. Null, or why not.
  const char* transfer(Instant now, NodeId to, Effects& out);
  /// Raft 6: begins a change of the configuration; it goes through a joint one, and the final one
  /// follows by itself. Null, or why not: it does not lead, or the last change is under way.
  const char* change_membership(Instant now, const Membership& next, Effects& out);
  /// Everything up to there is applied.
  void applied(Index index) { applied_ = std::max(applied_, index); }
  /// Drops applied entries from memory until about `bytes_kept` are left.
  /// For one who is sent an image, the entries behind that are kept as well, as long as all are no
  /// more than `bytes_for_image`; then it needs another one.
  void trim_log(std::size_t bytes_kept, std::size_t bytes_for_image);

  /// Whether a leader with Fanout::bare_majority tells those who acknowledged an entry at once that
  /// it is committed: two messages more, and whoever leads next knows better what was answered.
  void announce_commits(bool yes) { announces_commits_ = yes; }

  /// What heartbeats say of the state, so that divergence is found; see AppendEntries.
  void sample(Index index, std::uint64_t checksum) {
    sampled_ = index;
    sampled_checksum_ = checksum;
  }

  // Questions.

  NodeId self() const { return self_; }
  Role role() const { return role_; }
  bool leads() const { return role_ == Role::leader; }
  bool may_propose() const { return leads() && !transfer_; }
  Term term() const { return term_; }
  NodeId voted_for() const { return voted_for_; }
  /// Of this term, as far as is known; nobody: 0.
  NodeId leader() const { return leader_; }
  /// When a leader of this term was last heard; before that, when this life began.
  Instant heard_at() const { return heard_at_; }
  Index commit() const { return commit_; }
  const RaftLog& log() const { return log_; }
  const Membership& membership() const { return configurations_.back().second; }
  /// The last configuration is committed, and it is no joint one.
  bool settled() const;
  /// Everyone in the committed configuration or one behind it, by number.
  std::vector<NodeId> reachable() const;
  /// What the latest configuration that knows it says of `node`; null: none does.
  const MemberFacts* facts_of(NodeId node) const;
  /// Another value whenever a configuration came, went or was committed.
  struct ConfigurationMark {
    Index last;
    Term term;
    Index committed;

    bool operator==(const ConfigurationMark&) const = default;
  };
  ConfigurationMark configuration_mark() const;
  /// The leader's: by how many entries `node` is behind; nothing: it does not follow yet.
  std::optional<std::uint64_t> entries_behind(NodeId node, Instant now) const;
  /// The leader's: whether a quorum of `next` has been heard within an election time-out.
  bool hears_quorum_of(const Membership& next, Instant now) const;
  /// The leader may serve reads once an entry of its own term is committed (Raft 8).
  bool knows_commit() const { return leads() && commit_ >= term_start_; }
  std::uint64_t confirmed_round() const { return confirmed_round_; }
  /// With a lease: until then this leader may answer reads by itself.
  Instant lease_until() const { return lease_until_; }
  /// A follower's: the logs are equal up to here, by the leader of this term.
  Index matched() const { return matched_; }
  /// The leader's: of the last messages that wanted an answer it has answered some.
  bool has_answered(NodeId id) const;
  /// The leader said, in this term, that everything up to there is committed.
  void learn_commit(Term term, Index commit);
  bool sending_image() const { return outgoing_.has_value(); }
  bool receiving_image(Instant now) const;
  /// A snapshot begins, and an image that stands still must not go on after it: the records of its
  /// pieces by now go with those that the snapshot stands for.
  void let_go_of_image() { incoming_.reset(); }

  void check_invariants() const;

 private:
  enum class Content : std::uint8_t {
    question,       // whether its log is ours up to there
    entries,        // and an answer is wanted
    quiet_entries,  // and none is
  };
  enum class Pace : std::uint8_t {
    probe,      // where its log parts from ours is not known: one message at a time
    replicate,  // it follows: entries are sent as they come
    image,      // what it needs next is gone: it gets the state
  };
  struct InFlight {
    Index last;
    std::size_t bytes;
  };
  struct Peer {
    NodeId id;
    Pace pace = Pace::probe;
    Index match;
    Index next{1};
    bool probing = false;  // a probe is out, and neither answered nor given up
    std::deque<InFlight> in_flight;
    std::size_t in_flight_bytes = 0;
    std::uint64_t round = 0;       // it has confirmed
    std::uint64_t round_sent = 0;  // it was told
    Instant heard{};               // its last answer in this term
    std::uint32_t unanswered = 0;  // messages since then that want an answer
    Instant sent{};                // our last message to it
    Instant probed{};              // the last one with entries to a place that it may not be at
    std::size_t probe_bytes = 0;   // of that
    Instant failed_at{};           // to take leadership over, the last time
  };
  struct Incoming {
    std::uint64_t image = 0;
    std::uint64_t next = 0;
    Instant progress{};
  };
  struct Outgoing {
    NodeId to;
    InstallSnapshot head;  // all but number and piece
    std::deque<Bytes> window;
    std::uint64_t first = 0;  // the number of window.front()
    bool complete = false;    // its last piece is in the window, or was
    Instant sent{};
    Instant progress{};
  };
  struct Transfer {
    NodeId to;
    Instant until;
    bool told = false;
  };
  struct Round {
    std::uint64_t number;
    Instant began;
  };

  // Terms and roles.
  void follow(Instant now, Term term, NodeId leader, Effects& out);
  void adopt_term(Term term);
  void step_down(Instant now, const char* why, Effects& out);
  void save_hard_state(Effects& out) const;

  // Elections.
  void reset_election_timer(Instant now);
  bool behind() const;
  Instant election_due_at() const;
  void bring_election_forward(Instant to);
  void go_before(Instant now);
  void follow_suit(Instant now, const RequestVote& request);
  bool hears_leader(Instant now) const;
  bool bound_by_lease(Instant now) const;
  bool up_to_date(const RequestVote& request) const;
  void ask_for_pre_votes(Instant now, Effects& out);
  void campaign(Instant now, bool transfer, Effects& out);
  void request_votes(Term term, bool pre, bool transfer, Effects& out);
  void send_vote_requests(Effects& out);
  void count_vote(Instant now, NodeId voter, Effects& out);
  void become_leader(Instant now, Effects& out);

  // The follower's log.
  void refuse(NodeId to, const AppendEntries& append, Effects& out) const;
  bool keep_early(const AppendEntries& append);
  bool take_early(Effects& out);
  bool take_entries(Index previous, ByteView entries, Effects* out);
  void place_entry(Index index, const EntryView& entry);
  void advance_commit(Index commit);
  void send_appended(Effects& out);

  // The leader's.
  void lead(Instant now, Effects& out);
  void replicate(Instant now, Effects& out);
  bool gathers(Instant now) const;
  void record_proposals(Instant now, Effects& out);
  void begin_round(Instant now);
  void tell(Peer& peer, Instant now, Effects& out);
  bool may_send_entries(const Peer& peer, Instant now) const;
  void send_entries(Peer& peer, Instant now, Effects& out);
  void send_heartbeat(Peer& peer, Instant now, Effects& out);
  bool may_be_quiet(const Peer& peer) const;
  const Bytes& encoded_append(Index previous, Content content);
  void go_back(Peer& peer, Index next);
  bool commit_is_late(Instant now) const;
  void resend(Instant now);
  void rewind_chosen();
  void rewind(Peer& peer);
  void choose_few(bool late);
  bool chosen(const Peer& peer) const;
  void announce_commit(Effects& out);
  AppendEntries notice_of_commit() const;
  void on_matched(Instant now, Peer& peer, Index match, Effects& out);
  void on_refused(Peer& peer, const Appended& appended);
  void count_rounds();
  void commit_by_counting(Instant now, Effects& out);
  Index match_of(NodeId node) const;
  bool disk_hangs(Instant now) const;
  Instant quorum_heard(Instant now) const;
  Instant ask_majority_at(Instant now) const;
  bool beat_due(const Peer& peer, Instant now) const;
  bool heard_lately(const Peer& peer, Instant now) const {
    return now - peer.heard < options_.election_timeout;
  }
  Peer* peer(NodeId id);
  const Peer* peer(NodeId id) const;

  // The transfer of leadership, and the configuration.
  NodeId successor(Instant now) const;
  void go_on_with_transfer(Instant now, Effects& out);
  void configure(Index index, Membership membership);
  void forget_configurations_after(Index index);
  const Membership& membership_at(Index index) const;
  void match_peers_to_membership();
  void go_on_with_membership(Instant now, Effects& out);

  // Images of the state.
  void go_on_with_images(Instant now, Effects& out);
  void begin_image(Instant now, Effects& out);
  void send_pieces(Instant now, std::uint64_t from, Effects& out);
  void end_outgoing();
  StateImages::Taken take_image_piece(const InstallSnapshot& install);

  bool noting(Level level) const { return level >= options_.note_level; }
  void note(Effects& out, Level level, wire::LogFields fields) const {
    out.notes.push_back({level, std::move(fields).text()});
  }
  Duration max_age() const { return options_.election_timeout; }

  const NodeId self_;
  const RaftOptions options_;
  StateImages* const images_;
  Random random_;
  Instant now_{};  // of the last call: what "at once" means to wake_at()

  // Persistent (Raft, figure 2).
  Term term_;
  NodeId voted_for_;
  RaftLog log_;
  std::vector<std::pair<Index, Membership>> configurations_;  // the first may stand before the log

  // Of every role.
  Role role_ = Role::follower;
  NodeId leader_;
  Index commit_;
  Index applied_;
  Instant election_at_ = never;
  Instant heard_at_{};  // from a leader, or the start of this life
  std::vector<NodeId> votes_;
  std::vector<NodeId> refusals_;
  RequestVote asking_;            // a candidate's question, …
  Instant ask_votes_at_ = never;  // … repeated then, …
  Duration ask_votes_after_{};    // … and after so long again
  std::uint32_t votes_asked_ = 0;
  std::uint32_t elections_in_vain_ = 0;  // since a leader was heard

  // A follower's.
  Index matched_;
  std::uint64_t round_seen_ = 0;
  bool owes_answer_ = false;
  std::vector<AppendEntries> early_;  // of this term's leader: what comes before them is missing
  std::size_t early_bytes_ = 0;
  std::optional<Incoming> incoming_;

  // A leader's.
  std::vector<Peer> peers_;
  Index term_start_;       // its first entry
  Index membership_done_;  // committed configurations up to here are seen to
  Index recorded_;         // given out as records up to here
  Index own_match_;        // durable here up to here
  Instant disk_progress_{};
  Instant commit_progress_{};  // commit_ moved, or everything was committed, or was sent again
  Duration late_after_{};      // then: twice as long each time, up to a heartbeat
  std::uint32_t resent_ = 0;   // since then
  std::uint64_t commits_ = 0;  // in this term, …
  std::uint64_t late_ = 0;     // … and the times that one came late
  bool announces_commits_ = false;
  std::uint64_t round_ = 0;
  std::uint64_t confirmed_round_ = 0;
  bool round_wanted_ = false;
  Instant majority_asked_at_{};  // whether we lead, all at once
  Gathering gathering_;          // of entries that are proposed and not recorded yet
  bool dirty_ = false;           // there may be something to send
  std::deque<Round> rounds_;
  Instant lease_until_{};
  bool lease_void_ = false;  // no lease in this term
  std::optional<Transfer> transfer_;
  Instant transfer_again_at_{};  // not sooner, unless to somebody who was named
  std::optional<Outgoing> outgoing_;
  std::vector<NodeId> few_;   // bare_majority: who gets entries at once
  std::size_t few_from_ = 0;  // their choice goes round
  bool everyone_now_ = true;
  Index sampled_;
  std::uint64_t sampled_checksum_ = 0;

  // The last AppendEntries encoded, for all followers that stand at the same place.
  struct Encoded {
    Index previous;
    Index last;
    Content content = Content::question;
    Bytes bytes;  // empty: none
  };
  Encoded encoded_;
};

}  // namespace kv::raft
