// How fast the simulator is: steps a second on one core, with the simplest protocol and faults on.
//
// CPU time counts, not the clock on the wall: a run is one thread that never waits.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>

#include "common/core/check.h"
#include "common/host/flags.h"
#include "common/sim/journaling_protocol.h"
#include "common/sim/simulator.h"

namespace kv::sim {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

/// Every kind of fault that a single node can have, over and over.
Scenario endless_trouble(std::uint32_t operations) {
  Scenario scenario;
  scenario.title = "endless trouble";
  scenario.load.clients = 8;
  scenario.load.keys = 100;
  scenario.load.operations = operations;
  scenario.load.think = {microseconds{0}, microseconds{200}};
  for (std::uint32_t i = 0; i < operations / 400; ++i) {
    Fault fault{.kind = FaultKind::crash, .at = milliseconds{20 * i}, .who = "1"};
    fault.lasts = milliseconds{10};
    if (i % 4 == 1) {
      fault.kind = FaultKind::pause;
    } else if (i % 4 == 2) {
      fault.kind = FaultKind::disk;
      fault.state = static_cast<DiskState>(1 + i / 4 % 3);
    } else if (i % 4 == 3) {
      fault.kind = FaultKind::clock;
      fault.rate = percent(150);
    }
    fault.point =
        static_cast<CrashPoint>(i / 4 % (static_cast<std::uint32_t>(last_of(CrashPoint{})) + 1));
    scenario.faults.push_back(fault);
  }
  return scenario;
}

double cpu_seconds() {
  std::timespec now{};
  check(::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now) == 0);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

}  // namespace
}  // namespace kv::sim

int main(int argc, char** argv) {
  std::uint64_t seed = 1;
  std::uint32_t operations = 400'000;
  kv::host::Flags flags{"bench_sim", "Measures simulated steps a second, with faults."};
  flags.add("--seed", seed, {}, "every random choice");
  flags.add("--operations", operations, {.least = 1000, .most = kv::sim::operations_max},
            "how long the run is");
  if (const auto exit_code = flags.parse(argc, argv)) {
    return *exit_code;
  }
  const kv::sim::Scenario scenario = kv::sim::endless_trouble(operations);
  kv::sim::JournalingProtocol protocol;
  kv::sim::Simulator simulator{protocol, scenario, seed};
  const double begin = kv::sim::cpu_seconds();
  simulator.run_until(kv::never);
  const double seconds = kv::sim::cpu_seconds() - begin;
  const kv::sim::Counts& counts = simulator.counts();
  std::printf(
      "{\"bench\":\"sim\",\"steps\":%llu,\"cpu_s\":%.3f,\"steps_per_s\":%.0f,\"operations\":%llu,"
      "\"crashes\":%llu,\"snapshots\":%llu,\"broken\":%s}\n",
      static_cast<unsigned long long>(counts.steps), seconds,
      static_cast<double>(counts.steps) / seconds,
      static_cast<unsigned long long>(counts.operations),
      static_cast<unsigned long long>(counts.crashes),
      static_cast<unsigned long long>(counts.snapshots), simulator.violation() ? "true" : "false");
  return simulator.violation() ? EXIT_FAILURE : EXIT_SUCCESS;
}
