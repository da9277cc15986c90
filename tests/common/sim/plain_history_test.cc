// The quick reader of histories takes what the JSON parser takes, and leaves it the rest.
#include "common/sim/plain_history.h"

#include <string>
#include <vector>

#include <boost/test/unit_test.hpp>

namespace kv::sim {
namespace {

constexpr std::string_view put =
    R"({"client":7,"op":"put","key":"a","value":"1","call":12,"return":34,"result":"ok"})";

/// With blanks between, which only the JSON parser takes.
std::string spaced(std::string_view line) {
  std::string text;
  for (const char byte : line) {
    text += byte == ',' ? ", " : std::string(1, byte);
  }
  return text;
}

std::string replaced(std::string_view from, std::string_view to) {
  std::string text{put};
  return text.replace(text.find(from), from.size(), to);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(sim_plain_history)

BOOST_AUTO_TEST_CASE(what_is_written_is_plain_and_reads_as_the_parser_reads_it) {
  for (const Verb verb : {Verb::get, Verb::put, Verb::erase, Verb::compare_and_set}) {
    for (int status = 0; status <= static_cast<int>(last_of(Status{})); ++status) {
      for (const HistoryTime end : {HistoryTime{std::chrono::nanoseconds{9}}, never_returned}) {
        const auto result = static_cast<Status>(status);
        if (!can_end(verb, result)) {
          continue;
        }
        Bytes line;
        append_json(line, {UINT64_MAX, verb, "k:1", "v {}", "old", {}, end, result});
        line.pop_back();
        const auto plain = read_plain(line);
        BOOST_TEST_REQUIRE(plain.has_value(), line);
        std::vector<Operation> both(1);
        std::string why;
        BOOST_TEST(take(*plain, both[0]));
        BOOST_TEST(read_history(spaced(line), both, why), why);
        BOOST_TEST((both[0] == both[1]), line);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(the_loads_own_fields_are_read_too) {
  const std::string text = replaced("ok\"}", R"(ok","id":"c.1","wall_ns":-5})");
  const auto line = read_plain(text);  // a view of it
  BOOST_TEST_REQUIRE(line.has_value());
  BOOST_TEST(line->id == "c.1");
  BOOST_TEST(line->wall_ns.value() == -5);
  BOOST_TEST(read_plain(put)->id.empty());
  BOOST_TEST(!read_plain(put)->wall_ns.has_value());
}

BOOST_AUTO_TEST_CASE(any_other_form_is_left_to_the_parser) {
  BOOST_TEST(read_plain(put).has_value());
  for (const std::string& other :
       {spaced(put), replaced("\"a\"", R"("\u0061")"), replaced("\"a\"", "\"\xc3\xa9\""),
        replaced("\"a\"", "\"\x01\""), replaced("12", "012"), replaced("12", "-0"),
        replaced("12", "1.5"), replaced("12", "1e3"), replaced("12", ""), replaced("12", "\"12\""),
        replaced("7", "-7"), replaced("7", "18446744073709551616"), replaced("ok", "OK"),
        replaced("put", "swap"), replaced("}", ",\"more\":1}"), replaced("}", ""),
        replaced("}", "} "), std::string{}, std::string{put} + "\n"}) {
    BOOST_TEST(!read_plain(other).has_value(), other);
  }
  for (std::size_t cut = 0; cut < put.size(); ++cut) {
    BOOST_TEST(!read_plain(put.substr(0, cut)).has_value(), cut);
  }
}

BOOST_AUTO_TEST_CASE(what_no_operation_can_be_is_refused) {
  for (const std::string& wrong :
       {replaced("ok", "not_found"), replaced("ok", "conflict"), replaced("34", "11"),
        replaced("put", "batch"), replaced("put", "cas"), replaced(R"("value":"1",)", "")}) {
    const auto line = read_plain(wrong);
    BOOST_TEST_REQUIRE(line.has_value(), wrong);
    Operation operation;
    BOOST_TEST(!take(*line, operation), wrong);
    BOOST_TEST((operation == Operation{}));
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::sim
