#include "common/wire/logfmt.h"

#include <cstdint>
#include <limits>

#include <boost/test/unit_test.hpp>

namespace kv::wire {
namespace {

std::string value(std::string_view text) {
  std::string line;
  append_logfmt_value(line, text);
  return line;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(wire_logfmt)

BOOST_AUTO_TEST_CASE(a_plain_value_stands_bare) {
  BOOST_TEST(value("127.0.0.1:4711") == "127.0.0.1:4711");
  BOOST_TEST(value("c7.12,'~!") == "c7.12,'~!");
}

BOOST_AUTO_TEST_CASE(a_value_whose_end_could_be_mistaken_is_quoted) {
  BOOST_TEST(value("") == "\"\"");
  BOOST_TEST(value("two words") == "\"two words\"");
  BOOST_TEST(value("a=b") == "\"a=b\"");
  BOOST_TEST(value("say \"x\"") == R"("say \"x\"")");
  BOOST_TEST(value("back\\slash") == R"("back\\slash")");
}

BOOST_AUTO_TEST_CASE(whatever_is_in_a_value_one_line_stays_one_printable_line) {
  BOOST_TEST(value("a\nb\rc\td") == R"("a\nb\rc\td")");
  BOOST_TEST(value(std::string_view{"\0\x7f\x80\xff", 4}) == R"("\x00\x7f\x80\xff")");
  for (int code = 0; code < 256; ++code) {
    const char byte = static_cast<char>(code);
    for (const char printed : value({&byte, 1})) {
      BOOST_TEST((printed >= ' ' && printed <= '~'));
    }
  }
}

BOOST_AUTO_TEST_CASE(fields_are_separated_by_one_blank) {
  LogFields fields;
  fields.add("event", "vote").add("term", 3).add("why", "not now");
  BOOST_TEST(fields.text() == "event=vote term=3 why=\"not now\"");
  fields.clear();
  fields.add("a", 1);
  BOOST_TEST(std::move(fields).text() == "a=1");
}

BOOST_AUTO_TEST_CASE(the_largest_and_smallest_numbers_are_written_whole) {
  LogFields fields;
  fields.add("max", std::numeric_limits<std::uint64_t>::max());
  fields.add("min", std::numeric_limits<std::int64_t>::min());
  BOOST_TEST(fields.text() == "max=18446744073709551615 min=-9223372036854775808");
}

BOOST_AUTO_TEST_CASE(one_byte_that_needs_quotes_is_found_wherever_it_stands) {
  for (std::size_t size = 1; size <= 26; ++size) {
    BOOST_TEST(is_bare_in_logfmt(std::string(size, 'v')));
    for (std::size_t at = 0; at < size; ++at) {
      for (int code = 0; code < 256; ++code) {
        std::string text(size, 'v');
        text[at] = static_cast<char>(code);
        const bool bare = code > ' ' && code < 0x7f && code != '"' && code != '\\' && code != '=';
        BOOST_REQUIRE_EQUAL(is_bare_in_logfmt(text), bare);
      }
    }
  }
  BOOST_TEST(!is_bare_in_logfmt(""));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::wire
