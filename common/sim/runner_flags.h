// The flags that every phaseN_sim shares, declared once.
#pragma once

#include "common/sim/runner.h"

namespace kv::sim {

/// `flags` is a host::Flags: a template, because the simulator knows no host.
void add_runner_flags(auto& flags, RunnerOptions& options) {
  flags.add("--seed", options.seed, {}, "the first seed");
  flags.add("--seeds", options.seeds, {.least = 1}, "how many seeds, one after the other");
  flags.add("--scenario", options.scenario, "plays this file instead of drawing from the seed",
            "FILE");
  flags.add("--log", options.log, "writes the log of every node into this folder", "DIR");
  flags.add("--shrink", options.shrink_runs_max, {}, "how many runs a failure may take to shrink");
}

}  // namespace kv::sim
