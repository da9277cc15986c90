#include "phase2_rpc/answer_table.h"

#include <atomic>
#include <optional>
#include <thread>

#include <boost/test/unit_test.hpp>

namespace kv::rpc {
namespace {

Origin operation(std::uint64_t sequence, std::uint64_t first_outstanding = 0) {
  return {.client = "c", .sequence = sequence, .first_outstanding = first_outstanding};
}

struct Heard {
  std::optional<CallResult> result;
  AnswerTable::Respond respond() {
    return [this](const CallResult& told) { result = told; };
  }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(phase2_answer_table)

BOOST_AUTO_TEST_CASE(a_repeated_operation_gets_the_first_answer_and_is_not_run) {
  AnswerTable table;
  Heard heard;
  BOOST_TEST(table.enter(operation(1), 7, heard.respond()));
  table.finished(operation(1), {.body = "first"});
  BOOST_TEST(!heard.result.has_value());
  BOOST_TEST(!table.enter(operation(1), 7, heard.respond()));
  BOOST_TEST(heard.result.value().body == "first");
}

BOOST_AUTO_TEST_CASE(a_repetition_of_what_still_runs_waits_for_its_answer) {
  AnswerTable table;
  Heard heard;
  BOOST_TEST(table.enter(operation(1), 7, {}));
  BOOST_TEST(!table.enter(operation(1), 7, heard.respond()));
  BOOST_TEST(!heard.result.has_value());
  table.finished(operation(1), {.body = "first"});
  BOOST_TEST(heard.result.value().body == "first");
}

BOOST_AUTO_TEST_CASE(another_request_under_a_used_number_is_refused) {
  AnswerTable table;
  Heard heard;
  BOOST_TEST(table.enter(operation(1), 7, {}));
  BOOST_TEST(!table.enter(operation(1), 8, heard.respond()));
  BOOST_TEST((heard.result.value().code == Code::invalid_argument));
}

BOOST_AUTO_TEST_CASE(what_was_not_executed_may_be_tried_again) {
  AnswerTable table;
  BOOST_TEST(table.enter(operation(1), 7, {}));
  table.finished(operation(1), failure(Code::resource_exhausted, Executed::no, "full"));
  BOOST_TEST(table.enter(operation(1), 7, {}));
}

BOOST_AUTO_TEST_CASE(an_answer_below_the_first_outstanding_is_forgotten_and_never_run_again) {
  AnswerTable table;
  Heard heard;
  BOOST_TEST(table.enter(operation(1), 7, {}));
  table.finished(operation(1), {});
  BOOST_TEST(table.enter(operation(2, 2), 7, {}));
  BOOST_TEST(!table.enter(operation(1), 7, heard.respond()));
  BOOST_TEST((heard.result.value().code == Code::failed_precondition));
}

BOOST_AUTO_TEST_CASE(answers_beyond_a_clients_bound_are_forgotten_and_never_run_again) {
  AnswerTable table;
  for (std::uint64_t i = 1; i <= AnswerTable::answers_per_client_max + 10; ++i) {
    BOOST_TEST(table.enter(operation(i), 7, {}));
    table.finished(operation(i), {});
  }
  Heard heard;
  BOOST_TEST(!table.enter(operation(5), 7, heard.respond()));
  BOOST_TEST((heard.result.value().code == Code::failed_precondition));
}

BOOST_AUTO_TEST_CASE(a_client_is_held_to_its_bound_while_its_first_operation_still_runs) {
  AnswerTable table;
  BOOST_TEST(table.enter(operation(1), 7, {}));
  for (std::uint64_t i = 2; i <= AnswerTable::answers_per_client_max + 10; ++i) {
    BOOST_TEST(table.enter(operation(i), 7, {}));
    table.finished(operation(i), {});
  }
  Heard forgotten;
  BOOST_TEST(!table.enter(operation(5), 7, forgotten.respond()));
  BOOST_TEST((forgotten.result.value().code == Code::failed_precondition));
  Heard running;
  BOOST_TEST(!table.enter(operation(1), 7, running.respond()));
  BOOST_TEST(!running.result.has_value());
  table.finished(operation(1), {.body = "at last"});
  BOOST_TEST(running.result.value().body == "at last");
}

BOOST_AUTO_TEST_CASE(names_of_clients_count_among_the_bytes) {
  AnswerTable table;
  const std::string long_part(4'000, 'n');
  for (std::size_t i = 0; i < AnswerTable::clients_max; ++i) {
    const Origin origin{.client = long_part + std::to_string(i), .sequence = 1};
    BOOST_REQUIRE(table.enter(origin, 7, {}));
    table.finished(origin, {});
  }
  BOOST_TEST(table.bytes() <= AnswerTable::bytes_max + AnswerTable::client_bytes_max);
  BOOST_TEST(table.bytes() >= table.clients() * 2 * long_part.size());
  BOOST_TEST(table.clients() < AnswerTable::clients_max / 4);
}

BOOST_AUTO_TEST_CASE(bytes_beyond_the_bound_are_forgotten_and_never_run_again) {
  AnswerTable table;
  const CallResult megabyte{.body = std::string(1'000'000, 'x')};
  for (std::uint64_t i = 1; i <= 40; ++i) {  // a sixteenth of the bound is 16 MiB
    BOOST_TEST(table.enter(operation(i), 7, {}));
    table.finished(operation(i), megabyte);
  }
  Heard heard;
  BOOST_TEST(!table.enter(operation(1), 7, heard.respond()));
  BOOST_TEST((heard.result.value().code == Code::failed_precondition));
}

BOOST_AUTO_TEST_CASE(clients_beyond_the_bound_are_forgotten_the_oldest_first) {
  AnswerTable table;
  for (std::size_t i = 0; i < AnswerTable::clients_max + 5'000; ++i) {
    const Origin origin{.client = "c" + std::to_string(i), .sequence = 1};
    BOOST_REQUIRE(table.enter(origin, 7, {}));
    table.finished(origin, {});
  }
  BOOST_TEST(table.clients() <= AnswerTable::clients_max);
}

BOOST_AUTO_TEST_CASE(many_threads_with_the_same_operations_run_each_once) {
  AnswerTable table;
  std::atomic<int> runs{0};
  std::atomic<int> answers{0};
  const auto work = [&] {
    for (std::uint64_t i = 1; i <= 500; ++i) {
      if (table.enter(operation(i), 7, [&](const CallResult&) { ++answers; })) {
        ++runs;
        table.finished(operation(i), {});
        ++answers;
      }
    }
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back(work);
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  BOOST_TEST(runs == 500);
  BOOST_TEST(answers == 2'000);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::rpc
