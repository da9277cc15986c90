// Whole clusters in the simulator: few seeds here, thousands in `make soak`.
#include <boost/test/unit_test.hpp>

#include "common/sim/scenario_text.h"
#include "common/sim/simulator.h"
#include "common/sim/swarm.h"
#include "tests/phase4_paxos/paxos_protocol.h"

namespace kv::paxos {
BOOST_AUTO_TEST_SUITE(phase4_simulated)

namespace {

sim::Outcome run(const sim::Scenario& scenario, std::uint64_t seed, PaxosOptions options = {},
                 RolesLive roles = RolesLive::together) {
  PaxosProtocol protocol{options, roles};
  sim::Simulator simulator{protocol, scenario, seed};
  const sim::Outcome outcome = simulator.run();
  if (outcome.violation) {
    BOOST_ERROR("seed " << seed << ": " << outcome.violation->invariant << ": "
                        << outcome.violation->detail);
  }
  return outcome;
}

sim::Scenario scenario(const char* text) {
  return std::get<sim::Scenario>(sim::parse_scenario(text));
}

}  // namespace

BOOST_AUTO_TEST_CASE(six_seeds_hold_through_all_faults) {
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    run(sim::draw_scenario(traits(), seed), seed);
  }
}

BOOST_AUTO_TEST_CASE(six_seeds_hold_with_roles_that_hear_each_other_late) {
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    run(sim::draw_scenario(traits(), seed), seed, {}, RolesLive::apart);
  }
}

BOOST_AUTO_TEST_CASE(while_a_minority_is_down_every_operation_is_answered) {
  const auto outcome = run(scenario("nodes 5\nload operations=300 timeout=2s patience=5s\n"
                                    "at 600ms crash 1\nat 610ms crash 4\n"
                                    "expect linearizable\nexpect answers within=3s\n"),
                           1);
  BOOST_TEST(outcome.counts.operations_unknown == 0U);
}

BOOST_AUTO_TEST_CASE(a_killed_leader_is_followed_by_another_within_a_second) {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    run(scenario("nodes 5\nload operations=400\nat 700ms crash leader\n"
                 "expect linearizable\nexpect answers within=1s\n"),
        seed);
  }
}

BOOST_AUTO_TEST_CASE(acceptors_may_die_and_return_at_any_time) {
  run(scenario("nodes 3\nload clients=4 operations=600\n"
               "at 500ms for 100ms kill acceptor of 1\nat 550ms for 100ms kill acceptor of 2\n"
               "at 600ms for 100ms kill acceptor of 3\nat 700ms for 50ms kill all of 1\n"
               "at 720ms for 50ms kill all of 2\n"
               "expect linearizable\nexpect answers within=2s\n"),
      1);
}

BOOST_AUTO_TEST_CASE(without_a_leader_back_off_lets_proposers_that_duel_get_on) {
  PaxosOptions options;
  options.leadership = Leadership::none;
  const auto outcome = run(scenario("nodes 3\nload clients=3 operations=150\n"
                                    "expect linearizable\nexpect answers within=5s\n"),
                           1, options);
  BOOST_TEST(outcome.counts.operations_unknown == 0U);
}

BOOST_AUTO_TEST_CASE(without_a_disk_a_minority_may_die_one_after_the_other) {
  PaxosOptions options;
  options.acceptor = AcceptorMemory::diskless;
  options.watch_durability = false;
  const auto outcome = run(scenario("nodes 5\nload clients=3 operations=400 patience=5s\n"
                                    "at 600ms for 100ms crash 1\nat 1000ms for 100ms crash leader\n"
                                    "expect linearizable\nexpect answers within=3s\n"),
                           1, options);
  BOOST_TEST(outcome.counts.operations_unknown == 0U);
}

BOOST_AUTO_TEST_CASE(who_was_away_too_long_for_the_log_is_sent_an_image) {
  PaxosOptions options;
  options.log_slots_max = 16;
  const auto outcome = run(scenario("nodes 3\nload clients=4 operations=800\n"
                                    "at 400ms for 500ms crash 3\n"
                                    "expect linearizable\nexpect answers within=2s from=3\n"),
                           1, options);
  BOOST_TEST(outcome.counts.crashes == 1U);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::paxos
