// The generator against a server that counts: what it reports is what took place.
#include "tools/load_run.h"

#include <memory>
#include <string_view>
#include <utility>

#include <boost/test/unit_test.hpp>

#include "tests/tools/test_server.h"

namespace kv::load {
BOOST_AUTO_TEST_SUITE(tools_load_run)

namespace {

constexpr std::uint64_t ops = 240;
constexpr std::uint64_t keys = 20;

struct Kind {
  Dialect dialect;
  Transport transport;
};

constexpr Kind kinds[] = {
    {Dialect::line, Transport::tcp},     {Dialect::resp, Transport::tcp},
    {Dialect::memcache, Transport::tcp}, {Dialect::echo, Transport::tcp},
    {Dialect::line, Transport::udp},     {Dialect::memcache, Transport::udp},
    {Dialect::echo, Transport::udp},
};

/// A run that ends by its number of requests; its time only bounds it.
Plan plan_for(const TestServer& server, std::uint32_t clients, std::uint32_t depth) {
  Plan plan;
  plan.target = server.target();
  plan.mix.dialect = plan.target.dialect;
  plan.mix.transport = plan.target.transport;
  plan.mix.keys = keys;
  plan.mix.value_bytes = 20;
  plan.clients = clients;
  plan.depth = depth;
  plan.seconds = 60;
  plan.requests_max = ops;
  plan.patience = std::chrono::seconds{20};
  plan.retransmit_after = std::chrono::seconds{10};
  return plan;
}

std::unique_ptr<Load> connect(const Plan& plan) {
  std::string why;
  std::unique_ptr<Load> load = Load::connect(plan, why);
  BOOST_TEST_REQUIRE(load != nullptr, why);
  return load;
}

}  // namespace

BOOST_AUTO_TEST_CASE(ops_reported_are_ops_served_in_every_dialect) {
  for (const auto& [dialect, transport] : kinds) {
    for (const std::uint32_t depth : {1U, 16U}) {
      const TestServer server{dialect, transport, {}};
      const auto load = connect(plan_for(server, 3, depth));
      const Outcome filled = load->fill();
      BOOST_TEST(filled.ops == keys);
      BOOST_TEST(server.puts() == keys);
      const Outcome outcome = load->run();
      BOOST_TEST_CONTEXT(to_text(server.target())
                         << " depth " << depth << ": " << outcome.first_error) {
        BOOST_TEST(outcome.ops == ops);
        BOOST_TEST(outcome.errors == 0U);
        BOOST_TEST(outcome.unsolicited == 0U);
        BOOST_TEST(outcome.latency.count() == ops);
        BOOST_TEST(outcome.latency.max().count() > 0);
        BOOST_TEST(outcome.seconds > 0);
        BOOST_TEST(server.served() == keys + ops);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(the_mix_is_as_asked_for) {
  const TestServer server{Dialect::line, Transport::tcp, {}};
  Plan plan = plan_for(server, 1, 500);
  plan.requests_max = 5000;
  for (const std::uint32_t percent : {0U, 30U, 100U}) {
    plan.mix.gets_percent = percent;
    const std::uint64_t gets_before = server.gets();
    const auto load = connect(plan);
    load->fill();
    BOOST_TEST(load->run().ops == 5000U);
    const auto gets = static_cast<double>(server.gets() - gets_before);
    BOOST_TEST(std::abs(gets / 5000 - percent / 100.0) < 0.05);
  }
}

BOOST_AUTO_TEST_CASE(answers_may_come_byte_by_byte) {
  for (const Dialect dialect : {Dialect::line, Dialect::resp, Dialect::memcache, Dialect::echo}) {
    const TestServer server{dialect, Transport::tcp, {.in_single_bytes = true}};
    Plan plan = plan_for(server, 2, 4);
    plan.requests_max = 40;
    const auto load = connect(plan);
    load->fill();
    const Outcome outcome = load->run();
    BOOST_TEST(outcome.ops == 40U);
    BOOST_TEST(outcome.errors == 0U);
  }
}

BOOST_AUTO_TEST_CASE(every_error_answer_is_counted_and_the_rest_are_not) {
  for (const auto& [dialect, transport] : kinds) {
    for (const std::uint32_t depth : {1U, 5U}) {
      const TestServer server{dialect, transport, {.wrong_every = 11}};
      Plan plan = plan_for(server, 3, depth);
      const auto load = connect(plan);
      const Outcome filled = load->fill();
      const Outcome outcome = load->run();
      BOOST_TEST_CONTEXT(to_text(server.target()) << " depth " << depth) {
        BOOST_TEST(filled.ops + filled.errors == keys);
        // A key whose put was refused is not there: its gets are wrong too, though served.
        BOOST_TEST(outcome.errors + filled.errors >= server.refused());
        BOOST_TEST(outcome.ops + outcome.errors == ops);
        BOOST_TEST(filled.errors == keys / 11);
        BOOST_TEST(outcome.unanswered == 0U);
        BOOST_TEST(outcome.reconnects == 0U);
        BOOST_TEST(!outcome.first_error.empty());
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(errors_are_told_apart_by_what_the_answers_say) {
  using Count = std::uint64_t Outcome::*;
  const std::pair<std::string_view, Count> refusals[] = {{"ABORTED", &Outcome::aborted},
                                                         {"UNAVAILABLE", &Outcome::unavailable},
                                                         {"UNKNOWN", &Outcome::unknown}};
  for (const Transport transport : {Transport::tcp, Transport::udp}) {
    for (const auto& [refusal, count] : refusals) {
      const TestServer server{Dialect::line, transport, {.wrong_every = 4, .refusal = refusal}};
      Plan plan = plan_for(server, 2, 5);
      plan.mix.gets_percent = 0;
      const Outcome outcome = connect(plan)->run();
      BOOST_TEST(outcome.errors == ops / 4);
      BOOST_TEST((outcome.*count == ops / 4));
      BOOST_TEST(outcome.aborted + outcome.unavailable + outcome.unknown == ops / 4);
    }
  }
}

BOOST_AUTO_TEST_CASE(a_missing_key_is_an_error) {
  for (const Dialect dialect : {Dialect::line, Dialect::resp, Dialect::memcache}) {
    const TestServer server{dialect, Transport::tcp, {}};
    Plan plan = plan_for(server, 2, 3);
    plan.mix.gets_percent = 100;
    const Outcome outcome = connect(plan)->run();
    BOOST_TEST(outcome.ops == 0U);
    BOOST_TEST(outcome.errors == ops);
    BOOST_TEST(outcome.unanswered == 0U);
  }
}

BOOST_AUTO_TEST_CASE(a_value_that_was_not_put_is_an_error) {
  const TestServer server{Dialect::line, Transport::tcp, {}};
  Plan plan = plan_for(server, 2, 3);
  plan.mix.seed = 1;
  connect(plan)->fill();
  plan.mix.seed = 2;  // another seed, other values
  plan.mix.gets_percent = 100;
  const Outcome outcome = connect(plan)->run();
  BOOST_TEST(outcome.ops == 0U);
  BOOST_TEST(outcome.errors == ops);
}

BOOST_AUTO_TEST_CASE(a_lost_connection_costs_its_unanswered_requests_and_is_made_again) {
  for (const std::uint32_t depth : {1U, 8U}) {
    const TestServer server{Dialect::line, Transport::tcp, {.close_every = 60}};
    Plan plan = plan_for(server, 2, depth);
    plan.mix.gets_percent = 0;
    const Outcome outcome = connect(plan)->run();
    BOOST_TEST(outcome.ops + outcome.errors == ops);
    BOOST_TEST(outcome.ops == server.served());
    BOOST_TEST(outcome.unanswered == outcome.errors);
    BOOST_TEST(outcome.errors >= server.cut_off());
    BOOST_TEST(outcome.errors <= server.cut_off() * depth);
    BOOST_TEST(server.cut_off() >= 3U);
    BOOST_TEST(outcome.reconnects >= 1U);
  }
}

BOOST_AUTO_TEST_CASE(an_answer_too_many_is_noticed) {
  const TestServer server{Dialect::line, Transport::tcp, {.twice_every = 60}};
  Plan plan = plan_for(server, 1, 1);
  plan.mix.gets_percent = 0;
  const Outcome outcome = connect(plan)->run();
  BOOST_TEST(outcome.unsolicited >= 1U);
  BOOST_TEST(outcome.ops + outcome.errors == ops);
}

BOOST_AUTO_TEST_CASE(a_server_that_never_answers_ends_the_run_as_unanswered) {
  for (const Transport transport : {Transport::tcp, Transport::udp}) {
    const TestServer server{Dialect::line, transport, {.silent_every = 1}};
    Plan plan = plan_for(server, 3, 2);
    plan.patience = std::chrono::milliseconds{30};
    plan.seconds = 0.01;
    const Outcome outcome = connect(plan)->run();
    BOOST_TEST(outcome.ops == 0U);
    BOOST_TEST(outcome.unanswered >= 6U);
    BOOST_TEST(outcome.errors == outcome.unanswered);
    BOOST_TEST(connect(plan)->fill().ops == 0U);
  }
}

BOOST_AUTO_TEST_CASE(a_lost_datagram_is_asked_for_again_and_counted_apart) {
  for (const bool with_ids : {false, true}) {
    for (const std::uint32_t depth : {1U, 4U}) {
      const TestServer server{Dialect::line, Transport::udp, {.silent_every = 60}};
      Plan plan = plan_for(server, 2, depth);
      plan.mix.with_ids = with_ids;
      plan.retransmit_after = std::chrono::milliseconds{1};
      const auto load = connect(plan);
      BOOST_TEST(load->fill().ops == keys);
      const Outcome outcome = load->run();
      BOOST_TEST(outcome.ops == ops);
      BOOST_TEST(outcome.errors == 0U);
      BOOST_TEST(server.ignored() >= 3U);
      BOOST_TEST(outcome.retransmissions >= server.ignored());
    }
  }
}

BOOST_AUTO_TEST_CASE(a_repeated_datagram_with_an_id_is_unsolicited_and_nothing_else) {
  const TestServer server{Dialect::line, Transport::udp, {.twice_every = 10}};
  Plan plan = plan_for(server, 2, 1);
  plan.mix.with_ids = true;
  const auto load = connect(plan);
  load->fill();
  const Outcome outcome = load->run();
  BOOST_TEST(outcome.ops == ops);
  BOOST_TEST(outcome.errors == 0U);
  BOOST_TEST(outcome.unsolicited >= 10U);
}

BOOST_AUTO_TEST_CASE(ids_over_tcp_come_back_with_their_answers) {
  const TestServer server{Dialect::line, Transport::tcp, {}};
  Plan plan = plan_for(server, 3, 5);
  plan.mix.with_ids = true;
  const auto load = connect(plan);
  BOOST_TEST(load->fill().ops == keys);
  const Outcome outcome = load->run();
  BOOST_TEST(outcome.ops == ops);
  BOOST_TEST(outcome.errors == 0U);
}

BOOST_AUTO_TEST_CASE(values_longer_than_any_buffer_come_through) {
  const TestServer server{Dialect::line, Transport::tcp, {}};
  Plan plan = plan_for(server, 2, 3);
  plan.mix.value_bytes = 300'000;
  plan.mix.keys = 5;
  plan.requests_max = 20;
  const auto load = connect(plan);
  BOOST_TEST(load->fill().ops == 5U);
  const Outcome outcome = load->run();
  BOOST_TEST(outcome.ops == 20U);
  BOOST_TEST(outcome.errors == 0U);
}

BOOST_AUTO_TEST_CASE(an_open_loop_does_all_that_was_due) {
  for (const auto& [dialect, transport] : kinds) {
    const TestServer server{dialect, transport, {}};
    Plan plan = plan_for(server, 4, 3);
    plan.rate = 100'000;
    const auto load = connect(plan);
    load->fill();
    const Outcome outcome = load->run();
    BOOST_TEST(outcome.ops == ops);
    BOOST_TEST(outcome.errors == 0U);
    BOOST_TEST(outcome.not_started == 0U);
    BOOST_TEST(outcome.seconds >= 0.99 * (ops - 1) / 100'000.0);
  }
}

BOOST_AUTO_TEST_CASE(an_open_loop_tells_what_a_stalled_server_kept_from_starting) {
  const TestServer server{Dialect::line, Transport::tcp, {.silent_every = 1}};
  Plan plan = plan_for(server, 1, 1);
  plan.rate = 1000;
  plan.seconds = 0.05;
  plan.patience = std::chrono::milliseconds{10};
  const Outcome outcome = connect(plan)->run();
  BOOST_TEST(outcome.ops == 0U);
  BOOST_TEST(outcome.unanswered == 1U);
  BOOST_TEST(outcome.not_started == 49U);
}

BOOST_AUTO_TEST_CASE(a_server_that_is_not_there_is_said_at_once) {
  Target target;
  {
    const TestServer server{Dialect::line, Transport::tcp, {}};
    target = server.target();
  }
  Plan plan;
  plan.target = target;
  std::string why;
  BOOST_TEST(Load::connect(plan, why) == nullptr);
  BOOST_TEST(why.find("refused") != std::string::npos, why);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::load
