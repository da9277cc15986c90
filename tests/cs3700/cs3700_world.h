// The CS3700 simulator's world in virtual time: five replicas, eight clients, everything routed,
// some of it lost, cut off or killed, and counted by that world's rules.
//
// Its rules stand in phase5_raft/README.md. A run of 30 virtual seconds takes some 20 ms.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <set>
#include <string>
#include <vector>

#include "common/core/random.h"
#include "phase5_raft/cs3700_replica.h"

namespace kv::raft {

struct Cs3700Cut {
  double from = 0;  // seconds
  double to = 0;
};

struct Cs3700Config {
  std::string name;
  std::uint32_t requests = 500;
  double gets = 0.2;
  double loss = 0;                    // of messages between replicas
  std::vector<Cs3700Cut> cuts;        // three of five from the rest
  bool leader_in_majority = false;    // of each cut
  std::vector<double> leader_killed;  // at these seconds
  std::vector<double> follower_killed;
  // What is asked: below these.
  std::uint64_t messages_best = 0;
  std::uint64_t messages_second = 0;
  double latency_best_ms = 1;
  double latency_second_ms = 5;
};

/// The published ones.
std::vector<Cs3700Config> cs3700_configs();
/// More loss, more cuts and more deaths than any of those; nothing is asked of messages or latency.
std::vector<Cs3700Config> cs3700_harsher_configs();

struct Cs3700Result {
  std::uint64_t messages = 0;  // between replicas
  std::uint64_t answered = 0;
  std::uint64_t unanswered = 0;       // with those that a dead replica was asked
  std::uint64_t unanswered_here = 0;  // of a living one that a majority was connected with since
  std::uint64_t duplicates = 0;
  std::uint64_t redirects = 0;
  std::uint64_t fails = 0;
  std::uint64_t wrong = 0;
  double median_ms = 0;
  std::string broken;  // what fails a run there; empty: nothing
};

Cs3700Result run_cs3700(const Cs3700Config& config, std::uint64_t seed);

}  // namespace kv::raft
