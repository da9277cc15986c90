#include "common/sim/scenario_text.h"

#include <boost/test/unit_test.hpp>

#include "common/sim/swarm.h"

namespace kv {
namespace {

using sim::Scenario;
using sim::ScenarioError;

Scenario good(std::string_view text) {
  const auto parsed = sim::parse_scenario(text);
  const auto* error = std::get_if<ScenarioError>(&parsed);
  BOOST_REQUIRE_MESSAGE(error == nullptr, (error != nullptr ? error->why : ""));
  return std::get<Scenario>(parsed);
}

ScenarioError bad(std::string_view text) {
  const auto parsed = sim::parse_scenario(text);
  BOOST_REQUIRE(std::holds_alternative<ScenarioError>(parsed));
  return std::get<ScenarioError>(parsed);
}

constexpr std::string_view everything =
    "# A comment.\n"
    "scenario everything that can be said\n"
    "nodes 5\n"
    "load clients=4 operations=100 keys=2 gets=1 puts=1 deletes=0 swaps=0 think=1ms..2.5ms "
    "timeout=50ms patience=1s value_bytes=9\n"
    "network delay=10us..3ms loss=0.5% repeat=1% flip=0.01% late=2% late_by=1s\n"
    "disk sync=20us segment_bytes=8192 snapshot_after=0\n"
    "at 1s for 500ms crash leader point=after_write\n"
    "at 1s for 500ms crash 2 disk=rot\n"
    "at 1s for 1s pause any   # a comment here too\n"
    "at 1s for 1s clock 3 rate=150.5% jump=1s\n"
    "at 1s for 1s cut 1 to 2\n"
    "at 1s for 1s cut 1 2\n"
    "at 2s partition 1,2|3,4,5\n"
    "at 2s for 1s partition bridge of leader healing=200ms\n"
    "at 2s for 1s slow 1 coordinator delay=20ms\n"
    "at 2s for 1s storm loss=20%\n"
    "at 2s for 1s disk 1 slow factor=100\n"
    "at 2s for 1s disk 1 full\n"
    "at 2s for 1s kill acceptor of 4\n"
    "expect linearizable\n"
    "expect answers within=5s from=1,2,3\n";

}  // namespace

BOOST_AUTO_TEST_SUITE(sim_scenario_text)

BOOST_AUTO_TEST_CASE(everything_that_can_be_said_is_understood) {
  const Scenario scenario = good(everything);
  BOOST_TEST(scenario.title == "everything that can be said");
  BOOST_TEST(scenario.nodes == 5);
  BOOST_TEST((scenario.load.think ==
              sim::Span{std::chrono::milliseconds{1}, std::chrono::microseconds{2500}}));
  BOOST_TEST(scenario.weather.loss.ppm == 5000);
  BOOST_REQUIRE(scenario.faults.size() == 13);
  BOOST_TEST((scenario.faults[0].point == sim::CrashPoint::after_write));
  BOOST_TEST((scenario.faults[1].damage == sim::DiskDamage::rot));
  BOOST_TEST(scenario.faults[3].rate.ppm == 1'505'000);
  BOOST_TEST(scenario.faults[4].one_way);
  BOOST_TEST(!scenario.faults[6].lasts.has_value());
  BOOST_TEST(scenario.faults[6].groups.size() == 2);
  BOOST_TEST(scenario.faults[9].weather.loss.ppm == 200'000);
  BOOST_TEST(scenario.faults[9].weather.repeat.ppm == 10'000);  // as the weather was
  BOOST_TEST(scenario.faults[12].role == "acceptor");
  BOOST_TEST(scenario.expect.answers_from.size() == 3);
}

BOOST_AUTO_TEST_CASE(what_is_written_is_read_again) {
  const Scenario scenario = good(everything);
  BOOST_TEST((good(sim::format_scenario(scenario)) == scenario));
}

BOOST_AUTO_TEST_CASE(every_drawn_scenario_can_be_written_and_read_again) {
  const sim::ProtocolTraits traits{.name = "any",
                                   .context = "",
                                   .cluster_sizes = {1, 2, 3, 5, 7},
                                   .roles = {"acceptor", "proposer"},
                                   .survives_wiped_disk = true};
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    const Scenario scenario = sim::draw_scenario(traits, seed);
    BOOST_TEST((good(sim::format_scenario(scenario)) == scenario), "seed " << seed);
  }
}

BOOST_AUTO_TEST_CASE(a_mistake_is_told_with_its_line_and_what_would_be_right) {
  const ScenarioError error = bad("nodes 3\n\nat 1s explode 2\n");
  BOOST_TEST(error.line == 3);
  BOOST_TEST(error.why.find("'explode' is no fault; there are crash, pause") == 0);
}

BOOST_AUTO_TEST_CASE(what_is_not_understood_is_refused) {
  for (const std::string_view text : {"speed 3",
                                      "nodes",
                                      "nodes 0",
                                      "nodes 10",
                                      "nodes 3 4",
                                      "nodes 1\nnodes 1",
                                      "nodes x",
                                      "load clients",
                                      "load clients=",
                                      "load clients=-1",
                                      "load clients=1 clients=2",
                                      "load clients=0",
                                      "load speed=1",
                                      "load gets=0 puts=0 deletes=0 swaps=0",
                                      "load keys=0",
                                      "load think=2ms..1ms",
                                      "load think=5",
                                      "load think=1.2345us",
                                      "load timeout=25h",
                                      "network loss=5",
                                      "network loss=1.00001%",
                                      "network loss=%",
                                      "network loss=200%",
                                      "at 1s storm late=100.1%",
                                      "disk segment_bytes=100",
                                      "at",
                                      "at 1s",
                                      "at soon crash 1",
                                      "at 1s for crash 1",
                                      "at 1s crash",
                                      "at 1s crash 2",
                                      "at 1s crash 1 point=lunch",
                                      "at 1s crash 1 now",
                                      "at 1s crash L",
                                      "at 1s cut 1",
                                      "at 1s cut 1 to",
                                      "at 1s partition",
                                      "at 1s partition triangle",
                                      "at 1s partition 1,|2",
                                      "at 1s partition groups",
                                      "at 1s partition 1|2",
                                      "at 1s disk 1",
                                      "at 1s disk 1 healthy",
                                      "at 1s disk 1 slow factor=0",
                                      "at 1s clock 1 rate=0%",
                                      "at 1s kill acceptor",
                                      "at 1s kill acceptor of",
                                      "at 1s pause 1 healing=1s",
                                      "expect",
                                      "expect miracles",
                                      "expect answers",
                                      "expect answers within=0s",
                                      "expect answers within=1s from=2"}) {
    bad(text);
  }
  bad(std::string(2000, ' '));
}

BOOST_AUTO_TEST_CASE(durations_are_written_as_short_as_they_can_be) {
  BOOST_TEST(sim::format_duration(std::chrono::microseconds{0}) == "0s");
  BOOST_TEST(sim::format_duration(std::chrono::microseconds{250}) == "250us");
  BOOST_TEST(sim::format_duration(std::chrono::microseconds{2500}) == "2.5ms");
  BOOST_TEST(sim::format_duration(std::chrono::milliseconds{20}) == "20ms");
  BOOST_TEST(sim::format_duration(std::chrono::milliseconds{1500}) == "1.5s");
  BOOST_TEST(sim::format_duration(std::chrono::seconds{60}) == "60s");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv
