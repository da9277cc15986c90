// A replica of which a part can die alone: what common/kv/roles.h promises, as the simulator keeps
// it.
#include "common/kv/roles.h"

#include <boost/test/unit_test.hpp>

#include "common/sim/scenario_text.h"
#include "common/sim/simulator.h"
#include "tests/common/sim/one_role.h"

namespace kv {
namespace {

class OneRoleProtocol final : public sim::Protocol {
 public:
  std::unique_ptr<Replica> make(NodeId, std::uint32_t, std::uint64_t) override {
    return std::make_unique<OneRole>();
  }
  std::optional<sim::Violation> check(std::span<const Replica* const>, NodeId) override {
    return std::nullopt;
  }
  bool serves_with(std::uint32_t up, std::uint32_t nodes) const override { return up == nodes; }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(sim_roles)

BOOST_AUTO_TEST_CASE(a_role_that_dies_loses_nothing_that_it_gave_out) {
  const auto scenario = sim::parse_scenario(
      "nodes 1\nload operations=2000 think=0s..1ms\n"
      "disk snapshot_after=0 sync=1ms..3ms\n"
      "at 50ms for 20ms kill keeper of 1\n"
      "at 150ms for 1ms kill keeper of leader\n"
      "at 250ms for 1ms kill keeper of any\n"
      "at 350ms for 1ms kill nobody of 1\n"
      "expect linearizable\nexpect answers within=1s\n");
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    OneRoleProtocol protocol;
    struct Count final : sim::NoteSink {
      void line(Instant, NodeId, Level, std::string_view fields) override {
        deaths += fields.find("event=role_died") != std::string_view::npos ? 1 : 0;
        lives += fields.find("event=role_born") != std::string_view::npos ? 1 : 0;
      }
      int deaths = 0;
      int lives = 0;
    } count;
    sim::Simulator simulator{protocol, std::get<sim::Scenario>(scenario), seed, &count};
    const auto outcome = simulator.run();
    BOOST_TEST(!outcome.violation.has_value(),
               "seed " << seed << ": " << outcome.violation->detail);
    BOOST_TEST(count.deaths == 3);
    BOOST_TEST(count.lives == 3);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv
