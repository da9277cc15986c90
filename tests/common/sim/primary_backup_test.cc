#include "tests/common/sim/primary_backup.h"

#include <boost/test/unit_test.hpp>

#include "common/sim/scenario_text.h"
#include "common/sim/simulator.h"
#include "common/sim/swarm.h"

namespace kv {
namespace {

using example::PrimaryBackup;

/// What the simulator must know: how a replica is made, and what must hold between the two.
class PrimaryBackupProtocol final : public sim::Protocol {
 public:
  std::unique_ptr<Replica> make(NodeId self, std::uint32_t, std::uint64_t) override {
    return std::make_unique<PrimaryBackup>(self);
  }

  std::optional<sim::Violation> check(std::span<const Replica* const> replicas, NodeId) override {
    const auto* first = static_cast<const PrimaryBackup*>(replicas[0]);
    const auto* second = static_cast<const PrimaryBackup*>(replicas[1]);
    if (first == nullptr || second == nullptr) {
      return std::nullopt;
    }
    const std::size_t shared = second->log().size();
    if (shared > first->log().size() ||
        (shared > 0 && first->log()[shared - 1] != second->log()[shared - 1])) {
      return sim::Violation{"the_backups_log_is_a_prefix_of_the_primarys", "it is not"};
    }
    if (first->backup_had() > shared) {
      return sim::Violation{"what_the_backup_said_to_have_it_has", "it has less"};
    }
    return std::nullopt;
  }

  bool serves_with(std::uint32_t up, std::uint32_t nodes) const override { return up == nodes; }
};

const sim::ProtocolTraits traits{.name = "primary_backup",
                                 .context = "",
                                 .cluster_sizes = {2},
                                 .roles = {},
                                 .survives_wiped_disk = false};

sim::Outcome run(const sim::Scenario& scenario, std::uint64_t seed) {
  PrimaryBackupProtocol protocol;
  sim::Simulator simulator{protocol, scenario, seed};
  const sim::Outcome outcome = simulator.run();
  if (outcome.violation) {
    BOOST_ERROR("seed " << seed << ": " << outcome.violation->invariant << ": "
                        << outcome.violation->detail);
  }
  return outcome;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(sim_primary_backup)

BOOST_AUTO_TEST_CASE(a_change_is_answered_when_the_backup_has_it) {
  PrimaryBackup primary{example::primary};
  Effects out;
  primary.request(Instant{}, {7}, {.verb = Verb::put, .key = "k", .value = "1"}, out);
  BOOST_TEST(out.records.size() == 1);
  BOOST_TEST(out.answers.empty());
  BOOST_REQUIRE(out.sends.size() == 1);
  BOOST_TEST(out.sends[0].after_records);

  PrimaryBackup backup{example::backup};
  Effects back;
  backup.receive(Instant{}, example::primary, out.sends[0].message, back);
  BOOST_TEST((back.records == out.records));
  out.clear();
  primary.receive(Instant{}, example::backup, back.sends[0].message, out);
  BOOST_REQUIRE(out.answers.size() == 1);
  BOOST_TEST((out.answers[0].request == RequestId{7}));
}

BOOST_AUTO_TEST_CASE(twenty_seeds_hold_through_loss_crashes_and_partitions) {
  sim::Counts sum;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const auto outcome = run(sim::draw_scenario(traits, seed), seed);
    sum.messages_lost += outcome.counts.messages_lost;
    sum.messages_repeated += outcome.counts.messages_repeated;
    sum.flips_caught += outcome.counts.flips_caught;
    sum.crashes += outcome.counts.crashes;
  }
  BOOST_TEST(sum.messages_lost > 500);
  BOOST_TEST(sum.messages_repeated > 500);
  BOOST_TEST(sum.flips_caught > 50);
  BOOST_TEST(sum.crashes > 5);
}

BOOST_AUTO_TEST_CASE(while_the_link_is_cut_changes_wait_and_then_are_answered) {
  const auto scenario = sim::parse_scenario(
      "nodes 2\nload operations=100 timeout=3s patience=5s\n"
      "at 10ms for 1s cut 1 2\n"
      "expect linearizable\nexpect answers within=1s\n");
  const auto outcome = run(std::get<sim::Scenario>(scenario), 1);
  BOOST_TEST(outcome.counts.operations_unknown == 0);
  BOOST_TEST((outcome.ended > Instant{std::chrono::seconds{1}}));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv
