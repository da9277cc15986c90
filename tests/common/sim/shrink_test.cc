#include "common/sim/shrink.h"

#include <algorithm>

#include <boost/test/unit_test.hpp>

namespace kv {
namespace {

using sim::Scenario;

Scenario with_faults(std::size_t count) {
  Scenario scenario;
  scenario.load.operations = 1000;
  scenario.weather.loss = sim::percent(5);
  for (std::size_t i = 0; i < count; ++i) {
    scenario.faults.push_back({.at = std::chrono::milliseconds{i}, .who = std::to_string(i)});
  }
  return scenario;
}

bool has(const Scenario& scenario, const std::string& who) {
  return std::ranges::any_of(scenario.faults,
                             [&](const sim::Fault& fault) { return fault.who == who; });
}

}  // namespace

BOOST_AUTO_TEST_SUITE(sim_shrink)

BOOST_AUTO_TEST_CASE(what_the_failure_does_not_need_is_left_out) {
  const auto shrunk = sim::shrink(
      with_faults(40),
      [](const Scenario& scenario) {
        return has(scenario, "7") && has(scenario, "31") && scenario.load.operations >= 13;
      },
      1000);
  BOOST_TEST(shrunk.scenario.faults.size() == 2);
  BOOST_TEST(shrunk.scenario.load.operations == 13);
  BOOST_TEST(shrunk.scenario.load.clients == 1);
  BOOST_TEST(shrunk.scenario.weather.loss.ppm == 0);
}

BOOST_AUTO_TEST_CASE(what_the_failure_needs_stays) {
  const Scenario scenario = with_faults(5);
  const auto shrunk = sim::shrink(
      scenario, [&](const Scenario& candidate) { return candidate == scenario; }, 1000);
  BOOST_TEST((shrunk.scenario == scenario));
}

BOOST_AUTO_TEST_CASE(no_more_runs_are_made_than_allowed) {
  std::uint32_t runs = 0;
  const auto shrunk = sim::shrink(
      with_faults(100),
      [&](const Scenario&) {
        ++runs;
        return runs % 2 == 0;
      },
      20);
  BOOST_TEST(runs == 20);
  BOOST_TEST(shrunk.runs == 20);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv
