// Scenarios as text: one directive a line. tests/scenarios/README.md is normative.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "common/sim/scenario.h"

namespace kv::sim {

struct ScenarioError {
  std::uint32_t line = 0;  // 1 is the first
  std::string why;         // what is wrong there and what would be right
};

/// Strict: an unknown word, a setting named twice, a number out of its range are errors.
std::variant<Scenario, ScenarioError> parse_scenario(std::string_view text);

/// parse_scenario() of it gives the scenario again.
std::string format_scenario(const Scenario& scenario);

/// As it stands in a scenario: 250us, 20ms, 1.5s.
std::string format_duration(Duration duration);

}  // namespace kv::sim
