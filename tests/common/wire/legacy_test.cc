#include "common/wire/legacy.h"

#include <string>

#include <boost/test/unit_test.hpp>

namespace kv::wire {
namespace {

using Kind = LineRequest::Kind;

LineRequest parsed(ByteView text) {
  LineRequest request;
  parse_legacy(text, request);
  return request;
}

Bytes answer_to(const Command& command, const Reply& reply,
                std::size_t text_bytes_max = legacy_text_bytes_max) {
  Bytes out;
  append_legacy_answer(out, command, reply, text_bytes_max);
  return out;
}

const Command put{.verb = Verb::put, .key = "k", .value = "a value"};
const Command get{.verb = Verb::get, .key = "k"};
const Command erase{.verb = Verb::erase, .key = "k"};

}  // namespace

BOOST_AUTO_TEST_SUITE(wire_legacy)

BOOST_AUTO_TEST_CASE(the_three_requests_are_read) {
  BOOST_TEST((parsed("PUT k a value").command == put));
  BOOST_TEST((parsed("GET k").command == get));
  BOOST_TEST((parsed("DELETE k").command == erase));
  BOOST_TEST((parsed("delete k").kind == Kind::command));
}

BOOST_AUTO_TEST_CASE(everything_else_is_malformed_and_leaves_nothing_behind) {
  for (const Bytes& text : {Bytes{""}, Bytes{"PING"}, Bytes{"EXIT"}, Bytes{"CAS k a b"},
                            Bytes{"@c.1 GET k"}, Bytes{"@c.1 X"}, Bytes{"PUT k"}, Bytes{"GET"},
                            Bytes{"GET a b"}, Bytes{"PUT k a\nb"}, "GET " + Bytes(251, 'k')}) {
    const LineRequest request = parsed(text);
    BOOST_TEST((request.kind == Kind::malformed), text);
    BOOST_TEST((request.command == Command{}), text);
    BOOST_TEST(!request.why.empty());
  }
}

BOOST_AUTO_TEST_CASE(a_request_is_answered_in_the_words_of_the_course) {
  BOOST_TEST(answer_to(put, {}) == "Stored k -> a value");
  BOOST_TEST(answer_to(get, {.value = "v"}) == "Retrieved k -> v");
  BOOST_TEST(answer_to(erase, {}) == "Deleted k");
  BOOST_TEST(answer_to(get, {.status = Status::not_found}) == "Key not found");
  BOOST_TEST(answer_to(get, {.status = Status::bad_request, .why = "w"}) == "Invalid command");
}

BOOST_AUTO_TEST_CASE(an_outcome_the_course_did_not_know_is_said_in_clear) {
  BOOST_TEST(answer_to(put, {.status = Status::aborted, .why = "w"}) == "Not done: w");
  BOOST_TEST(answer_to(put, {.status = Status::unavailable}) == "Not done");
  BOOST_TEST(answer_to(put, {.status = Status::unknown, .why = "w"}) ==
             "Perhaps done, perhaps not: w");
}

BOOST_AUTO_TEST_CASE(an_answer_is_never_longer_than_its_frame_can_say) {
  const std::size_t fits = legacy_text_bytes_max - Bytes{"Retrieved k -> "}.size();
  BOOST_TEST(answer_to(get, {.value = Bytes(fits, 'v')}).size() == legacy_text_bytes_max);
  BOOST_TEST(answer_to(get, {.value = Bytes(fits + 1, 'v')}) ==
             "Retrieved k: its 65521 bytes are too many for this answer");
  Command large = put;
  large.value = Bytes(legacy_text_bytes_max - 6, 'v');
  BOOST_TEST(answer_to(large, {}) == "Stored k: its 65529 bytes are too many for this answer");
  const Bytes why(legacy_text_bytes_max, 'w');
  BOOST_TEST(answer_to(put, {.status = Status::unknown, .why = why}).size() ==
             legacy_text_bytes_max);
}

BOOST_AUTO_TEST_CASE(an_answer_that_goes_into_a_datagram_fits_into_it) {
  const Reply reply{.value = Bytes(datagram_bytes_max, 'v')};
  BOOST_TEST(answer_to(get, reply, datagram_bytes_max).size() < 100);
  const Command longest{.verb = Verb::get, .key = Bytes(key_bytes_max, 'k')};
  BOOST_TEST(
      answer_to(longest, {.value = Bytes(value_bytes_max, 'v')}, legacy_text_bytes_least).size() <=
      legacy_text_bytes_least);
}

BOOST_AUTO_TEST_CASE(a_frame_is_two_bytes_of_length_and_the_text) {
  Bytes out;
  append_legacy_frame(out, "GET k");
  append_legacy_frame(out, Bytes(258, 'x'));
  BOOST_TEST(out.substr(0, 7) == (ByteView{"\0\5GET k", 7}));
  BOOST_TEST(out.substr(7, 2) == "\1\2");
  BOOST_TEST(out.size() == 7 + 260);
}

BOOST_AUTO_TEST_CASE(a_frame_is_taken_only_when_it_is_whole) {
  Bytes whole;
  append_legacy_frame(whole, "GET k");
  for (std::size_t cut = 0; cut < whole.size(); ++cut) {
    ByteView stream = ByteView{whole}.substr(0, cut);
    ByteView text;
    BOOST_TEST(!take_legacy_frame(stream, text));
    BOOST_TEST(stream.size() == cut);
  }
  whole += "rest";
  ByteView stream = whole;
  ByteView text;
  BOOST_TEST(take_legacy_frame(stream, text));
  BOOST_TEST(text == "GET k");
  BOOST_TEST(stream == "rest");
}

BOOST_AUTO_TEST_CASE(the_longest_and_the_shortest_frame_come_through) {
  for (const std::size_t size : {std::size_t{0}, legacy_text_bytes_max}) {
    const Bytes sent(size, '\xff');
    Bytes frame;
    append_legacy_frame(frame, sent);
    ByteView stream = frame;
    ByteView text;
    BOOST_TEST(take_legacy_frame(stream, text));
    BOOST_TEST(text == sent);
    BOOST_TEST(stream.empty());
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::wire
