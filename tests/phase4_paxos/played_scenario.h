// A file of tests/scenarios/, played by Paxos.
#pragma once

#include <fstream>
#include <sstream>
#include <variant>

#include "common/sim/scenario_text.h"
#include "common/sim/simulator.h"
#include "tests/phase4_paxos/paxos_protocol.h"

namespace kv::paxos {

/// Whether all that must hold does.
inline bool holds(const char* file, std::uint64_t seed, const PaxosOptions& options) {
  std::stringstream text;
  text << std::ifstream{file}.rdbuf();
  const auto scenario = std::get<sim::Scenario>(sim::parse_scenario(text.str()));
  PaxosProtocol protocol{options, RolesLive::together};
  sim::Simulator simulator{protocol, scenario, seed};
  return !simulator.run().violation.has_value();
}

}  // namespace kv::paxos
