// A run: a cluster of one protocol, its clients and its faults, in virtual time, from one seed.
//
// The same scenario and seed give the same run, to the byte: one queue, one order, and every draw
// from a generator that the seed made. After each step the stepped replica's invariants and the
// cluster's are checked; the first that does not hold ends the run.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/sim/clients.h"
#include "common/sim/node.h"
#include "common/sim/protocol.h"
#include "common/sim/scenario.h"
#include "common/sim/world.h"

namespace kv::sim {

struct Outcome {
  std::optional<Violation> violation;
  Instant ended{};
  Counts counts;
  std::uint64_t fingerprint = 0;  // of everything that happened
};

/// Where a run is: kept up to date, so that whoever shares it learns where a run died.
struct Progress {
  Instant now{};
  std::uint64_t steps = 0;
};

class Simulator {
 public:
  /// All arguments outlive it; `notes` and `progress` may be null.
  Simulator(Protocol& protocol, const Scenario& scenario, std::uint64_t seed,
            NoteSink* notes = nullptr, Progress* progress = nullptr);

  /// To the end: every operation is over and, after the last fault, every key was read; or an
  /// invariant broke. The history's verdict is part of the outcome.
  Outcome run();

  /// Up to `end`; false if the run ended before.
  bool run_until(Instant end);

  Instant now() const { return world_.now(); }
  const std::optional<Violation>& violation() const { return world_.violation(); }
  const Counts& counts() const { return world_.counts; }
  const std::vector<Operation>& history() const { return clients_.history(); }
  /// Null while it is down.
  const Replica* replica(NodeId node) const { return nodes_.at(node.value - 1)->replica(); }

 private:
  struct Active {  // what a fault that has begun must take back
    NodeId node;
    std::vector<Link> links;
    bool skipped = false;
  };

  void step(const Event& event);
  void step_node(const Event& event);
  void begin_fault(std::uint32_t index);
  void begin_node_fault(std::uint32_t index, Active& active);
  void begin_link_fault(const Fault& fault, Active& active);
  void end_fault(std::uint32_t index);
  void end_node_fault(std::uint32_t index, const Active& active);
  void heal(std::uint32_t index);
  void heal_link(std::uint32_t item);
  void become_calm();
  void check_cluster(NodeId stepped);
  void judge_history();

  NodeId resolve(const std::string& who);
  Node& node(NodeId id) { return *nodes_.at(id.value - 1); }
  void note_fault(const char* event, const Fault& fault, NodeId node);

  World world_;
  Protocol& protocol_;
  const Scenario& scenario_;
  Progress* progress_;
  Random random_;  // of faults
  std::vector<std::unique_ptr<Node>> nodes_;
  Clients clients_;
  std::vector<const Replica*> replicas_;
  std::vector<Active> active_;
  std::vector<Link> healing_;  // links that come back one by one
  bool ended_ = false;
};

}  // namespace kv::sim
