// Every scenario file is understood, and those for one node hold with the simplest protocol.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <boost/test/unit_test.hpp>

#include "common/sim/journaling_protocol.h"
#include "common/sim/scenario_text.h"
#include "common/sim/simulator.h"

namespace kv {
namespace {

std::vector<std::filesystem::path> scenario_files() {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator{"tests/scenarios"}) {
    if (entry.path().extension() == ".scn") {
      files.push_back(entry.path());
    }
  }
  std::ranges::sort(files);
  return files;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(sim_scenarios)

BOOST_AUTO_TEST_CASE(every_scenario_is_understood_and_those_for_one_node_hold) {
  std::size_t played = 0;
  for (const auto& file : scenario_files()) {
    std::stringstream text;
    text << std::ifstream{file}.rdbuf();
    const auto parsed = sim::parse_scenario(text.str());
    const auto* error = std::get_if<sim::ScenarioError>(&parsed);
    BOOST_TEST(error == nullptr,
               file << ":" << (error == nullptr ? "" : std::to_string(error->line) + error->why));
    const auto* scenario = std::get_if<sim::Scenario>(&parsed);
    for (std::uint64_t seed = 1; scenario != nullptr && scenario->nodes == 1 && seed <= 3; ++seed) {
      sim::JournalingProtocol protocol;
      sim::Simulator simulator{protocol, *scenario, seed};
      const auto outcome = simulator.run();
      BOOST_TEST(!outcome.violation.has_value(), file << " seed " << seed << ": "
                                                      << outcome.violation->invariant << ": "
                                                      << outcome.violation->detail);
      ++played;
    }
  }
  BOOST_TEST(played >= 12);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv
