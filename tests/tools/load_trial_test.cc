// What a client may claim of an operation after all that happened to it.
#include "tools/load_trial.h"

#include <cstdlib>
#include <map>
#include <set>

#include <boost/test/unit_test.hpp>

namespace kv::load {
namespace {

using sim::HistoryTime;

constexpr HistoryTime at{std::chrono::nanoseconds{100}};
constexpr HistoryTime later{std::chrono::nanoseconds{300}};

TrialMix puts() {
  return {.run = "r", .keys = 3, .gets_percent = 0};
}
TrialMix gets() {
  return {.run = "r", .keys = 3, .gets_percent = 100};
}

wire::LineAnswer answer(Status status) {
  return {.origin = {}, .reply = {.status = status, .value = {}, .why = {}}, .has_value = false};
}

Trial begun(const TrialMix& mix) {
  Trial trial{mix, 7};
  trial.begin(at);
  return trial;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(tools_load_trial)

BOOST_AUTO_TEST_CASE(an_acknowledged_put_is_ok_from_its_call_to_its_answer) {
  Trial trial = begun(puts());
  BOOST_TEST((trial.answered(answer(Status::ok)) == Trial::Next::over));
  const sim::Operation& operation = trial.end(later);
  BOOST_TEST((operation.result == Status::ok));
  BOOST_TEST((operation.call == at));
  BOOST_TEST((operation.returned == later));
  BOOST_TEST(operation.client == 7U);
}

BOOST_AUTO_TEST_CASE(no_two_writes_have_the_same_value_and_no_two_operations_the_same_id) {
  std::set<std::string> lines;
  for (const std::uint64_t client : {0U, 1U}) {
    Trial trial{puts(), client};
    for (int i = 0; i < 50; ++i) {
      trial.begin(at);
      BOOST_TEST(trial.line().starts_with("@r-" + std::to_string(client) + "."));
      lines.insert(trial.line().substr(trial.line().find(' ')));
      static_cast<void>(trial.answered(answer(Status::ok)));
    }
  }
  BOOST_TEST(lines.size() == 100U);
}

BOOST_AUTO_TEST_CASE(a_get_holds_what_it_read) {
  Trial trial = begun(gets());
  wire::LineAnswer read = answer(Status::ok);
  read.has_value = true;
  read.reply.value = "x";
  static_cast<void>(trial.answered(read));
  BOOST_TEST(trial.end(later).value == "x");
}

BOOST_AUTO_TEST_CASE(a_write_that_was_sent_and_not_answered_is_unknown_for_ever) {
  Trial trial = begun(puts());
  BOOST_TEST((trial.attempt_failed(true) == Trial::Next::again));
  trial.give_up();
  const sim::Operation& operation = trial.end(later);
  BOOST_TEST((operation.result == Status::unknown));
  BOOST_TEST((operation.returned == sim::never_returned));
}

BOOST_AUTO_TEST_CASE(an_operation_that_never_left_is_unavailable) {
  Trial trial = begun(puts());
  BOOST_TEST((trial.attempt_failed(false) == Trial::Next::again));
  trial.give_up();
  BOOST_TEST((trial.end(later).result == Status::unavailable));
}

BOOST_AUTO_TEST_CASE(a_refusal_settles_only_what_was_not_open_before) {
  for (const Status refusal : {Status::aborted, Status::unavailable, Status::bad_request}) {
    Trial first = begun(puts());
    BOOST_TEST((first.answered(answer(refusal)) == Trial::Next::over));
    BOOST_TEST((first.result() == refusal));

    Trial second = begun(puts());
    static_cast<void>(second.attempt_failed(true));
    BOOST_TEST((second.answered(answer(refusal)) == Trial::Next::again));
    second.give_up();
    BOOST_TEST((second.result() == Status::unknown));
  }
}

BOOST_AUTO_TEST_CASE(an_answer_after_an_open_attempt_settles_it_under_the_same_id) {
  Trial trial = begun(puts());
  const std::string line = trial.line();
  static_cast<void>(trial.attempt_failed(true));
  BOOST_TEST((trial.answered(answer(Status::unknown)) == Trial::Next::again));
  BOOST_TEST(trial.line() == line);
  BOOST_TEST((trial.answered(answer(Status::ok)) == Trial::Next::over));
  BOOST_TEST((trial.result() == Status::ok));
}

BOOST_AUTO_TEST_CASE(without_ids_a_write_is_not_sent_twice_and_a_read_may_be) {
  TrialMix mix = puts();
  mix.with_ids = false;
  Trial write = begun(mix);
  BOOST_TEST((write.attempt_failed(false) == Trial::Next::again));
  BOOST_TEST((write.attempt_failed(true) == Trial::Next::over));
  BOOST_TEST((write.result() == Status::unknown));
  mix.gets_percent = 100;
  Trial read = begun(mix);
  BOOST_TEST((read.attempt_failed(true) == Trial::Next::again));
}

BOOST_AUTO_TEST_CASE(only_the_answer_with_its_id_is_its_own) {
  Trial trial = begun(puts());
  wire::LineAnswer answer;
  answer.origin = {.client = "r-7", .sequence = 1};
  BOOST_TEST(trial.is_mine(answer));
  answer.origin.sequence = 2;
  BOOST_TEST(!trial.is_mine(answer));
  BOOST_TEST(!trial.is_mine({}));
}

BOOST_AUTO_TEST_CASE(the_mix_is_as_asked_for) {
  Trial trial{
      {.run = "r", .keys = 5, .gets_percent = 40, .deletes_percent = 10, .swaps_percent = 20}, 1};
  std::map<Verb, int> drawn;
  for (int i = 0; i < 5000; ++i) {
    trial.begin(at);
    static_cast<void>(trial.answered(answer(Status::not_found)));
    ++drawn[trial.end(later).verb];
  }
  BOOST_TEST(std::abs(drawn[Verb::get] - 2000) < 200);
  BOOST_TEST(std::abs(drawn[Verb::erase] - 500) < 150);
  BOOST_TEST(std::abs(drawn[Verb::compare_and_set] - 1000) < 200);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::load
