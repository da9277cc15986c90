#include "common/sim/history.h"

#include <string>
#include <vector>

#include <boost/test/unit_test.hpp>

namespace kv::sim {
namespace {

std::string refusal_of(ByteView text) {
  std::vector<Operation> history;
  std::string why;
  BOOST_TEST(!read_history(text, history, why), text);
  return why;
}

HistoryTime at(std::int64_t nanoseconds) {
  return HistoryTime{std::chrono::nanoseconds{nanoseconds}};
}

}  // namespace

BOOST_AUTO_TEST_SUITE(sim_history)

BOOST_AUTO_TEST_CASE(a_line_of_json_is_read_as_an_operation) {
  std::vector<Operation> history;
  std::string why;
  BOOST_REQUIRE(read_history(R"({"client":7,"op":"put","key":"a","value":"1",)"
                             R"("call":123456789,"return":123459999,"result":"ok"})",
                             history, why));
  const Operation expected{.client = 7,
                           .verb = Verb::put,
                           .key = "a",
                           .value = "1",
                           .call = at(123456789),
                           .returned = at(123459999),
                           .result = Status::ok};
  BOOST_TEST((history == std::vector{expected}));
}

BOOST_AUTO_TEST_CASE(what_was_written_is_read_again) {
  const Operation get{.client = UINT64_MAX,
                      .key = "k \"\\\n\xc3\xa9",
                      .value = "v",
                      .call = at(-5),
                      .returned = at(6),
                      .result = Status::ok};
  Operation absent = get;
  absent.value.clear();
  absent.result = Status::not_found;
  const Operation put{.verb = Verb::put, .key = "k", .value = "", .call = at(1)};
  const Operation cas{.verb = Verb::compare_and_set,
                      .key = "k",
                      .value = "n",
                      .expected = "o",
                      .call = at(1),
                      .returned = at(INT64_MAX - 1),
                      .result = Status::conflict};
  const std::vector<Operation> sent = {get, absent, put, cas};
  Bytes text;
  for (const Operation& operation : sent) {
    append_json(text, operation);
  }
  std::vector<Operation> read;
  std::string why;
  BOOST_TEST(read_history(text, read, why), why);
  BOOST_TEST((read == sent));
}

BOOST_AUTO_TEST_CASE(an_operation_without_return_or_result_is_unknown) {
  for (const ByteView end :
       {R"("return":null})", R"("return":null,"result":"ok"})", R"("return":9,"result":"unknown"})",
        R"("return":9})", R"("result":"ok"})", R"("more":[1]})"}) {
    std::vector<Operation> history;
    std::string why;
    const std::string line = R"({"client":1,"op":"delete","key":"k","call":1,)" + std::string{end};
    BOOST_REQUIRE_MESSAGE(read_history(line, history, why), line << why);
    BOOST_TEST((history[0].result == Status::unknown));
    BOOST_TEST((history[0].returned == never_returned));
  }
}

BOOST_AUTO_TEST_CASE(a_line_that_is_no_operation_is_named_with_what_is_wrong) {
  const std::string good = R"({"client":1,"op":"get","key":"k","call":1,"return":null})";
  BOOST_TEST(refusal_of(good + "\n\r\n" + good + "x").starts_with("line 3: no JSON"));
  BOOST_TEST(refusal_of("[]") == "line 1: no JSON object");
  BOOST_TEST(refusal_of(R"({"op":"scan"})") == "line 1: \"op\" must be get, put, delete or cas");
  BOOST_TEST(refusal_of(R"({"op":"get","client":1.5})") ==
             "line 1: \"client\" must be a whole number in its range");
  BOOST_TEST(refusal_of(R"({"op":"get","client":-1})") ==
             "line 1: \"client\" must be a whole number in its range");
  BOOST_TEST(refusal_of(R"({"op":"get","client":1,"key":5})") == "line 1: \"key\" must be a text");
  const std::string begin = R"({"client":1,"key":"k","call":5,)";
  BOOST_TEST(refusal_of(begin + R"("op":"put","return":9,"result":"ok"})") ==
             "line 1: \"value\" must be a text");
  BOOST_TEST(refusal_of(begin + R"("op":"cas","value":"v","return":9,"result":"ok"})") ==
             "line 1: \"old\" must be a text");
  BOOST_TEST(refusal_of(begin + R"("op":"get","return":4,"result":"not_found"})") ==
             "line 1: \"return\" is before \"call\"");
  BOOST_TEST(refusal_of(begin + R"("op":"put","value":"v","return":9,"result":"conflict"})") ==
             "line 1: \"result\" is none that this op can have");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::sim
