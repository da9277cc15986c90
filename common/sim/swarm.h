// A scenario drawn from a seed: each seed has its own weather, its own sizes, and only some kinds
// of faults, because what is always there hides what is rare.
#pragma once

#include <cstdint>

#include "common/sim/protocol.h"
#include "common/sim/scenario.h"

namespace kv::sim {

Scenario draw_scenario(const ProtocolTraits& protocol, std::uint64_t seed);

}  // namespace kv::sim
