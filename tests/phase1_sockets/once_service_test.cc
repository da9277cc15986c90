#include "phase1_sockets/once_service.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <deque>
#include <latch>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <boost/test/unit_test.hpp>

#include "phase1_sockets/store_service.h"

namespace kv::sockets {
BOOST_AUTO_TEST_SUITE(phase1_once_service)

namespace {

/// Answers when it is told to, and counts what it executed.
class PatientService final : public Service {
 public:
  void submit(const Command& command, Done done) override {
    commands.push_back(command);
    waiting.push_back(std::move(done));
  }
  bool healthy() const override { return is_healthy; }

  void answer(const Reply& reply) {
    const Done done = std::move(waiting.front());
    waiting.pop_front();
    done(reply);
  }

  std::vector<Command> commands;
  std::deque<Done> waiting;
  bool is_healthy = true;
};

/// What a client was told, if it was told already.
using Told = std::shared_ptr<std::optional<Reply>>;

Told submit(Service& service, const Command& command) {
  Told told = std::make_shared<std::optional<Reply>>();
  service.submit(command, [told](const Reply& reply) {
    BOOST_TEST(!told->has_value());
    *told = reply;
  });
  return told;
}

bool was_told(const Told& told, const Reply& reply) {
  return told->has_value() && **told == reply;
}

bool was_told(const Told& told, Status status) {
  return told->has_value() && (*told)->status == status;
}

Command put(const std::string& client, std::uint64_t sequence, const std::string& value = "v") {
  return {.verb = Verb::put,
          .origin = {.client = client, .sequence = sequence},
          .key = "k",
          .value = value};
}

struct World {
  explicit World(OnceService::Options options = {}) : once(inner, options) {}

  PatientService inner;
  OnceService once;

