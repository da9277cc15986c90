// Load over RPC against a real server in this process.
#include "tools/load_rpc.h"

#include <boost/test/unit_test.hpp>

#include "common/host/clock.h"
#include "common/kv/sharded_store.h"
#include "phase1_sockets/store_service.h"
#include "phase2_rpc/kv_skeleton.h"
#include "phase2_rpc/rpc_server.h"
#include "phase2_rpc/server_methods.h"

namespace kv::load {
BOOST_AUTO_TEST_SUITE(tools_load_rpc)

namespace {

/// A store that lies, or refuses reads, when it is told to.
struct Service : kv::Service {
  void submit(const Command& command, Done done) override {
    Reply reply;
    store.apply(command, reply);
    if (command.verb == Verb::get && lies) {
      reply.value = "a lie";
    }
    if (command.verb == Verb::get && refuses) {
      reply = {.status = Status::aborted, .value = {}, .why = "told to"};
    }
    done(reply);
  }
  bool healthy() const override { return true; }

  ShardedStore store;
  bool lies = false;
  bool refuses = false;
};

struct World {
  World() {
    rpc::serve_service(dispatcher, service);
    rpc::serve_server_methods(dispatcher, [] { return true; });
    BOOST_REQUIRE_EQUAL(server.start(), "");
  }

  Plan plan() const {
    Plan plan;
    plan.target = {Dialect::line, Transport::rpc, {server.address()}};
    plan.mix.transport = Transport::rpc;
    plan.mix.keys = 50;
    plan.clients = 3;
    plan.depth = 4;
    plan.requests_max = 500;
    return plan;
  }

  /// What a whole run comes to.
  Outcome play() const {
    std::string why;
    const auto load = Load::connect(plan(), why);
    BOOST_REQUIRE_MESSAGE(load, why);
    load->fill();
    return load->run();
  }

  Service service;
  rpc::Dispatcher dispatcher{[] { return host::run_now(); },
                             [](const std::function<void()>&) { return false; }};
  rpc::RpcServer server{
      {.listen = {.host = "127.0.0.1", .port = 0}}, dispatcher, [](Level, std::string_view) {}};
};

}  // namespace

BOOST_AUTO_TEST_CASE(every_key_is_put_and_every_answer_is_right) {
  World world;
  std::string why;
  const auto load = Load::connect(world.plan(), why);
  BOOST_REQUIRE(load);
  BOOST_TEST(load->fill().ops == 50U);
  BOOST_TEST(world.service.store.size() == 50U);
  const Outcome outcome = load->run();
  BOOST_TEST(outcome.ops == 500U);
  BOOST_TEST(outcome.errors == 0U);
}

BOOST_AUTO_TEST_CASE(an_open_loop_starts_all_that_is_due) {
  World world;
  Plan plan = world.plan();
  plan.rate = 100'000;
  plan.mix.with_ids = true;
  std::string why;
  const auto load = Load::connect(plan, why);
  BOOST_REQUIRE(load);
  load->fill();
  BOOST_TEST(load->run().ops == 500U);
}

BOOST_AUTO_TEST_CASE(a_wrong_answer_is_an_error) {
  World world;
  world.service.lies = true;
  const Outcome outcome = world.play();
  BOOST_TEST(outcome.errors > 0U);
  BOOST_TEST(outcome.first_error.find("a lie") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_refusal_is_counted_as_what_it_says) {
  World world;
  world.service.refuses = true;
  const Outcome outcome = world.play();
  BOOST_TEST(outcome.errors > 0U);
  BOOST_TEST(outcome.aborted == outcome.errors);
}

BOOST_AUTO_TEST_CASE(a_server_that_is_not_there_is_said_so) {
  Plan plan;
  plan.target = {Dialect::line, Transport::rpc, {{.host = "127.0.0.1", .port = 1}}};
  plan.patience = std::chrono::milliseconds{50};
  std::string why;
  BOOST_TEST(!Load::connect(plan, why));
  BOOST_TEST(why.find("rpc://127.0.0.1:1") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::load
