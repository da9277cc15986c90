#include "common/host/log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <regex>
#include <thread>
#include <vector>

#include <boost/test/unit_test.hpp>

#include "common/wire/logfmt.h"

namespace kv::host {
namespace {

/// A folder of its own for each test, gone afterwards.
struct Folder {
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "quintet-log-XXXXXX").string();
    BOOST_REQUIRE(mkdtemp(name.data()) != nullptr);
    path = name;
  }
  ~Folder() { std::filesystem::remove_all(path); }
  std::string file(const char* name) const { return path / name; }
  std::filesystem::path path;
};

std::unique_ptr<Log> open_log(const Log::Options& options) {
  std::string why;
  auto log = Log::open(options, why);
  BOOST_REQUIRE_MESSAGE(log, why);
  return log;
}

std::vector<std::string> lines_of(const std::string& path) {
  std::ifstream file{path};
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) {
    lines.push_back(line);
  }
  return lines;
}

/// The sum of N over all `event=dropped_lines count=N`, which it takes out of `lines`.
std::uint64_t take_notices(std::vector<std::string>& lines) {
  const std::regex notice{".* warn .*event=dropped_lines count=([0-9]+)"};
  std::uint64_t sum = 0;
  std::erase_if(lines, [&](const std::string& line) {
    std::smatch found;
    const bool is_notice = std::regex_match(line, found, notice);
    sum += is_notice ? std::stoull(found[1]) : 0;
    return is_notice;
  });
  return sum;
}

/// Redirects standard error into a file for its lifetime.
struct CapturedErrors {
  explicit CapturedErrors(const std::string& path) {
    std::fflush(stderr);
    const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    dup2(file, STDERR_FILENO);
    ::close(file);
  }
  ~CapturedErrors() {
    std::fflush(stderr);
    dup2(before, STDERR_FILENO);
    ::close(before);
  }
  int before = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
};

WallTime at(std::int64_t seconds, std::int64_t us) {
  return WallTime{std::chrono::seconds{seconds} + std::chrono::microseconds{us}};
}

}  // namespace

BOOST_AUTO_TEST_SUITE(host_log)

BOOST_AUTO_TEST_CASE(a_line_has_its_time_its_level_the_context_and_its_fields) {
  const Folder folder;
  const auto log = open_log({.path = folder.file("a.log"), .context = "phase=1 node=2"});
  {
    LogWriter writer{*log};
    writer.write(Level::info, "event=request op=c7.12");
  }
  log->close();
  const auto lines = lines_of(folder.file("a.log"));
  BOOST_TEST_REQUIRE(lines.size() == 1U);
  const std::regex form{R"(\d{4}-[01]\d-[0-3]\dT[0-2]\d:[0-5]\d:[0-6]\d\.\d{6}Z )"
                        R"(info phase=1 node=2 event=request op=c7\.12)"};
  BOOST_TEST(std::regex_match(lines[0], form), lines[0]);
}

BOOST_AUTO_TEST_CASE(a_line_written_in_place_is_as_any_other_however_long) {
  const Folder folder;
  const auto log = open_log({.path = folder.file("a.log"), .context = "phase=1"});
  const std::string longest(3 * LogWriter::batch_bytes, 'x');
  {
    LogWriter writer{*log};
    for (const std::string& fields : {std::string{"event=a"}, longest, std::string{"event=b"}}) {
      char* const at = writer.begin(Level::info, WallTime{}, fields.size());
      writer.end(Level::info, std::ranges::copy(fields, at).out);
    }
  }
  log->close();
  const std::string head = "1970-01-01T00:00:00.000000Z info phase=1 ";
  BOOST_TEST((lines_of(folder.file("a.log")) ==
              std::vector<std::string>{head + "event=a", head + longest, head + "event=b"}));
}

BOOST_AUTO_TEST_CASE(a_line_without_context_has_no_extra_blank) {
  const Folder folder;
  const auto log = open_log({.path = folder.file("a.log")});
  LogWriter{*log}.write(Level::warn, "event=x");
  log->close();
  const std::string line = lines_of(folder.file("a.log")).at(0);
  BOOST_TEST(line.substr(27) == " warn event=x");
}

BOOST_AUTO_TEST_CASE(a_time_stamp_is_utc_to_the_microsecond_also_when_the_date_is_cached) {
  TimeStamp stamp;
  BOOST_TEST(stamp.of(at(0, 0)) == "1970-01-01T00:00:00.000000Z");
  BOOST_TEST(stamp.of(at(0, 7)) == "1970-01-01T00:00:00.000007Z");
  BOOST_TEST(stamp.of(at(1'795'175'999, 999'999)) == "2026-11-20T11:59:59.999999Z");
  BOOST_TEST(stamp.of(at(1'795'176'000, 123'456)) == "2026-11-20T12:00:00.123456Z");
  BOOST_TEST(stamp.of(at(1'795'175'999, 0)) == "2026-11-20T11:59:59.000000Z");  // set back
  BOOST_TEST(stamp.of(at(951'782'400, 1)) == "2000-02-29T00:00:00.000001Z");
}

BOOST_AUTO_TEST_CASE(lines_below_the_level_are_not_written) {
  const Folder folder;
  const auto log = open_log({.path = folder.file("a.log"), .level = Level::warn});
  {
    LogWriter writer{*log};
    BOOST_TEST(!writer.wants(Level::info));
    for (const Level level : {Level::debug, Level::info, Level::warn, Level::error}) {
      writer.write(level, "event=" + std::string{name_of(level)});
    }
  }
  log->close();
  const auto lines = lines_of(folder.file("a.log"));
  BOOST_TEST_REQUIRE(lines.size() == 2U);
  BOOST_TEST(lines[0].ends_with(" warn event=warn"));
  BOOST_TEST(lines[1].ends_with(" error event=error"));
}

BOOST_AUTO_TEST_CASE(a_value_with_line_ends_and_quotes_stays_on_one_line) {
  const Folder folder;
  const auto log = open_log({.path = folder.file("a.log")});
  LogWriter{*log}.write(Level::info,
                        wire::LogFields{}.add("event", "x").add("key", "a \"b\"\nc\x01").text());
  log->close();
  const auto lines = lines_of(folder.file("a.log"));
  BOOST_TEST_REQUIRE(lines.size() == 1U);
  BOOST_TEST(lines[0].ends_with(R"(event=x key="a \"b\"\nc\x01")"), lines[0]);
}

BOOST_AUTO_TEST_CASE(an_error_is_handed_over_at_once_and_the_rest_when_flushed) {
  const Folder folder;
  const auto log = open_log({.path = folder.file("a.log")});
  LogWriter writer{*log};
  writer.write(Level::info, "event=first");
  BOOST_TEST(writer.holds_lines());
  writer.write(Level::error, "event=second");
  BOOST_TEST(!writer.holds_lines());
  writer.write(Level::info, "event=third");
  writer.flush();
  BOOST_TEST(!writer.holds_lines());
  log->close();
  BOOST_TEST(lines_of(folder.file("a.log")).size() == 3U);
}

BOOST_AUTO_TEST_CASE(the_folders_on_the_way_are_made_and_an_old_log_is_appended_to) {
  const Folder folder;
  const std::string path = folder.file("deep/er/a.log");
  for (int run = 0; run < 2; ++run) {
    const auto log = open_log({.path = path});
    LogWriter{*log}.write(Level::info, "event=start");
  }
  BOOST_TEST(lines_of(path).size() == 2U);
}

BOOST_AUTO_TEST_CASE(a_log_that_cannot_be_opened_is_refused_with_the_reason) {
  const Folder folder;
  std::string why;
  BOOST_TEST(!Log::open({.path = folder.path.string()}, why));
  BOOST_TEST(why.find("Is a directory") != std::string::npos, why);
  std::ofstream{folder.file("file")} << "x";
  BOOST_TEST(!Log::open({.path = folder.file("file/a.log")}, why));
  BOOST_TEST(why.find(folder.file("file")) != std::string::npos, why);
  BOOST_TEST_REQUIRE(mkfifo(folder.file("pipe").c_str(), 0600) == 0);
  BOOST_TEST(!Log::open({.path = folder.file("pipe")}, why), "a pipe without a reader");
}

BOOST_AUTO_TEST_CASE(no_line_of_many_threads_is_lost_torn_or_out_of_its_threads_order) {
  constexpr int threads = 4;
  constexpr int lines_each = 20'000;
  const Folder folder;
  const auto log = open_log({.path = folder.file("a.log")});
  std::vector<std::thread> pens;
  for (int thread = 0; thread < threads; ++thread) {
    pens.emplace_back([&log, thread] {
      LogWriter writer{*log};
      for (int line = 0; line < lines_each; ++line) {
        writer.write(Level::info, wire::LogFields{}.add("thread", thread).add("line", line).text());
      }
    });
  }
  for (std::thread& pen : pens) {
    pen.join();
  }
  log->close();
  BOOST_TEST(log->lines_dropped() == 0U);
  std::vector<int> next(threads, 0);
  for (const std::string& line : lines_of(folder.file("a.log"))) {
    const auto thread = static_cast<std::size_t>(line.at(line.find("thread=") + 7) - '0');
    const std::string expected = " line=" + std::to_string(next.at(thread)++);
    BOOST_REQUIRE_MESSAGE(line.ends_with(expected), line);
  }
  BOOST_TEST(next == std::vector<int>(threads, lines_each));
}

BOOST_AUTO_TEST_CASE(a_pipe_that_nobody_reads_costs_bounded_memory_no_waiting_and_counted_lines) {
  const Folder folder;
  const std::string path = folder.file("pipe");
  BOOST_TEST_REQUIRE(mkfifo(path.c_str(), 0600) == 0);
  const int reader = open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  auto log = open_log({.path = path, .pending_bytes_max = 256 * 1024});
  constexpr std::uint64_t produced = 20'000;
  {
    LogWriter writer{*log};
    for (std::uint64_t line = 0; line < produced; ++line) {
      writer.write(Level::info, "event=a_line_of_about_one_hundred_bytes_with_its_time_stamp");
      BOOST_REQUIRE_LE(log->bytes_pending(), 256U * 1024U);
    }
  }
  BOOST_TEST(log->lines_dropped() > 0U);

  // Now somebody reads: everything that was kept arrives, and a line says what was not.
  std::string text;
  fcntl(reader, F_SETFL, 0);
  std::thread reading{[&] {
    char bytes[4096];
    for (ssize_t n = 0; (n = read(reader, bytes, sizeof bytes)) > 0;) {
      text.append(bytes, static_cast<std::size_t>(n));
    }
  }};
  log->close();
  const std::uint64_t dropped = log->lines_dropped();
  log.reset();  // the reader's end of file
  reading.join();
  ::close(reader);
  std::ofstream{folder.file("copy")} << text;
  auto lines = lines_of(folder.file("copy"));
  BOOST_TEST(take_notices(lines) == dropped);
  BOOST_TEST(lines.size() + dropped == produced);
}

BOOST_AUTO_TEST_CASE(a_notice_stands_before_the_first_batch_that_fits_again) {
  const Folder folder;
  const auto log = open_log({.path = folder.file("a.log"), .pending_bytes_max = 4096});
  LogWriter writer{*log};
  writer.write(Level::info, "event=huge value=" + std::string(5000, 'x'));
  writer.flush();
  writer.write(Level::info, "event=small");
  writer.flush();
  log->close();
  const auto lines = lines_of(folder.file("a.log"));
  BOOST_TEST_REQUIRE(lines.size() == 2U);
  BOOST_TEST(lines[0].ends_with(" warn event=dropped_lines count=1"));
  BOOST_TEST(lines[1].ends_with(" info event=small"));
  BOOST_TEST(log->lines_dropped() == 1U);
}

BOOST_AUTO_TEST_CASE(lines_dropped_last_are_told_at_close) {
  const Folder folder;
  const auto log = open_log({.path = folder.file("a.log"), .pending_bytes_max = 100});
  LogWriter{*log}.write(Level::info, std::string(200, 'x'));
  log->close();
  const auto lines = lines_of(folder.file("a.log"));
  BOOST_TEST_REQUIRE(lines.size() == 1U);
  BOOST_TEST(lines[0].ends_with("event=dropped_lines count=1"));
}

BOOST_AUTO_TEST_CASE(more_batches_than_the_ring_holds_are_dropped_not_waited_for) {
  const Folder folder;
  const std::string path = folder.file("pipe");
  BOOST_TEST_REQUIRE(mkfifo(path.c_str(), 0600) == 0);
  const int reader = open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  const CapturedErrors errors{folder.file("errors")};
  const auto log = open_log({.path = path, .close_patience = Duration::zero()});
  LogWriter writer{*log};
  const std::string fields(200, 'x');
  for (std::size_t batch = 0; batch < 2 * Log::pending_batches_max; ++batch) {
    writer.write(Level::error, fields);  // each a batch of its own
  }
  BOOST_TEST(log->lines_dropped() > 0U);
  log->close();
  BOOST_TEST(log->bytes_pending() == 0U);
  ::close(reader);
}

BOOST_AUTO_TEST_CASE(a_full_disk_drops_and_counts_every_line_and_says_so_once) {
  const Folder folder;
  std::uint64_t dropped = 0;
  {
    const CapturedErrors errors{folder.file("errors")};
    const auto log = open_log({.path = "/dev/full"});
    for (int batch = 0; batch < 100; ++batch) {
      LogWriter{*log}.write(Level::info, "event=lost");
    }
    log->close();
    dropped = log->lines_dropped();
  }
  BOOST_TEST(dropped == 100U);
  const auto lines = lines_of(folder.file("errors"));
  BOOST_TEST_REQUIRE(lines.size() == 2U);
  BOOST_TEST(lines[0] ==
             "log: cannot write /dev/full: No space left on device; lines are dropped and counted");
  BOOST_TEST(lines[1] == "log: 100 lines are missing at the end of /dev/full");
}

BOOST_AUTO_TEST_CASE(a_reader_that_goes_away_does_not_end_the_process) {
  const Folder folder;
  const std::string path = folder.file("pipe");
  BOOST_TEST_REQUIRE(mkfifo(path.c_str(), 0600) == 0);
  const int reader = open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  const CapturedErrors errors{folder.file("errors")};
  const auto log = open_log({.path = path});
  ::close(reader);
  LogWriter{*log}.write(Level::info, "event=lost");
  log->close();
  BOOST_TEST(log->lines_dropped() == 1U);
}

BOOST_AUTO_TEST_CASE(a_pipe_that_nobody_reads_does_not_hold_up_the_end) {
  const Folder folder;
  const std::string path = folder.file("pipe");
  BOOST_TEST_REQUIRE(mkfifo(path.c_str(), 0600) == 0);
  const int reader = open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  {
    const CapturedErrors errors{folder.file("errors")};
    const auto log = open_log({.path = path, .close_patience = Duration::zero()});
    {
      LogWriter writer{*log};
      for (int line = 0; line < 4'000; ++line) {
        writer.write(Level::info, std::string(100, 'x'));
      }
    }
    log->close();
    BOOST_TEST(log->lines_dropped() > 0U);
  }
  ::close(reader);
  const auto lines = lines_of(folder.file("errors"));
  BOOST_TEST_REQUIRE(lines.size() == 2U);
  BOOST_TEST(lines[0].find("nobody reads it") != std::string::npos);
  BOOST_TEST(lines[1].find("lines are missing at the end") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::host
