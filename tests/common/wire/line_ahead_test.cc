#include "common/wire/line_ahead.h"

#include <fmt/format.h>

#include <string>
#include <vector>

#include <boost/test/unit_test.hpp>

#include "common/wire/line_answers.h"

namespace kv::wire {
BOOST_AUTO_TEST_SUITE(wire_line_ahead)

BOOST_AUTO_TEST_CASE(a_line_seen_ahead_is_read_as_any_other) {
  const Bytes longest_key(key_bytes_max, 'k');
  const Bytes longest_value(value_bytes_max, 'v');
  const std::vector<Bytes> lines{"GET a",
                                 "GET ",
                                 "GET",
                                 "GET a ",
                                 "GET a b",
                                 "GET a\x01",
                                 "GET \x7f",
                                 "GET \x80\xff",
                                 "GET " + longest_key,
                                 "GET " + longest_key + "k",
                                 "PUT a b",
                                 "PUT a ",
                                 "PUT a",
                                 "PUT  a b",
                                 "PUT a two words",
                                 "PUT a b\rc",
                                 "PUT a b\r",
                                 "PUT a\tb",
                                 "PUT " + longest_key + " b",
                                 "PUT " + longest_key + "k b",
                                 "PUT a " + longest_value,
                                 "PUT a " + longest_value + "v",
                                 "get a",
                                 "@c.1 GET a",
                                 "DELETE a",
                                 "CAS a b c",
                                 "PING",
                                 "",
                                 "nonsense"};
  LineRequest reused;  // what one leaves must not show in the next
  for (const Bytes& line : lines) {
    for (const std::string_view line_end : {"\n", "\r\n"}) {
      const Bytes bytes = line + Bytes{line_end};
      LinesAhead ahead;
      look_ahead(bytes, 0, ahead);
      BOOST_REQUIRE(ahead.count == 1U);
      BOOST_TEST(ahead.front().bytes == bytes.size());
      parse_line_ahead(line, ahead.front(), reused);
      LineRequest expected;
      parse_line(line, expected);
      if (line_end == "\r\n" || !line.ends_with('\r')) {  // else the CR is the line end's
        BOOST_TEST((reused.kind == expected.kind), line.substr(0, 20));
        BOOST_TEST((reused.command == expected.command), line.substr(0, 20));
        BOOST_TEST(reused.why == expected.why);
      }
      reused.command.expected = "e";
      reused.command.origin = {.client = "c", .sequence = 3, .first_outstanding = 2};
      reused.command.writes = {{.key = "w"}};
    }
  }
}

BOOST_AUTO_TEST_CASE(a_look_ahead_finds_whole_lines_and_reads_the_plain_ones) {
  const Bytes lines =
      "GET a\r\nPUT key of three\n\nGET \n@c.1 GET b\nDELETE c\nGET d e\nGET not whole";
  LinesAhead ahead;
  look_ahead(lines, 0, ahead);
  const std::vector<std::string> keys{"a", "key", "", "", "", "", ""};
  BOOST_REQUIRE_EQUAL(ahead.count, keys.size());
  std::size_t at = 0;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    BOOST_TEST((ahead.lines[i].kind == LineAhead::Kind::other) == keys[i].empty());
    BOOST_TEST(ahead.lines[i].key == keys[i]);
    at += ahead.lines[i].bytes;
    BOOST_TEST(lines[at - 1] == '\n');
  }
  BOOST_TEST((ahead.lines[0].kind == LineAhead::Kind::get));
  BOOST_TEST((ahead.lines[1].kind == LineAhead::Kind::put));
  BOOST_TEST(ahead.lines[1].value == "of three");
  BOOST_TEST(lines.substr(at) == "GET not whole");
}

BOOST_AUTO_TEST_CASE(what_is_known_to_hold_no_line_end_is_not_looked_at_again) {
  LinesAhead ahead;
  look_ahead("GET a\nGET b\n", 5, ahead);
  BOOST_TEST(ahead.count == 2U);
  BOOST_TEST(ahead.lines[0].bytes == 6U);
  BOOST_TEST((ahead.lines[1].kind == LineAhead::Kind::get));
  look_ahead("GET a", 5, ahead);
  BOOST_TEST(ahead.count == 0U);
  look_ahead({}, 0, ahead);
  BOOST_TEST(ahead.count == 0U);
}

BOOST_AUTO_TEST_CASE(keys_and_values_of_every_length_end_where_they_do) {
  for (std::size_t length = 1; length <= 70; ++length) {
    const Bytes key(length, 'k');
    const Bytes value(length, ' ');
    const Bytes lines = fmt::format("PUT {} {}\nGET {}\n", key, value, key);
    LinesAhead ahead;
    look_ahead(lines, 0, ahead);
    BOOST_REQUIRE(ahead.count == 2U);
    BOOST_TEST(ahead.lines[0].key == key);
    BOOST_TEST(ahead.lines[0].value == value);
    BOOST_TEST(ahead.lines[1].key == key);
  }
}

BOOST_AUTO_TEST_CASE(plain_answers_are_those_of_any_request) {
  Bytes expected;
  Bytes out;
  {
    LineAnswers answers{out};
    for (std::size_t length = 0; length < 600; ++length) {
      const Bytes value(length, 'v');
      answers.add_value(value);
      append_line_answer(expected, {}, Verb::get, {.status = Status::ok, .value = value});
      answers.add_ok();
      append_line_answer(expected, {}, Verb::put, {});
      answers.add_not_found();
      append_line_answer(expected, {}, Verb::get, {.status = Status::not_found});
      BOOST_REQUIRE_EQUAL(answers.bytes(), expected.size());
    }
  }
  BOOST_TEST(out == expected);
}

BOOST_AUTO_TEST_CASE(a_value_with_cr_or_lf_anywhere_is_an_error_in_one_line) {
  for (const std::size_t length : {1U, 15U, 16U, 17U, 64U, 513U}) {
    for (std::size_t at = 0; at < length; ++at) {
      Bytes value(length, 'v');
      value[at] = at % 2 == 0 ? '\n' : '\r';
      Bytes out;
      LineAnswers{out}.add_value(value);
      BOOST_TEST(out.starts_with("ERROR the value holds CR or LF"));
      BOOST_TEST(out.find('\n') == out.size() - 1);
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::wire
