// What `phaseN_sim` does: runs seeds or a scenario, and makes the most of a failure.
//
// The one part of common/sim that touches the world: each run is a child process, so that a
// check() that stops it is an outcome like any other, and can be shrunk; logs are files.
#pragma once

#include <cstdint>
#include <cstdio>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "common/sim/protocol.h"
#include "common/sim/scenario.h"

namespace kv::sim {

struct RunnerOptions {
  std::string program;                // as it was called: for the command that repeats a failure
  std::uint64_t seed = 1;             // the first
  std::uint64_t seeds = 1;            // how many
  std::string scenario;               // a file; empty: each seed draws its own
  std::string log;                    // a folder for the logs of all nodes; empty: none
  std::string failures = "logs/sim";  // a folder for the scenarios that failing ones shrink to
  std::uint32_t shrink_runs_max = 300;
  std::FILE* out = stdout;
};

using MakeProtocol = std::function<std::unique_ptr<Protocol>()>;

inline constexpr int exit_all_hold = 0;
inline constexpr int exit_broken = 1;
inline constexpr int exit_wrong_use = 2;  // a scenario that is none, a log that cannot be written

/// What the program is to exit with. Speaks on `out`; of wrong use on standard error.
int run_simulations(const ProtocolTraits& traits, const MakeProtocol& make,
                    const RunnerOptions& options);

}  // namespace kv::sim
