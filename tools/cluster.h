// The replicas of one phase as processes, and the links between them: started together, stopped
// together, and each of them killed, paused and started again while the others go on.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/host/log.h"
#include "tools/cluster_plan.h"
#include "tools/fault_proxy.h"
#include "tools/process_guard.h"
#include "tools/replica_process.h"
#include "tools/roll_call.h"

namespace kv::cluster {

struct ClusterOptions {
  Plan plan;
  bool through_proxy = true;  // false: replicas reach each other directly, and no link can be cut
  std::uint64_t seed = 1;     // of the links' chances
  Duration start_patience = std::chrono::seconds{60};
  Duration serve_patience = std::chrono::seconds{10};  // then it counts as ready all the same
  Duration stop_patience = std::chrono::seconds{5};    // then what is left is killed
};

/// Used from its loop's thread.
class Cluster {
 public:
  struct Failure {
    std::string why;  // one line
    bool wrong_flag = false;
  };
  struct Events {
    /// Every replica is, for the first time, and those that are not `silent` can serve.
    std::function<void(const std::vector<NodeId>& silent)> ready;
    std::function<void(Failure)> failed;                           // before that: one will never be
    std::function<void(NodeId)> up;                                // one is ready, each time
    std::function<void(NodeId, const ReplicaProcess::End&)> lost;  // one ended that nobody ended
  };
  /// Empty: it was done; else why not.
  using Done = std::function<void(std::string why)>;

  /// Nothing, and a reason in `why`, if folders or ports cannot be had.
  static std::unique_ptr<Cluster> open(sockets::EventLoop& loop, ProcessGuard& guard,
                                       host::Log& log, ClusterOptions options, Events events,
                                       std::string& why);
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;
  ~Cluster();  // kills what still runs

  void start();
  /// Ends every replica, politely first; `stopped` runs when none is left.
  void stop(std::function<void()> stopped);
  /// Does not wait any longer for those that stop.
  void kill_all();

  // Each: empty, or why not.
  std::string kill(NodeId node);
  std::string pause(NodeId node);
  std::string resume(NodeId node);
  /// Ends the replica if it runs, and starts it; `done` when it is ready, or will never be.
  void restart(NodeId node, Done done);
  /// The replica's data folder; only while it is down.
  std::string wipe(NodeId node);

  /// Starts a node that is no member, on an empty disk, to wait until it is added; `done` when it
  /// is ready, or will never be. From now on it counts as one here.
  void seat(NodeId node, Done done);
  /// Ends the replica, puts its data folder aside (`nodeN.left`, in place of an older one), and
  /// forgets it; `done` when it is down.
  void unseat(NodeId node, Done done);
  bool is_member(NodeId node) const;
  std::vector<NodeId> members() const;

  /// The highest number that a node has, or had.
  std::uint32_t size() const { return static_cast<std::uint32_t>(seats_.size()); }
  const Plan& plan() const { return options_.plan; }
  const ReplicaProcess& replica(NodeId node) const { return *seats_.at(node.value - 1)->process; }
  /// None in phases 1 and 2, and without a proxy.
  FaultProxy* links() const { return proxy_.get(); }

  void note(Level level, std::string_view fields);

 private:
  struct Seat {
    std::unique_ptr<ReplicaProcess> process;
    bool start_when_down = false;
    std::vector<Done> waiting;  // for it to be ready
    bool up_once = false;
    bool member = false;  // it is a member, or becomes one
    bool joins = false;   // it did not found the cluster
    Done when_left;       // it is to be forgotten when it is down
  };

  Cluster(sockets::EventLoop& loop, ProcessGuard& guard, host::Log& log, ClusterOptions options,
          Events events);
  bool prepare(std::string& why);
  std::string launch(NodeId node);
  void on_ready(NodeId node);
  void on_end(NodeId node, const ReplicaProcess::End& end);
  void on_start_too_long();
  void on_roll_called(const std::vector<NodeId>& silent);
  void settle(Seat& seat, const std::string& why);
  void fail(Failure failure);
  void check_stopped();
  Seat& seat_of(NodeId node) { return *seats_.at(node.value - 1); }
  void add_seat();
  bool recall_members(std::string& why);
  void note_members() const;
  Company company_of(NodeId node) const;
  void leave(NodeId node);
  std::uint16_t peer_port(NodeId from, NodeId to) const;

  sockets::EventLoop& loop_;
  ProcessGuard& guard_;
  host::LogWriter log_;
  ClusterOptions options_;
  Events events_;
  std::unique_ptr<FaultProxy> proxy_;
  std::vector<std::unique_ptr<Seat>> seats_;
  RollCall roll_call_;
  sockets::Alarm start_patience_;
  sockets::Alarm stop_patience_;
  std::function<void()> stopped_;
  bool started_ = false;  // all were up once, or one failed
  bool stopping_ = false;
};

}  // namespace kv::cluster
