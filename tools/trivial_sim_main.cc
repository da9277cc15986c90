// The simulator with the simplest protocol: what it finds is a fault of the host, the journal or
// the simulator itself.
#include "common/host/flags.h"
#include "common/sim/journaling_protocol.h"
#include "common/sim/runner.h"
#include "common/sim/runner_flags.h"

int main(int argc, char** argv) {
  kv::sim::RunnerOptions options{.program = argv[0]};
  kv::host::Flags flags{"trivial_sim", "Simulates one replica that journals and applies."};
  kv::sim::add_runner_flags(flags, options);
  if (const auto exit_code = flags.parse(argc, argv)) {
    return *exit_code;
  }
  return kv::sim::run_simulations(
      kv::sim::JournalingProtocol::traits(),
      [] { return std::make_unique<kv::sim::JournalingProtocol>(); }, options);
}
