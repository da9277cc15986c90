#include "tools/load_connections.h"

#include <boost/test/unit_test.hpp>

#include "tests/tools/test_server.h"

namespace kv::load {
namespace {

ConnectionPlan plan_for(const TestServer& server, std::uint64_t connections) {
  return {.target = server.target(),
          .connections = connections,
          .at_once = 10,
          .seconds = 0,
          .patience = std::chrono::seconds{20}};
}

}  // namespace

BOOST_AUTO_TEST_SUITE(tools_load_connections)

BOOST_AUTO_TEST_CASE(every_connection_that_is_churned_was_served_once) {
  for (const Dialect dialect : {Dialect::line, Dialect::resp, Dialect::memcache, Dialect::echo}) {
    const TestServer server{dialect, Transport::tcp, {}};
    std::string why;
    const auto outcome = churn_connections(plan_for(server, 100), why);
    BOOST_TEST_REQUIRE(outcome.has_value(), why);
    BOOST_TEST(outcome->served == 100U);
    BOOST_TEST(outcome->errors == 0U, outcome->first_error);
    BOOST_TEST(server.served() == 100U);
    BOOST_TEST(server.connections() == 100U);
  }
}

BOOST_AUTO_TEST_CASE(connections_that_are_not_served_are_counted) {
  const TestServer server{Dialect::line, Transport::tcp, {.wrong_every = 10, .close_every = 25}};
  std::string why;
  const auto outcome = churn_connections(plan_for(server, 100), why);
  BOOST_TEST_REQUIRE(outcome.has_value(), why);
  BOOST_TEST(outcome->served == server.served());
  BOOST_TEST(outcome->errors == server.refused() + server.cut_off());
  BOOST_TEST(outcome->served + outcome->errors == 100U);
  BOOST_TEST(!outcome->first_error.empty());
}

BOOST_AUTO_TEST_CASE(held_connections_are_all_open_when_they_are_looked_at) {
  const TestServer server{Dialect::line, Transport::tcp, {}};
  std::string why;
  std::uint64_t seen = 0;
  const auto outcome = hold_connections(
      plan_for(server, 60), [&] { seen = server.served(); }, why);
  BOOST_TEST_REQUIRE(outcome.has_value(), why);
  BOOST_TEST(seen == 60U);
  BOOST_TEST(outcome->served == 60U);
  BOOST_TEST(outcome->lost == 0U);
}

BOOST_AUTO_TEST_CASE(a_server_without_answers_costs_patience_and_no_more) {
  const TestServer server{Dialect::line, Transport::tcp, {.silent_every = 1}};
  ConnectionPlan plan = plan_for(server, 5);
  plan.patience = std::chrono::milliseconds{10};
  std::string why;
  const auto outcome = churn_connections(plan, why);
  BOOST_TEST_REQUIRE(outcome.has_value(), why);
  BOOST_TEST(outcome->errors == 5U);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::load
