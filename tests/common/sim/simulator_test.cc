#include "common/sim/simulator.h"

#include <set>

#include <boost/test/unit_test.hpp>

#include "common/sim/journaling_protocol.h"
#include "common/sim/note_files.h"
#include "common/sim/scenario_text.h"
#include "common/sim/swarm.h"

namespace kv {
BOOST_AUTO_TEST_SUITE(sim_simulator)

namespace {

using sim::Scenario;
using std::chrono::milliseconds;

struct Notes final : sim::NoteSink {
  void line(Instant at, NodeId node, Level level, std::string_view fields) override {
    sim::append_virtual_time(text, at);
    text.append(name_of(level)).append(std::to_string(node.value)).append(fields).append("\n");
  }
  bool contain(std::string_view words) const { return text.find(words) != std::string::npos; }
  std::string text;
};

Scenario scenario_of(std::string_view text) {
  auto parsed = sim::parse_scenario(text);
  const auto* error = std::get_if<sim::ScenarioError>(&parsed);
  BOOST_REQUIRE_MESSAGE(error == nullptr, (error != nullptr ? error->why : ""));
  return std::get<Scenario>(parsed);
}

sim::Outcome run(const Scenario& scenario, std::uint64_t seed, sim::NoteSink* notes = nullptr) {
  sim::JournalingProtocol protocol;
  sim::Simulator simulator{protocol, scenario, seed, notes};
  const sim::Outcome outcome = simulator.run();
  const std::string broken =
      outcome.violation ? outcome.violation->invariant + ": " + outcome.violation->detail : "";
  BOOST_TEST(broken == "", "seed " << seed << ": " << broken);
  return outcome;
}

}  // namespace

BOOST_AUTO_TEST_CASE(the_same_seed_gives_the_same_run_to_the_byte) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    const Scenario scenario = sim::draw_scenario(sim::JournalingProtocol::traits(), seed);
    Notes first;
    Notes second;
    const auto one = run(scenario, seed, &first);
    const auto other = run(scenario, seed, &second);
    BOOST_TEST(one.fingerprint == other.fingerprint);
    BOOST_TEST((one.counts == other.counts));
    BOOST_TEST(first.text == second.text);
    BOOST_TEST(run(scenario, seed + 1).fingerprint != one.fingerprint);
  }
}

BOOST_AUTO_TEST_CASE(watching_a_run_does_not_change_it) {
  const Scenario scenario = sim::draw_scenario(sim::JournalingProtocol::traits(), 3);
  Notes notes;
  BOOST_TEST(run(scenario, 3, &notes).fingerprint == run(scenario, 3).fingerprint);
}

BOOST_AUTO_TEST_CASE(sixty_seeds_hold_and_meet_every_kind_of_trouble) {
  sim::Counts sum;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    const auto outcome = run(sim::draw_scenario(sim::JournalingProtocol::traits(), seed), seed);
    sum.crashes += outcome.counts.crashes;
    sum.torn_tails += outcome.counts.torn_tails;
    sum.snapshots += outcome.counts.snapshots;
    sum.refused_starts += outcome.counts.refused_starts;
    sum.operations_unknown += outcome.counts.operations_unknown;
    sum.histories_not_judged += outcome.counts.histories_not_judged;
  }
  BOOST_TEST(sum.crashes > 50);
  BOOST_TEST(sum.torn_tails > 5);
  BOOST_TEST(sum.snapshots > 100);
  BOOST_TEST(sum.refused_starts > 2);
  BOOST_TEST(sum.operations_unknown > 10);
  BOOST_TEST(sum.histories_not_judged == 0);
}

BOOST_AUTO_TEST_CASE(a_process_can_die_at_every_named_point) {
  for (std::size_t i = 0; i <= static_cast<std::size_t>(last_of(sim::CrashPoint{})); ++i) {
    const auto point = static_cast<sim::CrashPoint>(i);
    Scenario scenario = scenario_of(
        "nodes 1\nload operations=600 think=0s..1ms value_bytes=100\n"
        "disk snapshot_after=20000 segment_bytes=8192\n"
        "expect answers within=1s\n");
    scenario.faults.push_back(
        {.at = milliseconds{50}, .lasts = milliseconds{100}, .who = "1", .point = point});
    if (point == sim::CrashPoint::during_recovery) {  // there must be one
      scenario.faults.push_back({.at = milliseconds{60}, .lasts = milliseconds{20}, .who = "1"});
      scenario.faults.push_back({.at = milliseconds{200}, .lasts = milliseconds{20}, .who = "1"});
    }
    Notes notes;
    run(scenario, 1, &notes);
    BOOST_TEST(notes.contain("event=crash point=" + std::string{name_of(point)}),
               name_of(point) << " did not happen");
  }
}

BOOST_AUTO_TEST_CASE(a_full_disk_refuses_writes_and_serves_reads_until_space_returns) {
  const Scenario scenario = scenario_of(
      "nodes 1\nload operations=2000 clients=2 gets=1 puts=1 deletes=0 swaps=0 patience=20ms\n"
      "at 50ms for 200ms disk 1 full\n"
      "expect answers within=100ms\n");
  sim::JournalingProtocol protocol;
  sim::Simulator simulator{protocol, scenario, 1};
  simulator.run();
  int reads = 0;
  int refused = 0;
  for (const sim::Operation& operation : simulator.history()) {
    if (operation.call > Instant{milliseconds{60}} && operation.call < Instant{milliseconds{220}}) {
      reads += operation.verb == Verb::get && operation.result != Status::unavailable ? 1 : 0;
      refused += operation.verb == Verb::put && operation.result == Status::unavailable ? 1 : 0;
      BOOST_TEST((operation.verb == Verb::get || operation.result != Status::ok));
    }
  }
  BOOST_TEST(reads > 5);
  BOOST_TEST(refused > 5);
}

BOOST_AUTO_TEST_CASE(a_hung_disk_answers_nothing_that_needs_it_and_then_everything) {
  const auto outcome = run(scenario_of("nodes 1\nload operations=300 patience=5s timeout=5s\n"
                                       "at 50ms for 1s disk 1 hung\n"
                                       "expect linearizable\nexpect answers within=1s\n"),
                           1);
  BOOST_TEST(outcome.counts.operations_unknown == 0);
  BOOST_TEST((outcome.ended > Instant{milliseconds{1050}}));
}

BOOST_AUTO_TEST_CASE(a_pause_piles_up_what_arrives_and_loses_none_of_it) {
  const auto outcome = run(scenario_of("nodes 1\nload operations=300 patience=5s timeout=5s\n"
                                       "at 20ms for 700ms pause 1\n"
                                       "expect answers within=1s\n"),
                           1);
  BOOST_TEST(outcome.counts.operations_unknown == 0);
  BOOST_TEST(outcome.counts.requests == outcome.counts.operations);
}

BOOST_AUTO_TEST_CASE(a_node_that_never_returns_breaks_the_promise_of_answers) {
  sim::JournalingProtocol protocol;
  struct Optimist final : sim::Protocol {
    std::unique_ptr<Replica> make(NodeId self, std::uint32_t nodes, std::uint64_t seed) override {
      return inner.make(self, nodes, seed);
    }
    std::optional<sim::Violation> check(std::span<const Replica* const> replicas,
                                        NodeId stepped) override {
      return inner.check(replicas, stepped);
    }
    bool serves_with(std::uint32_t, std::uint32_t) const override { return true; }
    sim::JournalingProtocol inner;
  } optimist;
  const Scenario scenario = scenario_of("nodes 1\nat 20ms crash 1\nexpect answers within=1s\n");
  sim::Simulator simulator{optimist, scenario, 1};
  const auto outcome = simulator.run();
  BOOST_REQUIRE(outcome.violation.has_value());
  BOOST_TEST(outcome.violation->invariant == "every_client_is_answered_after_the_last_fault");
}

BOOST_AUTO_TEST_CASE(virtual_time_is_written_as_real_time_is) {
  std::string line;
  sim::append_virtual_time(line, Instant{Duration{1'234'567}});
  BOOST_TEST(line == "2000-01-01T00:00:01.234567Z");
  line.clear();
  sim::append_virtual_time(line, Instant{std::chrono::hours{24 * 59 + 23}});
  BOOST_TEST(line == "2000-02-29T23:00:00.000000Z");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv
