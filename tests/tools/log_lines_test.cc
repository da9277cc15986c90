// Lines of logs, whatever their length, and what they say.
#include "tools/log_lines.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <vector>

#include <boost/test/unit_test.hpp>

#include "common/wire/logfmt.h"

namespace kv::logs {
namespace {

std::vector<std::size_t> lengths_of_lines(const std::string& text, FileTally& tally) {
  const auto path = std::filesystem::temp_directory_path() / ("lines-" + std::to_string(getpid()));
  std::ofstream{path, std::ios::binary} << text;
  std::vector<std::size_t> lengths;
  std::string why;
  BOOST_TEST(read_lines(
                 path, [&](std::string_view line) { lengths.push_back(line.size()); }, tally, why),
             why);
  std::filesystem::remove(path);
  return lengths;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(tools_log_lines)

BOOST_AUTO_TEST_CASE(every_line_is_read_across_pieces_and_without_a_last_end) {
  std::string text;
  std::vector<std::size_t> wanted;
  for (std::size_t i = 0; text.size() < 5'000'000; ++i) {
    wanted.push_back(i % 3001);
    text += std::string(wanted.back(), 'x') + "\n";
  }
  wanted.push_back(2'000'000);
  text += std::string(2'000'000, 'y');
  FileTally tally;
  BOOST_TEST((lengths_of_lines(text, tally) == wanted));
  BOOST_TEST(tally.bytes == text.size());
  BOOST_TEST(tally.lines == wanted.size());
}

BOOST_AUTO_TEST_CASE(a_line_beyond_all_bounds_is_passed_over_and_counted) {
  FileTally tally;
  const std::string text = "one\n" + std::string(3 * line_bytes_max, 'x') + "\ntwo\n";
  BOOST_TEST((lengths_of_lines(text, tally) == std::vector<std::size_t>{3, 3}));
  BOOST_TEST(tally.overlong == 1U);
}

BOOST_AUTO_TEST_CASE(a_file_that_is_not_there_is_said) {
  FileTally tally;
  std::string why;
  BOOST_TEST(!read_lines(
      "/nowhere", [](std::string_view) {}, tally, why));
  BOOST_TEST(!why.empty());
}

BOOST_AUTO_TEST_CASE(a_time_is_read_to_the_microsecond) {
  TimeReader reader;
  BOOST_TEST(reader.read("1970-01-01T00:00:01.000002Z info").value() == 1'000'002);
  BOOST_TEST(reader.read("2026-11-20T12:00:00.123456Z info").value() == 1'795'176'000'123'456);
  BOOST_TEST(reader.read("2026-11-20T12:00:00.999999Z info").value() == 1'795'176'000'999'999);
  for (const std::string_view wrong :
       {"", "2026-11-20T12:00:00Z info", "no time at all, this line",
        "2026-11-20T12:00:00.12x456Z info", "2026-99-20T12:00:00.123456Z info"}) {
    BOOST_TEST(!reader.read(wrong).has_value(), wrong);
  }
}

BOOST_AUTO_TEST_CASE(what_logfmt_writes_is_read_again) {
  for (const std::string value : {"", "plain", "two words", "a=b", "\"quoted\" \\ and\n\r\t\x01",
                                  "\xff\xfe", "ends with \\"}) {
    const std::string fields =
        wire::LogFields{}.add("a", "x b=wrong").add("b", value).add("c", 3).text();
    BOOST_TEST(unquoted(find_field(fields, "b").value()) == value);
    BOOST_TEST(number_of(find_field(fields, "c").value()).value() == 3U);
    BOOST_TEST(!find_field(fields, "d").has_value());
  }
}

BOOST_AUTO_TEST_CASE(broken_fields_end_somewhere) {
  for (const std::string_view text : {"a=\"never closed", "=", "a", "a=\"\\", "\"=\""}) {
    std::string_view rest = text;
    Field field;
    int fields = 0;
    while (next_field(rest, field)) {
      BOOST_TEST_REQUIRE(++fields < 10);
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::logs
