// The inside of a ReplicaHost, for the files that implement it and nobody else: replica_host.cc
// begins and ends it, replica_host_turn.cc is a turn of the protocol's thread,
// replica_host_upkeep.cc what it sees to beside (snapshots, room on the disk, the log), and
// replica_host_roles.cc the deaths and births of roles.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "common/core/check.h"
#include "common/host/clock.h"
#include "common/host/replica_counts.h"
#include "common/host/replica_host.h"
#include "common/host/replica_host_inbox.h"
#include "common/host/replica_host_snapshot.h"
#include "common/host/role_failures.h"
#include "common/host/snapshot_files.h"
#include "common/host/threaded.h"
#include "common/kv/roles.h"
#include "common/wire/logfmt.h"

namespace kv::host {

class ReplicaHost::Core {
 public:
  Core(std::unique_ptr<Replica> replica, Disk& disk, PeerTransport& transport, Log& log,
       Options options)
      : replica_(std::move(replica)),
        disk_(disk),
        transport_(transport),
        options_(std::move(options)),
        inbox_({options_.requests_max, options_.request_bytes_max, options_.message_bytes_max}),
        gauges_(std::make_unique<std::atomic<double>[]>(options_.gauges.size())),
        members_(members_of(*replica_)),
        writer_(log) {
    check(options_.self != NodeId{});
  }
  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;
  ~Core() { stop(); }

  bool prepare_failures(std::string& why);
  bool recover(std::string& why);
  void start();
  void stop();
  void submit(const Command& command, Done done, ReplicaInbox::Wake wake);
  void begin();
  void change_members(const MemberChange& change, Done done);
  MemberList members() const;
  bool healthy() const;
  const ReplicaCounts& counts() const { return counts_; }
  std::uint64_t syncs() const { return journal_->syncs(); }
  double gauge(std::size_t number) const { return gauges_[number].load(); }

 private:
  struct Open {  // a request that is not answered
    Done done;
    bool given = false;
  };
  struct Held {
    RequestId id;
    Command command;
    std::unique_ptr<const MemberChange> change;
  };
  struct Withheld {  // until so many records are durable
    std::uint64_t records;
    std::vector<Send> sends;
    std::vector<Answer> answers;
  };
  enum class Snapshot : std::uint8_t { none, pulling, awaiting_records, finishing };

  /// The Replica as kv::Members, if its members may change.
  static Members* members_of(Replica& replica) {
    auto* const members = dynamic_cast<Members*>(&replica);
    return members != nullptr && members->may_change() ? members : nullptr;
  }

  using OnPiece = std::function<void(ByteView)>;
  bool open_snapshot(const OnPiece& on_piece, std::uint64_t& from, std::string& why);

  void run();
  void bring(std::vector<PeerMessage>& messages);
  void work_a_while();
  void turn();
  void take_input();
  Instant due() const;
  Instant sleep_until() const;
  bool more_to_do_now() const;
  void step();
  void give_messages();
  void give_tick();
  void give_requests();
  void give(Held& request);
  void settle();
  void release_durable();
  void dispatch(std::vector<Send>& sends);
  void count_sends(const std::vector<Send>& sends);
  void count_received(const PeerMessage& message);
  void answer_all(std::vector<Answer>& answers);
  void answer(RequestId id, const Reply& reply);
  void end_patience();
  void refuse_rest();
  void go_on_with_snapshot();
  bool snapshot_due() const;
  void begin_snapshot();
  void pull_piece();
  void look_at_room();
  void go_on_with_roles();
  void carry_out(const RoleFailures::Event& event);
  void kill_role(const std::string& role);
  void bear_role(const std::string& role);
  bool may_bear_role() const;
  /// Nothing is to be given to the Replica now.
  bool held_back() const { return backlogged_ || awaiting_birth_; }
  bool drained() const;
  void note(Level level, const wire::LogFields& fields) { writer_.write(level, fields.text()); }
  void flush_log();
  void tell_totals();
  void read_gauges();
  void look_at_service();
  void look_at_members();
  void read_members();

  std::unique_ptr<Replica> replica_;
  Disk& disk_;
  PeerTransport& transport_;
  const Options options_;
  ReplicaInbox inbox_;
  std::unique_ptr<Journal> journal_;
  std::unique_ptr<SnapshotFiles> snapshots_;
  std::unique_ptr<SnapshotTaker> taker_;
  std::thread thread_;
  ReplicaCounts counts_;
  std::unique_ptr<std::atomic<double>[]> gauges_;
  std::atomic<bool> serving_{false};
  Members* members_ = nullptr;            // the Replica, if its members may change
  mutable std::mutex member_list_mutex_;  // guards member_list_
  MemberList member_list_;                // as it was lately

  // Whoever works alone (see ReplicaInbox), once the protocol's thread runs.
  LogWriter writer_;
  bool lent_ = false;  // it is not the protocol's own thread: nothing that takes long
  Instant now_{};
  Instant log_due_ = never;
  Instant totals_due_ = never;
  Instant gauges_due_{};
  std::uint64_t activity_told_ = 0;
  std::uint64_t next_msg_ = 0;
  std::optional<std::uint64_t> members_met_;  // the version that the transport knows
  ReplicaInbox::Batch input_;
  std::deque<Bytes> own_messages_;  // of the Replica to itself, that may be given to it
  std::deque<PeerMessage> messages_;
  std::deque<Held> held_;
  std::unordered_map<RequestId, Open> open_;
  std::deque<std::pair<Instant, RequestId>> patience_ends_;
  std::size_t answered_ = 0;  // in this turn
  std::size_t request_bytes_used_ = 0;
  std::size_t message_bytes_used_ = 0;
  Effects effects_;
  std::deque<Withheld> withheld_;
  Journal::Room room_ = Journal::Room::free;
  bool backlogged_ = false;
  Instant stop_by_ = never;
  Roles* roles_ = nullptr;        // the Replica, if it has parts that can die
  Threaded* threaded_ = nullptr;  // the Replica, if it has threads
  std::optional<RoleFailures> failures_;
  std::optional<RoleFailures::Event> next_failure_;
  std::map<std::string, int> dead_roles_;      // how often each was killed and not yet revived
  std::vector<std::string> roles_to_be_born_;  // when the journal and the snapshots are at rest
  bool awaiting_birth_ = false;
  Snapshot snapshot_ = Snapshot::none;
  std::uint64_t snapshot_record_ = 0;
  std::uint64_t bytes_since_snapshot_ = 0;
  Instant snapshot_not_before_{};
  std::optional<Instant> snapshot_refused_since_;  // by the Replica, or since it was last noted
};

}  // namespace kv::host
