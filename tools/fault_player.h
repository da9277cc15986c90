// Plays the faults of a scenario against a running cluster of processes.
//
// What a real process cannot do (stop at a named point of its work, run a clock wrong, damage a
// disk) is skipped, and the log says so: event=fault_skipped. What is begun and ended is logged
// with the words of the simulator, so that both logs are read alike.
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "common/core/random.h"
#include "common/sim/scenario.h"
#include "tools/cluster.h"

namespace kv::cluster {

class FaultPlayer {
 public:
  /// A line for whoever watches.
  using Tell = std::function<void(const std::string& line)>;
  /// Finds who plays `role` now, and calls with it: nobody (0) if nobody does.
  using FindRole = std::function<void(const std::string& role, std::function<void(NodeId)>)>;

  FaultPlayer(sockets::EventLoop& loop, Cluster& cluster, FindRole find_role, std::uint64_t seed);
  FaultPlayer(const FaultPlayer&) = delete;
  FaultPlayer& operator=(const FaultPlayer&) = delete;
  ~FaultPlayer();

  /// Begins `fault` now, and ends it after its time if it has one. `done` runs when it has begun:
  /// empty, or why it was skipped. Whom a role means is told before; if nobody leads, as for a
  /// moment after a death, it waits for somebody to.
  void begin(const sim::Fault& fault, Cut how, Tell tell, Cluster::Done done);

  /// Finds who plays `role`, as begin() does.
  void await_role(const std::string& role, std::function<void(NodeId)> found);

  /// Each fault at its time from now on. `done` runs after the last has ended, or, if it never
  /// does, begun; replicas that it started again are ready then.
  void play(const sim::Scenario& scenario, Tell tell, std::function<void()> done);

  /// Somebody starts `node` again: no fault holds it down any more.
  void restarted(NodeId node) { crashes_.at(node.value) = 0; }

  /// Ends a pause: empty, or why not.
  std::string resume(NodeId node);

  /// Every link is whole again, at once. Faults of links that have begun are over.
  void heal();

 private:
  struct Active;  // a fault under way, or waiting for its time
  struct Play;

  void find_and_strike(const std::shared_ptr<Active>& active);
  void strike(const std::shared_ptr<Active>& active, NodeId who, NodeId to);
  std::string strike_node(Active& active);
  std::string strike_links(Active& active, NodeId to);
  void end(const std::shared_ptr<Active>& active);
  void end_links(Active& active);
  void heal_one_by_one(Active& active);
  void end_crash(Active& active);
  void resolve(const std::string& who, Instant until, std::function<void(NodeId)> found);
  void find_until(const std::string& role, Instant until, std::function<void(NodeId)> found);
  void note(const char* event, const Active& active, const std::string& why);
  void after(Duration delay, std::function<void()> task);

  sockets::EventLoop& loop_;
  Cluster& cluster_;
  FindRole find_role_;
  Random random_;
  std::vector<std::uint32_t> crashes_;  // by node: how many faults hold it down
  std::list<std::shared_ptr<sockets::Alarm>> alarms_;
};

/// What `fault` is, in the words of a scenario file: "partition 1,2|3,4,5".
std::string describe(const sim::Fault& fault);

}  // namespace kv::cluster
