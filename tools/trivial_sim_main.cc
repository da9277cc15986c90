// The simulator with the simplest protocol: what it finds is a fault of the host, the journal or
// the simulator itself.
#include "common/host/flags.h"
#include "common/sim/journaling_protocol.h"
#include "common/sim/runner.h"

int main(int argc, char** argv) {
  kv::sim::RunnerOptions options{.program = argv[0]};
  kv::host::Flags flags{"trivial_sim", "Simulates one replica that journals and applies."};
  flags.add("--seed", options.seed, {}, "the first seed");
  flags.add("--seeds", options.seeds, {.least = 1}, "how many seeds, one after the other");
  flags.add("--scenario", options.scenario, "plays this file instead of drawing from the seed",
            "FILE");
  flags.add("--log", options.log, "writes the log of every node into this folder", "DIR");
  flags.add("--shrink", options.shrink_runs_max, {}, "how many runs a failure may take to shrink");
  if (const auto exit_code = flags.parse(argc, argv)) {
    return *exit_code;
  }
  return kv::sim::run_simulations(
      kv::sim::JournalingProtocol::traits(),
      [] { return std::make_unique<kv::sim::JournalingProtocol>(); }, options);
}
