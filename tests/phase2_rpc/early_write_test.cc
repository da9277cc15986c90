// Client and server work at once: each sends what it has done before it has done all.
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>

#include <boost/test/unit_test.hpp>

#include "common/host/clock.h"
#include "phase2_rpc/dispatcher.h"
#include "phase2_rpc/loop_turns.h"
#include "phase2_rpc/rpc_client.h"
#include "phase2_rpc/rpc_server.h"

namespace kv::rpc {
BOOST_AUTO_TEST_SUITE(phase2_early_write)

namespace {

using namespace std::chrono_literals;

struct Number {
  int number = 0;

  static void fields(auto& self, auto& visit) { visit("number", self.number); }
};

constexpr Method<Number, Number> echo{.id = 20, .name = "test.echo", .safety = Safety::idempotent};

constexpr int calls = 4 * static_cast<int>(early_write_calls);
constexpr auto patience = 30s;
// A loop that did not wait awake writes nothing early, and on a busy machine it may not have
// waited, however long it looks: so one time of many must do.
constexpr Duration awake = 10s;
constexpr int times = 20;
constexpr auto patience_each_time = 100ms;

void ignore(Level, std::string_view) {}

/// Something that happens once, for others to wait for.
class Event {
 public:
  void happens() {
    const std::lock_guard lock{mutex_};
    happened_ = true;
    changed_.notify_all();
  }
  bool comes_within(Duration longest) {
    std::unique_lock lock{mutex_};
    return changed_.wait_for(lock, longest, [this] { return happened_; });
  }

 private:
  std::mutex mutex_;  // guards happened_
  std::condition_variable changed_;
  bool happened_ = false;
};

/// An echo of numbers whose `serve` may do more, on the server's thread.
struct World {
  World(Duration client_spin, std::function<void(int)> its_serve)
      : serve(std::move(its_serve)),
        dispatcher([] { return host::run_now(); },
                   [](const std::function<void()>&) { return false; }),
        server({.listen = {.host = "127.0.0.1", .port = 0}, .spin = awake}, dispatcher, ignore) {
    dispatcher.serve(echo, {}, [this](const CallContext&, const Number& ask) {
      serve(ask.number);
      return ask;
    });
    BOOST_REQUIRE_EQUAL(server.start(), "");
    client.emplace(RpcClient::Options{.servers = {server.address()}, .spin = client_spin}, ignore);
  }

  /// Calls with 0, 1, … from one callback; `before` and `answered` run there too.
  void call_many(const std::function<void(int)>& before, const std::function<void()>& answered) {
    Event last;
    client->call(echo, Number{-1}, {}, patience, [&](const Answered<Number>&) {
      for (int i = 0; i < calls; ++i) {
        before(i);
        client->call(echo, Number{i}, {}, patience, [&, i](const Answered<Number>&) {
          answered();
          if (i == calls - 1) {
            last.happens();
          }
        });
      }
    });
    BOOST_REQUIRE(last.comes_within(patience));
  }

  std::function<void(int)> serve;
  Dispatcher dispatcher;
  RpcServer server;
  std::optional<RpcClient> client;
};

bool at_last(const std::function<bool()>& once) {
  for (int i = 0; i < times; ++i) {
    if (once()) {
      return true;
    }
  }
  return false;
}

}  // namespace

BOOST_AUTO_TEST_CASE(the_first_answers_leave_while_the_last_calls_of_one_read_are_still_served) {
  BOOST_TEST(at_last([] {
    Event answered;
    bool in_time = false;
    World world{0us, [&](int number) {  // a client that does not spin sends all of them at once
                  if (number == calls - 1) {
                    in_time = answered.comes_within(patience_each_time);
                  }
                }};
    world.call_many([](int) {}, [&] { answered.happens(); });
    return in_time;
  }));
}

BOOST_AUTO_TEST_CASE(the_first_calls_of_a_callback_leave_while_it_still_makes_more) {
  BOOST_TEST(at_last([] {
    Event served;
    bool in_time = false;
    World world{awake, [&](int number) {
                  if (number == 0) {
                    served.happens();
                  }
                }};
    world.call_many(
        [&](int number) {
          if (number == calls - 1) {
            in_time = served.comes_within(patience_each_time);
          }
        },
        [] {});
    return in_time;
  }));
}

BOOST_AUTO_TEST_SUITE_END()
}  // namespace kv::rpc
