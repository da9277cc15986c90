// What one client can make a server hold, over real sockets: no more than its limits say.
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include <boost/test/unit_test.hpp>

#include "common/host/clock.h"
#include "phase2_rpc/dispatcher.h"
#include "phase2_rpc/rpc_server.h"
#include "phase2_rpc/work_pool.h"
#include "tests/phase2_rpc/raw_client.h"

namespace kv::rpc {
BOOST_AUTO_TEST_SUITE(phase2_server_limits)

namespace {

using namespace std::chrono_literals;

constexpr std::uint16_t big = 20;  // the methods: an answer of a megabyte …
constexpr std::uint16_t small = 21;
constexpr std::uint16_t pooled_big = 22;
constexpr std::uint16_t pooled_small = 23;
constexpr std::size_t megabyte = 1'000'000;
constexpr std::size_t calls = 300;
/// As many megabytes a kernel holds between two sockets of this machine, at most, and some more.
constexpr std::size_t calls_served_max = 40;

/// Big answers and small ones, on the reading thread and in a pool that waits for open().
struct World {
  explicit World(const KeepAlive::Options& keep_alive = {})
      : dispatcher([] { return host::run_now(); },
                   [this](WorkPool::Work work) { return pool.offer(std::move(work)); }),
        server({.listen = {.host = "127.0.0.1", .port = 0},
                .output_bytes_max = 256 * 1024,
                .core = {.keep_alive = keep_alive}},
               dispatcher, [](Level, std::string_view) {}) {
    add(big, "test.big", Where::reading_thread, megabyte);
    add(small, "test.small", Where::reading_thread, 1);
    add(pooled_big, "test.pooled_big", Where::pool, megabyte);
    add(pooled_small, "test.pooled_small", Where::pool, 1);
    BOOST_REQUIRE_EQUAL(server.start(), "");
  }

  void add(std::uint16_t id, std::string_view name, Where where, std::size_t bytes) {
    dispatcher.add(id, name, Safety::idempotent, {.where = where},
                   Dispatcher::Handler{[this, where, bytes](const CallContext&, ByteView) {
                     if (where == Where::pool) {
                       std::unique_lock lock{mutex};
                       opened.wait(lock, [this] { return is_open; });
                     }
                     served += bytes == megabyte ? 1 : 0;
                     return CallResult{.body = Bytes(bytes, 'x')};
                   }});
  }
  void open() {
    const std::lock_guard lock{mutex};
    is_open = true;
    opened.notify_all();
  }

  std::mutex mutex;  // guards is_open
  std::condition_variable opened;
  bool is_open = false;
  std::atomic<std::size_t> served{0};  // the big ones
  Dispatcher dispatcher;
  WorkPool pool{2, 1'000};
  RpcServer server;
};

}  // namespace

BOOST_AUTO_TEST_CASE(calls_that_came_together_are_served_as_fast_as_their_answers_are_taken) {
  World world;
  RawClient glutton{world.server};
  glutton.ask(small, 2'000);  // so that the server reads much at once
  glutton.hear_answers(2'000);
  glutton.ask(big, calls);
  while (world.served == 0) {
    std::this_thread::yield();
  }
  RawClient other{world.server};
  other.ask(small);
  other.hear_answers(1);
  BOOST_TEST(world.served < calls_served_max);
  glutton.hear_answers(calls);
  BOOST_TEST(world.served == calls);
  BOOST_TEST(glutton.not_executed == 0U);
}

BOOST_AUTO_TEST_CASE(calls_in_the_pool_run_as_fast_as_their_answers_are_taken) {
  World world;
  RawClient glutton{world.server};
  glutton.ask(pooled_big, calls);
  while (world.dispatcher.in_flight() < static_cast<std::int64_t>(calls)) {
    std::this_thread::yield();
  }
  world.open();
  RawClient other{world.server};
  other.ask(pooled_small);  // behind all of them
  other.hear_answers(1);
  BOOST_TEST(world.served < calls_served_max);
  glutton.hear_answers(calls);
  BOOST_TEST(world.served == calls);
  BOOST_TEST(glutton.not_executed == 0U);
  BOOST_TEST(world.dispatcher.in_flight() == 0);
}

BOOST_AUTO_TEST_CASE(calls_that_wait_for_a_client_that_goes_are_forgotten_with_it) {
  World world;
  {
    RawClient glutton{world.server};
    glutton.ask(pooled_big, calls);
    while (world.dispatcher.in_flight() < static_cast<std::int64_t>(calls)) {
      std::this_thread::yield();
    }
    world.open();
    RawClient other{world.server};
    other.ask(pooled_small);
    other.hear_answers(1);
  }
  while (world.dispatcher.in_flight() > 0) {
    std::this_thread::yield();
  }
  BOOST_TEST(world.server.counts().dropped <= 1U);
}

BOOST_AUTO_TEST_CASE(a_call_that_is_cancelled_before_its_turn_is_not_run) {
  World world;
  RawClient client{world.server};
  client.ask(pooled_small, 40);  // each thread of the pool is in one of them, and has more to do
  client.ask(pooled_big, 3);
  for (CallId id = client.last_id - 2; id <= client.last_id; ++id) {
    append_frame(client.unsent, {.type = FrameType::cancel, .id = id}, {}, {});
  }
  client.ask(small);
  client.hear_answers(1);  // so the server has seen what came before it
  world.open();
  client.hear_answers(40 + 3);
  BOOST_TEST(client.heard[Code::cancelled] == 3U);
  BOOST_TEST(client.not_executed == 3U);
  BOOST_TEST(world.served == 0U);
}

BOOST_AUTO_TEST_CASE(a_slow_client_lives_as_long_as_it_takes_its_answers) {
  World world{{.silence_max = 1ms, .ping_patience = 1s}};
  RawClient slow{world.server};
  slow.ask(big, calls);
  RawClient clock{world.server};  // is pinged at each tick, ten a second
  clock.ask(small);
  for (int ticks = 0; ticks < 14; ++ticks) {
    clock.hear(FrameType::ping, 1);
    slow.take(1'000);
  }
  BOOST_TEST(world.served < calls);  // it had not taken all, and is not dropped
  BOOST_TEST(world.server.counts().dropped == 0U);
}

BOOST_AUTO_TEST_SUITE_END()
}  // namespace kv::rpc