  std::size_t executed() const { return inner.commands.size(); }
  Told done(const Command& command, const Reply& reply = {}) {
    const std::size_t before = executed();
    Told told = submit(once, command);
    BOOST_REQUIRE(executed() == before + 1);
    inner.answer(reply);
    return told;
  }
};

}  // namespace

BOOST_AUTO_TEST_CASE(a_repeated_id_gets_the_same_answer_without_being_executed_again) {
  World world;
  const Command get{.verb = Verb::get, .origin = {.client = "c", .sequence = 1}, .key = "k"};
  const Reply reply{.value = "first"};
  BOOST_TEST(was_told(world.done(get, reply), reply));
  BOOST_TEST(was_told(submit(world.once, get), reply));
  BOOST_TEST(was_told(submit(world.once, get), reply));
  BOOST_TEST(world.executed() == 1);
}

BOOST_AUTO_TEST_CASE(a_command_without_an_id_is_executed_each_time_and_leaves_nothing) {
  World world;
  const Command command{.verb = Verb::put, .key = "k", .value = "v"};
  BOOST_TEST(was_told(world.done(command), Reply{}));
  BOOST_TEST(was_told(world.done(command, {.status = Status::unknown}), Status::unknown));
  BOOST_TEST(world.once.entries() == 0);
}

BOOST_AUTO_TEST_CASE(only_a_command_without_an_id_is_done_at_once) {
  Store store;
  StoreService service{store};
  OnceService once{service};
  ReplyView reply;
  BOOST_TEST(once.try_now({.verb = Verb::put, .key = "k", .value = "v"}, reply));
  BOOST_TEST(once.try_now({.verb = Verb::get, .key = "k"}, reply));
  BOOST_TEST((reply.status == Status::ok));
  BOOST_TEST(reply.value == "v");
  BOOST_TEST(!once.try_now(put("c", 1, "other"), reply));
  BOOST_TEST(store.get("k").value() == "v");

  BOOST_TEST(once.near_store() == &store);

  PatientService patient;  // leaves it to its inner service
  BOOST_TEST(OnceService{patient}.near_store() == nullptr);
  BOOST_TEST(!OnceService{patient}.try_now({.verb = Verb::get, .key = "k"}, reply));
  BOOST_TEST(patient.commands.empty());
}

BOOST_AUTO_TEST_CASE(what_distinguishes_two_ids_is_all_of_them) {
  World world;
  world.done(put("c", 1));
  world.done(put("c", 2));
  world.done(put("d", 1));
  world.done(put("c.x", 0));
  BOOST_TEST(world.executed() == 4);
}

BOOST_AUTO_TEST_CASE(what_a_client_says_of_its_other_operations_makes_no_other_request) {
  World world;
  Command command = put("c", 5);
  world.done(command);
  command.origin.first_outstanding = 4;
  BOOST_TEST(was_told(submit(world.once, command), Status::ok));
}

BOOST_AUTO_TEST_CASE(a_repetition_waits_while_the_first_is_under_way) {
  World world;
  const Told first = submit(world.once, put("c", 1));
  const Told second = submit(world.once, put("c", 1));
  BOOST_TEST(!second->has_value());
  world.inner.answer({.status = Status::not_found});
  BOOST_TEST(was_told(first, Status::not_found));
  BOOST_TEST(was_told(second, Status::not_found));
  BOOST_TEST(world.executed() == 1);
}

BOOST_AUTO_TEST_CASE(too_many_repetitions_at_once_are_not_told_that_nothing_was_done) {
  World world{{.waiting_max = 2}};
  std::vector<Told> told(4);
  for (Told& one : told) {
    one = submit(world.once, put("c", 1));
  }
  BOOST_TEST(was_told(told[3], Status::unknown));
  BOOST_TEST(!told[2]->has_value());
  world.inner.answer({});
  BOOST_TEST(was_told(told[2], Status::ok));
}

BOOST_AUTO_TEST_CASE(an_id_used_for_another_request_is_refused) {
  World world;
  const Command first{.verb = Verb::compare_and_set,
                      .origin = {.client = "c", .sequence = 1},
                      .key = "k",
                      .value = "new",
                      .expected = "old"};
  submit(world.once, first);
  for (int answered = 0; answered < 2; ++answered) {
    std::vector<Command> others(6, first);
    others[0].verb = Verb::put;
    others[1].key = "kn";
    others[2].value = "ew";
    others[3].expected = "newold";
    others[4].guards = {{.key = "g"}};
    others[5].writes = {{.key = "g"}};
    for (const Command& other : others) {
      const Told told = submit(world.once, other);
      BOOST_TEST(was_told(
          told, {.status = Status::bad_request, .why = "this ID was used for another request"}));
    }
    if (answered == 0) {
      world.inner.answer({.status = Status::conflict});
    }
  }
  BOOST_TEST(was_told(submit(world.once, first), Status::conflict));
  BOOST_TEST(world.executed() == 1);
}

BOOST_AUTO_TEST_CASE(what_was_certainly_not_done_may_be_tried_again) {
  World world;
  for (const Status status : {Status::aborted, Status::unavailable}) {
    BOOST_TEST(was_told(world.done(put("c", 1), {.status = status}), status));
    BOOST_TEST(world.once.entries() == 0);
  }
  BOOST_TEST(was_told(world.done(put("c", 1)), Status::ok));
  BOOST_TEST(was_told(submit(world.once, put("c", 1)), Status::ok));
  BOOST_TEST(world.executed() == 3);
}

BOOST_AUTO_TEST_CASE(who_waited_for_what_was_not_done_is_told_so) {
  World world;
  submit(world.once, put("c", 1));
  const Told second = submit(world.once, put("c", 1));
  world.inner.answer({.status = Status::aborted, .why = "w"});
  BOOST_TEST(was_told(second, {.status = Status::aborted, .why = "w"}));
}

BOOST_AUTO_TEST_CASE(what_may_have_been_done_is_not_done_again) {
  World world;
  world.done(put("c", 1), {.status = Status::unknown, .why = "timed out"});
  BOOST_TEST(
      was_told(submit(world.once, put("c", 1)), {.status = Status::unknown, .why = "timed out"}));
  BOOST_TEST(world.executed() == 1);
}

BOOST_AUTO_TEST_CASE(the_oldest_answers_go_first_when_there_are_too_many) {
  constexpr std::size_t entries_max = 10 * OnceService::shards;
  World world{{.entries_max = entries_max}};
  for (std::uint64_t sequence = 1; sequence <= 10'000; ++sequence) {
    world.done(put("c", sequence));
    BOOST_REQUIRE(world.once.entries() <= entries_max);
  }
  BOOST_TEST(world.once.entries() == entries_max);
  submit(world.once, put("c", 10'000));
  BOOST_TEST(world.executed() == 10'000);
  submit(world.once, put("c", 1));
  BOOST_TEST(world.executed() == 10'001);
}

BOOST_AUTO_TEST_CASE(the_oldest_answers_go_first_when_they_are_too_long) {
  World world{{.bytes_max = OnceService::bytes_least}};
  const Reply longest{.value = std::string(value_bytes_max, 'v')};
  for (std::uint64_t sequence = 1; sequence <= 200; ++sequence) {
    world.done(put("c", sequence), longest);
    BOOST_REQUIRE(world.once.bytes() <= OnceService::bytes_least);
  }
  BOOST_TEST(was_told(submit(world.once, put("c", 200)), longest));
  BOOST_TEST(world.executed() == 200);
}

BOOST_AUTO_TEST_CASE(what_is_under_way_is_never_dropped) {
  World world{{.entries_max = OnceService::shards}};
  const Told first = submit(world.once, put("c", 1));
  std::size_t refused = 0;
  for (std::uint64_t sequence = 2; sequence <= 200; ++sequence) {
    refused += was_told(submit(world.once, put("c", sequence)), Status::unavailable) ? 1U : 0U;
  }
  BOOST_TEST(refused == 200 - OnceService::shards);
  BOOST_TEST(world.executed() == OnceService::shards);
  world.inner.answer({});
  BOOST_TEST(was_told(first, Status::ok));
  BOOST_TEST(was_told(submit(world.once, put("c", 1)), Status::ok));
}

BOOST_AUTO_TEST_CASE(it_is_as_healthy_as_what_is_behind_it) {
  World world;
  BOOST_TEST(world.once.healthy());
  world.inner.is_healthy = false;
  BOOST_TEST(!world.once.healthy());
}

namespace {

/// Answers at once, on the thread that submitted, with how often that sequence was executed.
class CountingService final : public Service {
 public:
  static constexpr std::size_t sequences = 2'000;

  void submit(const Command& command, Done done) override {
    const int count = ++counts_[command.origin.sequence];
    done({.value = std::to_string(count)});
  }
  bool healthy() const override { return true; }
  bool each_once() const {
    return std::all_of(counts_.begin(), counts_.end(),
                       [](const auto& count) { return count == 1; });
  }

 private:
  std::array<std::atomic<int>, sequences> counts_{};
};

}  // namespace

BOOST_AUTO_TEST_CASE(many_threads_that_repeat_each_other_execute_each_id_once) {
  constexpr int threads = 4;
  CountingService inner;
  OnceService once{inner, {.waiting_max = threads}};
  std::atomic<std::size_t> right = 0;
  std::latch start{threads};
  const auto client = [&] {
    start.arrive_and_wait();
    for (std::uint64_t sequence = 0; sequence < CountingService::sequences; ++sequence) {
      once.submit(put("c", sequence), [&right](const Reply& reply) {
        right += reply == Reply{.value = "1"} ? 1U : 0U;
      });
    }
  };
  {
    std::vector<std::jthread> running;
    running.reserve(threads);
    for (int thread = 0; thread < threads; ++thread) {
      running.emplace_back(client);
    }
  }
  BOOST_TEST(inner.each_once());
  BOOST_TEST(right == threads * CountingService::sequences);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::sockets
