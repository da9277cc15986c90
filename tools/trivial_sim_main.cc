// The simulator with the simplest protocol: what it finds is a fault of the host, the journal or
// the simulator itself.
#include "common/host/flags.h"
#include "common/host/standard_output.h"
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
  const int exit_code = kv::sim::run_simulations(
      kv::sim::JournalingProtocol::traits(),
      [] { return std::make_unique<kv::sim::JournalingProtocol>(); }, options);
  return kv::host::exit_when_printed("trivial_sim", exit_code, kv::sim::exit_wrong_use);
}
