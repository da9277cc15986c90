// The simulated host of one replica: what host::ReplicaHost does with threads, sockets and a disk,
// done with events.
//
// Input gathers until the node runs; then the replica is told all of it, and what it answers is
// treated as common/kv/replica.h promises. Sends that need not wait leave at once, those to itself
// for its own next input. Records go to
// the journal, one write and one sync for all that have gathered while the last sync ran. The
// rest waits, in order, until the records given out before it are synced. Between any two of these
// steps the process can be made to die.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <boost/unordered/unordered_flat_set.hpp>

#include "common/kv/replica.h"
#include "common/kv/roles.h"
#include "common/sim/disk.h"
#include "common/sim/disk_journal.h"
#include "common/sim/disk_snapshots.h"
#include "common/sim/protocol.h"
#include "common/sim/scenario.h"
#include "common/sim/world.h"

namespace kv::sim {

inline constexpr std::size_t inbox_max = 10'000;            // then what arrives is lost
inline constexpr std::size_t waiting_requests_max = 5'000;  // then requests are refused
/// A replica that puts its snapshots off for so long is noted, each time.
inline constexpr Duration snapshot_late = std::chrono::seconds{1};

class Node {
 public:
  Node(World& world, Protocol& protocol, const Scenario& scenario, NodeId self);
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  /// An event for this node: message, request, run, sync_done, wake, snapshot.
  void handle(const Event& event);

  // What faults do to it.
  void start();
  /// Fault number `fault`: dies at once, or as soon as it passes `point`, and stays down until
  /// lift(). Several may wait.
  void arm(std::uint32_t fault, CrashPoint point, DiskDamage damage);
  /// That fault is over, whether it struck or not: comes up again if no other keeps it down.
  void lift(std::uint32_t fault);
  void pause() { ++pauses_; }
  void resume();
  void set_clock_rate(Share rate);
  void jump_clock(Duration forward);
  void set_disk(DiskState state, std::uint32_t factor);
  bool kill_role(const std::string& role);
  void start_role(const std::string& role);

  bool up() const { return replica_ != nullptr; }
  bool held_down() const { return !held_down_by_.empty(); }
  /// Its disk is damaged and it said so: it does not serve.
  bool refused() const { return refused_; }
  const Replica* replica() const { return replica_.get(); }
  bool plays(std::string_view role) const;
  NodeId id() const { return self_; }

 private:
  struct Input {
    bool is_request;
    std::uint32_t item;
  };
  struct Waiting {  // leaves when all records before `needs` are synced
    std::uint64_t needs = 0;
    std::vector<Send> sends;
    std::vector<Answer> answers;
  };
  struct Armed {
    std::uint32_t fault;
    CrashPoint point;
    DiskDamage damage;
  };

  // A run, in the order of its parts.
  void gather(Input input);
  void plan_run();
  void run();
  void tell(const Input& input);
  void tell_message(std::uint32_t item);
  void tell_request(std::uint32_t item);
  void trace_request(const Ask& ask);
  void trace_answer(const Answer& answer);
  void refuse_request(RequestId id, std::string why);
  void give_back(const Input& input);
  void tick_if_due();
  void tell_room();
  void after_call();
  void ship();
  void take_answers();
  void write_records();
  void finish_sync();
  void try_held_sync();
  void release();
  bool release_one(Waiting& waiting);
  void send(const Send& send);
  void plan_wake();

  // A life.
  bool recover(const Snapshot* snapshot);
  void crash(const Armed& armed);
  void refuse(const std::string& why);
  void drop_memory();
  bool dies_at(CrashPoint point);

  // A snapshot.
  void begin_snapshot_if_due();
  void put_snapshot_off();
  void take_snapshot_piece();
  void keep_snapshot();

  void start_waiting_roles();
  Roles* roles() const { return dynamic_cast<Roles*>(replica_.get()); }
  Instant local_now() const;
  Duration until(Instant local) const;
  void schedule(EventKind kind, Duration delay);
  void note_event(Level level, std::string_view event, std::string_view key = {},
                  std::string_view value = {});

  World& world_;
  Protocol& protocol_;
  const Scenario& scenario_;
  const NodeId self_;
  Random random_;

  // Outlives the process.
  Disk disk_;
  DiskJournal journal_;
  DiskSnapshots snapshots_;
  std::vector<Armed> armed_;
  std::vector<std::uint32_t> held_down_by_;  // faults
  std::uint64_t life_ = 0;
  std::uint32_t pauses_ = 0;
  DiskState disk_state_ = DiskState::healthy;
  std::uint32_t disk_factor_ = 1;
  std::uint64_t reserve_left_ = 0;  // bytes of records that a full disk still takes
  Share clock_rate_ = percent(100);
  std::set<std::string> rotten_files_;  // a bit of each turned over: it may refuse to start
  bool refused_ = false;

  // Ends with the process.
  std::unique_ptr<Replica> replica_;
  std::vector<Input> inbox_;
  std::vector<Input> inputs_;  // of the run under way
  Effects effects_;
  std::vector<Bytes> unwritten_;
  std::vector<Bytes> writing_;
  std::deque<Waiting> waiting_;
  boost::unordered_flat_set<std::uint64_t> open_requests_;
  std::map<std::uint64_t, std::string> ops_;  // of open requests, for the log alone
  std::uint64_t given_out_ = 0;               // records, by the replica
  bool told_room_ = true;
  bool run_planned_ = false;
  bool run_missed_ = false;  // it came up during a pause
  bool syncing_ = false;
  bool sync_held_ = false;  // the disk hangs, or the process stands still
  Instant wake_planned_ = never;
  Instant clock_anchor_{};  // local_anchor_ on this node's clock was this
  Instant local_anchor_{};
  std::uint64_t bytes_since_snapshot_ = 0;
  std::uint64_t snapshot_bytes_ = 0;              // of the last one, or the one being taken
  std::optional<std::uint64_t> snapshot_record_;  // of the one being taken
  bool snapshot_complete_ = false;                // its last piece is out
  Instant snapshot_not_before_{};                 // the replica said: not now
  std::optional<Instant> snapshot_refused_since_;
  std::vector<std::string> roles_to_start_;
};

}  // namespace kv::sim
