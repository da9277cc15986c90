// Makes a failing scenario as small as it can: fewer faults, fewer operations, calmer weather.
//
// Delta debugging (Zeller and Hildebrandt 2002) over the list of faults, then each number by
// itself.
#pragma once

#include <cstdint>
#include <functional>

#include "common/sim/scenario.h"

namespace kv::sim {

struct Shrunk {
  Scenario scenario;
  std::uint32_t runs = 0;
};

/// `fails` tells whether a scenario still breaks the same invariant; it is asked at most `runs_max`
/// times. The result failed when it was asked about, or is `failing` itself.
Shrunk shrink(const Scenario& failing, const std::function<bool(const Scenario&)>& fails,
              std::uint32_t runs_max);

}  // namespace kv::sim
