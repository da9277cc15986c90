#include "common/host/role_failures.h"

#include <map>

#include <boost/test/unit_test.hpp>

namespace kv {
namespace {

using host::RoleFailure;
using host::RoleFailures;

}  // namespace

BOOST_AUTO_TEST_SUITE(host_role_failures)

BOOST_AUTO_TEST_CASE(roles_die_and_return_at_the_same_times_for_the_same_seed) {
  const std::vector<RoleFailure> both = {
      {.role = "acceptor", .up = std::chrono::seconds{5}, .down = std::chrono::seconds{1}},
      {.role = "learner", .up = std::chrono::seconds{2}, .down = std::chrono::seconds{2}}};
  RoleFailures first{both, 7, Instant{}};
  RoleFailures second{both, 7, Instant{}};
  RoleFailures alone{{both[0]}, 7, Instant{}};
  Instant last{};
  std::map<std::string, bool> dead;
  for (int i = 0; i < 1000; ++i) {
    const auto event = first.next();
    BOOST_REQUIRE(event.has_value());
    BOOST_TEST((second.next() == event));
    BOOST_TEST((event->at >= last));
    BOOST_TEST(event->dies != dead[event->role]);
    dead[event->role] = event->dies;
    last = event->at;
    if (event->role == "acceptor") {
      BOOST_TEST((alone.next() == event));
    }
  }
}

BOOST_AUTO_TEST_CASE(the_means_are_those_that_were_asked_for) {
  RoleFailures failures{
      {{.role = "all", .up = std::chrono::seconds{5}, .down = std::chrono::seconds{1}}},
      1,
      Instant{}};
  Instant last{};
  Duration up{};
  Duration down{};
  for (int i = 0; i < 10'000; ++i) {
    const auto event = failures.next();
    (event->dies ? up : down) += event->at - last;
    last = event->at;
  }
  BOOST_TEST(
      (up / 5000 > std::chrono::milliseconds{4800} && up / 5000 < std::chrono::milliseconds{5200}));
  BOOST_TEST((down / 5000 > std::chrono::milliseconds{960} &&
              down / 5000 < std::chrono::milliseconds{1040}));
}

BOOST_AUTO_TEST_CASE(no_failures_no_events) {
  BOOST_TEST(!RoleFailures({}, 1, Instant{}).next().has_value());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv
