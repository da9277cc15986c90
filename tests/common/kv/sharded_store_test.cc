#include "common/kv/sharded_store.h"

#include <string>
#include <thread>
#include <vector>

#include <boost/test/unit_test.hpp>

#include "common/core/random.h"

namespace kv {
namespace {

constexpr int threads_at_once = 4;

Reply applied(ShardedStore& store, const Command& command) {
  Reply reply{.status = Status::unknown, .value = "old", .why = "old"};
  store.apply(command, reply);
  return reply;
}

std::string value_of(ShardedStore& store, const std::string& key) {
  return applied(store, {.verb = Verb::get, .key = key}).value;
}

void put(ShardedStore& store, const std::string& key, const std::string& value) {
  Command command;
  command.key = key;
  command.value = value;
  command.verb = Verb::put;
  BOOST_REQUIRE((applied(store, command) == Reply{}));
}

/// Runs `step(thread number)` on several threads and waits for all. Boost.Test is not for threads:
/// a step counts, and the test compares.
template <typename Step>
void on_threads(Step step) {
  std::vector<std::thread> threads;
  threads.reserve(threads_at_once);
  for (int number = 0; number < threads_at_once; ++number) {
    threads.emplace_back(step, number);
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
}

std::string account(std::uint64_t number) {
  return "account" + std::to_string(number);
}

/// Moves 1 from one account to another if both hold what was read; the read may be stale.
bool move_one(ShardedStore& store, const std::string& from, const std::string& to) {
  const std::string from_value = value_of(store, from);
  const std::string to_value = value_of(store, to);
  const Command batch{
      .verb = Verb::batch,
      .guards = {{.key = from, .value = from_value}, {.key = to, .value = to_value}},
      .writes = {{.key = from, .value = std::to_string(std::stoi(from_value) - 1)},
                 {.key = to, .value = std::to_string(std::stoi(to_value) + 1)}}};
  return applied(store, batch).status == Status::ok;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(kv_sharded_store)

BOOST_AUTO_TEST_CASE(it_answers_as_a_store_does) {
  for (const std::size_t shards : {1U, 3U, 64U, 256U}) {
    ShardedStore store{shards};
    Store plain;
    Random random{shards};
    for (int i = 0; i < 20'000; ++i) {
      Command command;
      command.verb = static_cast<Verb>(random.below(6));
      command.key = std::to_string(random.below(100));
      command.value = std::to_string(random.below(3));
      command.expected = std::to_string(random.below(3));
      command.guards = {{.key = command.key, .value = command.value}};
      command.writes = {{.key = std::to_string(random.below(110)), .value = "1"},
                        {.key = command.key, .erase = true}};
      Reply expected;
      plain.apply(command, expected);
      BOOST_REQUIRE((applied(store, command) == expected));
      BOOST_REQUIRE(store.size() == plain.size());
    }
  }
}

BOOST_AUTO_TEST_CASE(what_is_too_long_is_refused) {
  ShardedStore store;
  BOOST_TEST((applied(store, {.verb = Verb::get, .key = ""}).status == Status::bad_request));
  const Command batch{.verb = Verb::batch, .writes = {{.key = "a"}, {.key = ""}}};
  const Reply reply = applied(store, batch);
  BOOST_TEST((reply.status == Status::bad_request));
  BOOST_TEST(!reply.why.empty());
  BOOST_TEST(store.size() == 0U);
}

BOOST_AUTO_TEST_CASE(compare_and_set_from_several_threads_loses_no_increment) {
  ShardedStore store;
  put(store, "counter", "0");
  std::vector<int> done(threads_at_once);
  on_threads([&](int number) {
    for (int tries = 0; tries < 5'000; ++tries) {
      const std::string now = value_of(store, "counter");
      const Command add{.verb = Verb::compare_and_set,
                        .key = "counter",
                        .value = std::to_string(std::stoi(now) + 1),
                        .expected = now};
      done[static_cast<std::size_t>(number)] += applied(store, add).status == Status::ok ? 1 : 0;
    }
  });
  BOOST_TEST(std::stoi(value_of(store, "counter")) == done[0] + done[1] + done[2] + done[3]);
}

BOOST_AUTO_TEST_CASE(batches_from_several_threads_keep_the_total) {
  ShardedStore store;
  constexpr std::uint64_t accounts = 40;
  for (std::uint64_t i = 0; i < accounts; ++i) {
    put(store, account(i), "100");
  }
  std::vector<int> torn(threads_at_once);
  on_threads([&](int number) {
    Random random{static_cast<std::uint64_t>(number)};
    for (int tries = 0; tries < 5'000; ++tries) {
      const std::uint64_t from = random.below(accounts);
      move_one(store, account(from), account((from + 1 + random.below(accounts - 1)) % accounts));
    }
  });
  int total = 0;
  for (std::uint64_t i = 0; i < accounts; ++i) {
    total += std::stoi(value_of(store, account(i)));
  }
  BOOST_TEST(total == 100 * static_cast<int>(accounts));
}

BOOST_AUTO_TEST_CASE(a_batch_is_seen_whole_by_other_threads) {
  ShardedStore store;
  put(store, "left", "0");
  put(store, "right", "0");
  std::vector<int> torn(threads_at_once);
  on_threads([&](int number) {
    for (int i = 0; i < 5'000; ++i) {
      const std::string value = std::to_string(number * 10'000 + i);
      const Command write_both{
          .verb = Verb::batch,
          .writes = {{.key = "left", .value = value}, {.key = "right", .value = value}}};
      torn[static_cast<std::size_t>(number)] +=
          applied(store, write_both).status == Status::ok ? 0 : 1;
      // Both are equal at any instant: a batch that finds `left` to be x finds `right` to be x.
      const std::string seen = value_of(store, "left");
      const Command equal{.verb = Verb::batch, .guards = {{.key = "left", .value = seen}}};
      Command differ = equal;
      differ.guards.push_back({.key = "right", .value = seen});
      const bool left_held = applied(store, equal).status == Status::ok;
      const bool both_held = applied(store, differ).status == Status::ok;
      const bool left_holds = applied(store, equal).status == Status::ok;
      // Values never return, so between two times that left held x, right held it too.
      torn[static_cast<std::size_t>(number)] += left_held && left_holds && !both_held ? 1 : 0;
    }
  });
  BOOST_TEST(torn[0] + torn[1] + torn[2] + torn[3] == 0);
}

BOOST_AUTO_TEST_CASE(each_thread_finds_its_own_items_while_others_fill_and_empty_theirs) {
  ShardedStore store{4};
  std::vector<int> wrong(threads_at_once);
  on_threads([&](int number) {
    const auto key = [number](int i) { return std::to_string(number) + ":" + std::to_string(i); };
    Reply reply;
    for (int round = 0; round < 2; ++round) {
      for (int i = 0; i < 3'000; ++i) {
        store.apply({.verb = Verb::put, .key = key(i), .value = key(-i)}, reply);
      }
      for (int i = 0; i < 3'000; ++i) {
        wrong[static_cast<std::size_t>(number)] += value_of(store, key(i)) == key(-i) ? 0 : 1;
        store.apply({.verb = Verb::erase, .key = key(i)}, reply);
        wrong[static_cast<std::size_t>(number)] += reply.status == Status::ok ? 0 : 1;
      }
    }
  });
  BOOST_TEST(wrong[0] + wrong[1] + wrong[2] + wrong[3] == 0);
  BOOST_TEST(store.size() == 0U);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv
