// A recorded run against servers that count and misbehave: what it reports took place, and its
// history says so.
#include "tools/load_record.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>

#include <boost/test/unit_test.hpp>

#include "common/sim/linearizability.h"
#include "tests/tools/test_server.h"

namespace kv::load {
namespace {

constexpr std::uint64_t ops = 300;

struct World {
  World() : path{std::filesystem::temp_directory_path() / ("history-" + std::to_string(getpid()))} {
    plan.clients = 4;
    plan.mix.keys = 5;
    plan.mix.with_ids = true;
    plan.seconds = 60;
    plan.requests_max = ops;
    plan.patience = std::chrono::seconds{20};
    plan.attempt_patience = std::chrono::seconds{10};
    plan.history = path;
  }
  ~World() { std::filesystem::remove(path); }

  Outcome run() {
    std::string why;
    const auto load = Load::connect(plan, why);
    BOOST_TEST_REQUIRE(load != nullptr, why);
    const Outcome outcome = load->run();
    std::ifstream file{path};
    const std::string text{std::istreambuf_iterator<char>{file}, {}};
    BOOST_TEST(sim::read_history(text, history, why), why);
    return outcome;
  }

  bool is_linearizable() const {
    return sim::check_history(history).verdict == sim::Verdict::linearizable;
  }

  std::filesystem::path path;
  Plan plan;
  std::vector<sim::Operation> history;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(tools_load_record)

BOOST_AUTO_TEST_CASE(every_operation_of_a_good_server_is_in_the_history_and_explained) {
  for (const Transport transport : {Transport::tcp, Transport::udp}) {
    const TestServer server{Dialect::line, transport, {}};
    World world;
    world.plan.target = server.target();
    const Outcome outcome = world.run();
    BOOST_TEST(outcome.ops == ops, outcome.first_error);
    BOOST_TEST(outcome.errors == 0U);
    BOOST_TEST(outcome.latency.count() == ops);
    BOOST_TEST(world.history.size() == ops);
    BOOST_TEST(server.served() == ops);
    BOOST_TEST(world.is_linearizable());
  }
}

BOOST_AUTO_TEST_CASE(connections_that_break_are_made_again_and_ids_settle_what_was_open) {
  const TestServer server{Dialect::line, Transport::tcp, {.close_every = 7}};
  World world;
  world.plan.target = server.target();
  const Outcome outcome = world.run();
  BOOST_TEST(outcome.ops == ops, outcome.first_error);
  BOOST_TEST(outcome.retransmissions == server.cut_off());
  BOOST_TEST(world.is_linearizable());
}

BOOST_AUTO_TEST_CASE(without_ids_a_write_on_a_broken_connection_is_unknown) {
  const TestServer server{Dialect::line, Transport::tcp, {.close_every = 7}};
  World world;
  world.plan.target = server.target();
  world.plan.mix.with_ids = false;
  world.plan.mix.gets_percent = 0;
  const Outcome outcome = world.run();
  BOOST_TEST(outcome.unknown == server.cut_off());
  BOOST_TEST(outcome.ops + outcome.unknown == ops);
  BOOST_TEST(std::ranges::count(world.history, Status::unknown, &sim::Operation::result) ==
             static_cast<std::ptrdiff_t>(outcome.unknown));
  BOOST_TEST(world.is_linearizable());
}

BOOST_AUTO_TEST_CASE(an_unanswered_operation_is_asked_again_in_time) {
  for (const Transport transport : {Transport::tcp, Transport::udp}) {
    const TestServer server{Dialect::line, transport, {.silent_every = 50}};
    World world;
    world.plan.target = server.target();
    world.plan.attempt_patience = std::chrono::milliseconds{20};
    const Outcome outcome = world.run();
    BOOST_TEST(outcome.ops == ops, outcome.first_error);
    BOOST_TEST(server.ignored() > 0U);
    BOOST_TEST(outcome.retransmissions >= server.ignored());
  }
}

BOOST_AUTO_TEST_CASE(when_one_target_is_gone_its_clients_go_to_the_next) {
  Target target;
  {
    const TestServer gone{Dialect::line, Transport::tcp, {}};
    target = gone.target();
  }
  const TestServer server{Dialect::line, Transport::tcp, {}};
  World world;
  world.plan.target = target;
  world.plan.target.endpoints.push_back(server.target().endpoints.front());
  const Outcome outcome = world.run();
  BOOST_TEST(outcome.ops == ops, outcome.first_error);
  BOOST_TEST(server.served() == ops);
}

BOOST_AUTO_TEST_CASE(when_nobody_is_there_all_is_unavailable_and_the_run_ends) {
  World world;
  {
    const TestServer gone{Dialect::line, Transport::tcp, {}};
    world.plan.target = gone.target();
  }
  world.plan.requests_max = 8;
  world.plan.patience = std::chrono::milliseconds{30};
  const Outcome outcome = world.run();
  BOOST_TEST(outcome.unavailable == 8U);
  BOOST_TEST(outcome.ops == 0U);
  BOOST_TEST(world.history.size() == 8U);
}

BOOST_AUTO_TEST_CASE(readers_only_read_and_the_others_do_what_the_mix_says) {
  const TestServer server{Dialect::line, Transport::tcp, {}};
  World world;
  world.plan.target = server.target();
  world.plan.mix.gets_percent = 0;
  world.plan.readers = 1;
  BOOST_TEST(world.run().ops == ops);
  BOOST_TEST(server.gets() > 0U);
  for (const sim::Operation& operation : world.history) {
    BOOST_TEST((operation.verb == Verb::get) == (operation.client == 0));
  }
}

BOOST_AUTO_TEST_CASE(reading_back_asks_every_target_for_every_key) {
  const TestServer server{Dialect::line, Transport::tcp, {}};
  World world;
  world.plan.target = server.target();
  world.plan.read_back = true;
  const Outcome outcome = world.run();
  BOOST_TEST(outcome.ops == ops);
  BOOST_TEST(outcome.read_back == world.plan.mix.keys);
  BOOST_TEST(outcome.read_back_failed == 0U);
  BOOST_TEST(outcome.latency.count() == ops);
  BOOST_TEST(world.history.size() == ops + world.plan.mix.keys);
}

BOOST_AUTO_TEST_CASE(a_server_that_makes_up_answers_is_found_out) {
  const TestServer server{Dialect::line, Transport::tcp, {.wrong_every = 5}};
  World world;
  world.plan.target = server.target();
  const Outcome outcome = world.run();
  BOOST_TEST(outcome.errors == server.refused());
  BOOST_TEST(world.is_linearizable());  // a refusal is no lie
  world.history.push_back(world.history.front());
  world.history.back().verb = Verb::get;
  world.history.back().result = Status::ok;
  world.history.back().value = "never written";
  BOOST_TEST(!world.is_linearizable());
}

BOOST_AUTO_TEST_CASE(a_history_that_cannot_be_written_is_said_at_once) {
  const TestServer server{Dialect::line, Transport::tcp, {}};
  Plan plan;
  plan.target = server.target();
  plan.history = "/nowhere/at/all";
  std::string why;
  BOOST_TEST(Load::connect(plan, why) == nullptr);
  BOOST_TEST(why.find("/nowhere/at/all") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::load
