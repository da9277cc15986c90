// How a server takes its leave of its clients.
#include <thread>

#include <boost/test/unit_test.hpp>

#include "common/host/clock.h"
#include "phase2_rpc/dispatcher.h"
#include "phase2_rpc/rpc_client.h"
#include "phase2_rpc/rpc_server.h"
#include "phase2_rpc/server_methods.h"
#include "tests/phase2_rpc/raw_client.h"

namespace kv::rpc {
BOOST_AUTO_TEST_SUITE(phase2_server_stop)

namespace {

using namespace std::chrono_literals;

constexpr Duration patience = 60s;

struct World {
  World()
      : server({.listen = {.host = "127.0.0.1", .port = 0}}, dispatcher,
               [](Level, std::string_view) {}) {
    serve_server_methods(dispatcher, [] { return true; });
    BOOST_REQUIRE_EQUAL(server.start(), "");
  }

  Dispatcher dispatcher{[] { return host::run_now(); },
                        [](const std::function<void()>&) { return false; }};
  RpcServer server;
};

}  // namespace

BOOST_AUTO_TEST_CASE(calls_that_were_on_their_way_when_the_server_stopped_are_refused_each) {
  World world;
  RawClient client{world.server};
  client.ask(server_health.id);
  client.hear(FrameType::answer, 1);
  std::thread stopping{[&] { world.server.stop(patience); }};
  client.hear(FrameType::go_away, 1);
  client.ask(server_health.id, 64);
  client.hear(FrameType::answer, 64);
  client.socket.close();
  stopping.join();
  BOOST_TEST(client.heard[Code::unavailable] == 64U);
  BOOST_TEST(client.not_executed == 64U);
}

BOOST_AUTO_TEST_CASE(a_client_that_never_hangs_up_does_not_hold_a_server_that_stops) {
  World world;
  RawClient client{world.server};
  client.ask(server_health.id);
  client.hear(FrameType::answer, 1);
  const Instant begin = host::run_now();
  world.server.stop(patience);
  BOOST_TEST((host::run_now() - begin < patience / 2));
  client.hear(FrameType::go_away, 1);
  BOOST_TEST(client.hears_the_end());
}

BOOST_AUTO_TEST_CASE(a_client_at_rest_lets_its_server_stop_at_once) {
  World world;
  RpcClient client{{.servers = {world.server.address()}}, [](Level, std::string_view) {}};
  BOOST_TEST(client.call_and_wait(server_health, Nothing{}).answer.has_value());
  const Instant begin = host::run_now();
  world.server.stop(patience);
  BOOST_TEST_MESSAGE("stopped after " << (host::run_now() - begin).count() << " us");
  BOOST_TEST(world.server.counts().connections == 0U);
}

BOOST_AUTO_TEST_SUITE_END()
}  // namespace kv::rpc
