// Phase 2's store over real sockets: what many clients at once, lost answers, floods and old peers
// may not do to it. Over threads that read and over a pool, alike.
#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <boost/test/unit_test.hpp>

#include "common/core/random.h"
#include "common/host/clock.h"
#include "common/kv/sharded_store.h"
#include "common/sim/linearizability.h"
#include "phase1_sockets/once_service.h"
#include "phase1_sockets/store_service.h"
#include "phase2_rpc/kv_methods.h"
#include "phase2_rpc/kv_skeleton.h"
#include "phase2_rpc/rpc_client.h"
#include "phase2_rpc/rpc_server.h"
#include "phase2_rpc/server_methods.h"
#include "phase2_rpc/work_pool.h"
#include "tests/phase2_rpc/relay.h"

namespace kv::rpc {
BOOST_AUTO_TEST_SUITE(phase2_rpc_store)

namespace {

using namespace std::chrono_literals;
using boost::asio::ip::tcp;

void ignore(Level, std::string_view) {}

/// As phase2_server wires it, and it counts what reaches the store.
struct World {
  explicit World(Where where = Where::reading_thread)
      : dispatcher([] { return host::run_now(); },
                   [this](WorkPool::Work work) { return pool.offer(std::move(work)); }),
        pool(2, 100'000),
        server({.listen = {.host = "127.0.0.1", .port = 0}, .threads = 2}, dispatcher, ignore) {
    serve_service(dispatcher, once, where);
    serve_server_methods(dispatcher, [] { return true; });
    BOOST_REQUIRE_EQUAL(server.start(), "");
  }

  RpcClient::Options to_server() const {
    return {.servers = {server.address()}, .drive = RpcClient::Drive::caller};
  }

  struct Counting : Service {
    explicit Counting(ShardedStore& its_store) : store(its_store) {}
    void submit(const Command& command, Done done) override {
      Reply reply;
      store.apply(command, reply);
      ++executed;
      done(reply);
    }
    bool healthy() const override { return true; }

    ShardedStore& store;
    std::atomic<int> executed{0};
  };

  ShardedStore store;
  Counting counting{store};
  sockets::OnceService once{counting};
  Dispatcher dispatcher;
  WorkPool pool;
  RpcServer server;
};

template <typename Ask>
Reply ask(RpcClient& client, const Method<Ask, Reply>& method, const Ask& request,
          const Metadata& metadata = {}) {
  const auto answered = client.call_and_wait(method, request, metadata, 30s);
  BOOST_REQUIRE_MESSAGE(answered.answer, answered.result.why);
  return *answered.answer;
}

/// Calls `method` with an origin; the answer to the first attempt is lost, and `meanwhile` runs
/// before the second.
template <typename Ask>
Reply ask_twice(
    World& world, const Method<Ask, Reply>& method, const Ask& request,
    const std::function<void()>& meanwhile = [] {}) {
  Relay relay{world.server.address()};
  RpcClient client{{.servers = {relay.address(), world.server.address()}}, ignore};
  const Metadata metadata{.op = "c.1", .origin = {.client = "c", .sequence = 1}, .entries = {}};
  const int before = world.counting.executed;
  auto call = client.call_soon(RpcClient::request_of(method, request, metadata), 30s);
  relay.carry_until([&] {
    if (world.counting.executed == before) {
      return false;
    }
    meanwhile();
    return true;
  });
  const auto answered = RpcClient::read<Reply>(call.get());
  BOOST_REQUIRE_MESSAGE(answered.answer, answered.result.why);
  BOOST_TEST(client.counts().retried == 1U);
  return *answered.answer;
}

/// Sixteen clients count one number up together.
void check_that_each_value_is_replaced_once(Where where) {
  constexpr int threads = 16;
  constexpr int rounds = 40;
  World world{where};
  {
    RpcClient client{world.to_server(), ignore};
    ask(client, kv_put, Put{"counter", "0"});
  }
  std::atomic<int> swapped{0};
  std::vector<std::thread> clients;
  for (int i = 0; i < threads; ++i) {
    clients.emplace_back([&] {
      RpcClient client{world.to_server(), ignore};
      for (int round = 0; round < rounds; ++round) {
        const auto seen = client.call_and_wait(kv_get, Get{"counter"}, {}, 30s);
        if (!seen.answer) {
          continue;
        }
        const std::string next = std::to_string(std::stoi(seen.answer->value) + 1);
        const auto told = client.call_and_wait(
            kv_cas, CompareAndSet{"counter", seen.answer->value, next}, {}, 30s);
        swapped += told.answer && told.answer->status == Status::ok ? 1 : 0;
      }
    });
  }
  for (std::thread& client : clients) {
    client.join();
  }
  RpcClient client{world.to_server(), ignore};
  BOOST_TEST(ask(client, kv_get, Get{"counter"}).value == std::to_string(swapped.load()));
  BOOST_TEST(swapped >= rounds);  // while a client is alone with a value, it swaps it
}

sim::HistoryTime history_now() {
  return sim::HistoryTime{std::chrono::steady_clock::now().time_since_epoch()};
}

/// What one client did, with unique values.
std::vector<sim::Operation> play(World& world, std::uint64_t number, int operations) {
  RpcClient client{world.to_server(), ignore};
  Random random{number};
  std::vector<sim::Operation> history;
  std::string seen = "none";
  for (int i = 0; i < operations; ++i) {
    sim::Operation operation;
    operation.client = number;
    operation.key = "key" + std::to_string(random.below(3));
    const std::string fresh = std::to_string(number) + "." + std::to_string(i);
    Command command{.key = operation.key};
    command.verb = std::array{Verb::get, Verb::get, Verb::put, Verb::erase,
                              Verb::compare_and_set}[random.below(5)];
    if (command.verb == Verb::put || command.verb == Verb::compare_and_set) {
      command.value = fresh;
    }
    if (command.verb == Verb::compare_and_set) {
      command.expected = seen;
    }
    operation.verb = command.verb;
    operation.value = command.value;
    operation.expected = command.expected;
    operation.call = history_now();
    Reply reply;
    reply.status = Status::unknown;
    const auto take = [&](const Answered<Reply>& answered) {
      reply = answered.answer.value_or(reply);
    };
    switch (command.verb) {
      case Verb::put:
        take(client.call_and_wait(kv_put, Put{command.key, command.value}, {}, 30s));
        break;
      case Verb::erase:
        take(client.call_and_wait(kv_delete, Erase{command.key}, {}, 30s));
        break;
      case Verb::compare_and_set:
        take(client.call_and_wait(
            kv_cas, CompareAndSet{command.key, command.expected, command.value}, {}, 30s));
        break;
      default:
        take(client.call_and_wait(kv_get, Get{command.key}, {}, 30s));
        break;
    }
    operation.returned = history_now();
    operation.result = reply.status;
    if (command.verb == Verb::get && reply.status == Status::ok) {
      operation.value = reply.value;
      seen = reply.value;
    }
    history.push_back(std::move(operation));
  }
  return history;
}

void check_that_sixteen_clients_see_one_store(Where where) {
  World world{where};
  std::mutex mutex;
  std::vector<sim::Operation> history;
  std::vector<std::thread> clients;
  for (std::uint64_t number = 1; number <= 16; ++number) {
    clients.emplace_back([&, number] {
      std::vector<sim::Operation> mine = play(world, number, 60);
      const std::lock_guard lock{mutex};
      history.insert(history.end(), mine.begin(), mine.end());
    });
  }
  for (std::thread& client : clients) {
    client.join();
  }
  const sim::CheckResult result = sim::check_history(history);
  BOOST_TEST((result.verdict == sim::Verdict::linearizable), sim::describe(result.piece));
  BOOST_TEST(result.operations >= 16U * 50);
  // The checker is awake: the same history with one read of what nobody wrote is refused.
  for (sim::Operation& operation : history) {
    if (operation.verb == Verb::get && operation.result == Status::ok) {
      operation.value = "never written";
      break;
    }
  }
  BOOST_TEST((sim::check_history(history).verdict == sim::Verdict::not_linearizable));
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_put_whose_answer_was_lost_does_not_overwrite_what_came_after_it) {
  World world;
  const Reply reply = ask_twice(world, kv_put, Put{"k", "first"}, [&] {
    RpcClient other{world.to_server(), ignore};
    ask(other, kv_put, Put{"k", "second"});
  });
  BOOST_TEST((reply.status == Status::ok));
  RpcClient client{world.to_server(), ignore};
  BOOST_TEST(ask(client, kv_get, Get{"k"}).value == "second");
  BOOST_TEST(world.counting.executed == 3);
}

BOOST_AUTO_TEST_CASE(a_delete_whose_answer_was_lost_is_told_that_it_deleted) {
  World world;
  RpcClient client{world.to_server(), ignore};
  ask(client, kv_put, Put{"k", "v"});
  const Reply reply = ask_twice(world, kv_delete, Erase{"k"}, [&] {
    RpcClient other{world.to_server(), ignore};
    ask(other, kv_put, Put{"k", "again"});
  });
  BOOST_TEST((reply.status == Status::ok));
  BOOST_TEST(ask(client, kv_get, Get{"k"}).value == "again");
}

BOOST_AUTO_TEST_CASE(a_cas_whose_answer_was_lost_is_told_that_it_swapped) {
  World world;
  RpcClient client{world.to_server(), ignore};
  ask(client, kv_put, Put{"k", "a"});
  const Reply reply = ask_twice(world, kv_cas, CompareAndSet{"k", "a", "b"});
  BOOST_TEST((reply.status == Status::ok));
  BOOST_TEST(ask(client, kv_get, Get{"k"}).value == "b");
  BOOST_TEST(world.counting.executed == 3);
}

BOOST_AUTO_TEST_CASE(concurrent_swaps_on_the_reading_threads_replace_each_value_once) {
  check_that_each_value_is_replaced_once(Where::reading_thread);
}

BOOST_AUTO_TEST_CASE(concurrent_swaps_in_the_pool_replace_each_value_once) {
  check_that_each_value_is_replaced_once(Where::pool);
}

BOOST_AUTO_TEST_CASE(what_sixteen_clients_see_of_the_reading_threads_is_linearizable) {
  check_that_sixteen_clients_see_one_store(Where::reading_thread);
}

BOOST_AUTO_TEST_CASE(what_sixteen_clients_see_of_the_pool_is_linearizable) {
  check_that_sixteen_clients_see_one_store(Where::pool);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::rpc
