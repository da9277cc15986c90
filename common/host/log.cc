#include "common/host/log.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <spdlog/async.h>
#include <spdlog/async_logger.h>
#include <spdlog/sinks/base_sink.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <optional>
#include <stdexcept>

#include "common/core/check.h"
#include "common/host/clock.h"
#include "common/wire/logfmt.h"

namespace kv::host {
namespace {

constexpr Duration complaint_interval = std::chrono::minutes{1};
constexpr int poll_interval_ms = 50;
constexpr std::size_t batch_room = 4096;       // for the line that fills a batch
constexpr std::size_t pipe_step_bytes = 4096;  // a pipe that polls writable takes as much at once

/// What stands before the lines of each message from a writer to the sink.
struct BatchHead {
  std::uint64_t dropped_before = 0;  // to be told in a line of its own, ahead of the batch
};

void put_digits(char* at, int digits, std::int64_t value) {
  auto rest = static_cast<std::uint32_t>(value);  // half as dear to divide
  for (int i = digits - 1; i >= 0; --i) {
    at[i] = static_cast<char>('0' + rest % 10);
    rest /= 10;
  }
}

/// Nothing but the disk may stop the writing thread; a pipe without a reader is an error of
/// write(), and the other threads are there for SIGTERM.
void block_signals() {
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, nullptr);
}

std::uint64_t lines_in(std::string_view text) {
  return static_cast<std::uint64_t>(std::ranges::count(text, '\n'));
}

}  // namespace

// --- TimeStamp -----------------------------------------------------------------------------------

void TimeStamp::renew(std::time_t second) {
  std::tm utc{};
  gmtime_r(&second, &utc);
  put_digits(text_, 4, utc.tm_year + 1900);
  put_digits(text_ + 5, 2, utc.tm_mon + 1);
  put_digits(text_ + 8, 2, utc.tm_mday);
  put_digits(text_ + 11, 2, utc.tm_hour);
  put_digits(text_ + 14, 2, utc.tm_min);
  put_digits(text_ + 17, 2, utc.tm_sec);
  second_ = second;
}

std::string_view TimeStamp::of(WallTime time) {
  if (time == time_) {
    return {text_, bytes};
  }
  time_ = time;
  const auto since_1970 = time.time_since_epoch();
  const auto second = std::chrono::floor<std::chrono::seconds>(since_1970);
  if (second.count() != second_) {
    renew(second.count());
  }
  put_digits(text_ + 20, 6, (since_1970 - second).count());
  return {text_, bytes};
}

// --- the sink: one thread, which writes ----------------------------------------------------------

/// Runs on spdlog's thread, except what says otherwise.
struct Log::Sink : spdlog::sinks::base_sink<spdlog::details::null_mutex> {
  Sink(const Options& options, int file, bool is_regular)
      : path{options.path},
        after_time{" warn " + options.context + (options.context.empty() ? "" : " ")},
        close_patience{options.close_patience},
        fd{file},
        regular{is_regular} {}
  Sink(const Sink&) = delete;
  Sink& operator=(const Sink&) = delete;
  ~Sink() override {
    if (fd > STDERR_FILENO) {
      ::close(fd);
    }
  }

  void sink_it_(const spdlog::details::log_msg& message) override {
    const std::string_view payload{message.payload.data(), message.payload.size()};
    BatchHead head;
    std::memcpy(&head, payload.data(), sizeof head);
    if (head.dropped_before > 0 && !write_notice(head.dropped_before)) {
      unreported += head.dropped_before;
    }
    const std::string_view lines = payload.substr(sizeof head);
    const std::size_t written = write_all(lines);
    if (written < lines.size()) {
      count_dropped(lines_in(lines.substr(written)));
    }
    bytes_pending -= payload.size();
    --batches_pending;
  }
  void flush_() override {}

  bool write_notice(std::uint64_t count) {
    std::string line{stamp.of(wall_now())};
    line += after_time;
    line += wire::LogFields{}.add("event", "dropped_lines").add("count", count).text();
    line += '\n';
    return write_all(line) == line.size();
  }

  void write_last_notice() {
    const std::uint64_t count = unreported.exchange(0);
    if (count > 0 && !write_notice(count)) {
      std::fprintf(stderr, "log: %llu lines are missing at the end of %s\n",
                   static_cast<unsigned long long>(count), path.c_str());
    }
  }

  /// How many bytes reached the file; all, or there was an error, which it has reported.
  std::size_t write_all(std::string_view text) {
    std::size_t done = 0;
    if (torn && !text.empty() && write_some("\n") != 1) {
      return 0;
    }
    torn = false;
    while (done < text.size()) {
      const ssize_t n = write_some(text.substr(done));
      if (n < 0) {
        break;
      }
      done += static_cast<std::size_t>(n);
    }
    torn = done > 0 && text[done - 1] != '\n';
    return done;
  }

  /// As write(2), but waits for a pipe until close()'s patience is at its end.
  ssize_t write_some(std::string_view text) {
    text = text.substr(0, regular ? text.size() : pipe_step_bytes);
    ssize_t n = 0;
    do {
      if (!regular && !wait_for_room()) {
        return -1;
      }
      n = ::write(fd, text.data(), text.size());
    } while (n < 0 && (errno == EINTR || errno == EAGAIN));
    if (n <= 0) {
      complain(n < 0 ? std::strerror(errno) : "nothing was written");
      return -1;
    }
    last_progress = run_now();
    return n;
  }

  bool wait_for_room() {
    pollfd wanted{.fd = fd, .events = POLLOUT, .revents = 0};
    while (true) {
      const bool given_up = patience_is_over();
      if (poll(&wanted, 1, given_up ? 0 : poll_interval_ms) > 0) {
        return true;
      }
      if (given_up) {
        complain("nobody reads it");
        return false;
      }
    }
  }

  bool patience_is_over() const {
    const Instant closing = closing_since;
    return closing != never && run_now() - std::max(last_progress, closing) >= close_patience;
  }

  void complain(const char* why) {
    const Instant now = run_now();
    if (complained && now - *complained < complaint_interval) {
      return;
    }
    complained = now;
    std::fprintf(stderr, "log: cannot write %s: %s; lines are dropped and counted\n", path.c_str(),
                 why);
  }

  /// From any thread.
  void count_dropped(std::uint64_t lines) {
    dropped += lines;
    unreported += lines;
  }

  const std::string path;
  const std::string after_time;
  const Duration close_patience;
  const int fd;
  const bool regular;

  std::atomic<std::size_t> bytes_pending{0};
  std::atomic<std::size_t> batches_pending{0};
  std::atomic<std::uint64_t> dropped{0};
  std::atomic<std::uint64_t> unreported{0};   // dropped, and no line says so yet
  std::atomic<Instant> closing_since{never};  // from close() on

  TimeStamp stamp;
  bool torn = false;  // the file ends within a line
  Instant last_progress{};
  std::optional<Instant> complained;
};

/// spdlog's part: a ring of batches and the thread that empties it. The ring is larger than
/// pending_batches_max, so that it is never full and enqueueing never waits.
struct Log::Queue {
  explicit Queue(const std::shared_ptr<Sink>& sink)
      : pool{std::make_shared<spdlog::details::thread_pool>(
            pending_batches_max + 2, 1, block_signals, [sink] { sink->write_last_notice(); })},
        logger{std::make_shared<spdlog::async_logger>("log", sink, pool)} {
    // Only the lack of memory comes here: that ends the process, as it does everywhere.
    logger->set_error_handler([](const std::string& why) { throw std::runtime_error{why}; });
  }

  std::shared_ptr<spdlog::details::thread_pool> pool;  // its end empties the ring
  std::shared_ptr<spdlog::async_logger> logger;
};

// --- Log -----------------------------------------------------------------------------------------

std::unique_ptr<Log> Log::open(const Options& options, std::string& why) {
  int fd = STDERR_FILENO;
  if (options.path != "-") {
    const auto folder = std::filesystem::path{options.path}.parent_path();
    std::error_code error;
    if (!folder.empty() && !std::filesystem::create_directories(folder, error) && error) {
      why = "cannot make the log's folder " + folder.string() + ": " + error.message();
      return nullptr;
    }
    // Without O_NONBLOCK, opening a pipe that nobody reads would wait for a reader.
    fd = ::open(options.path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0644);
  }
  struct stat status {};
  if (fd < 0 || fstat(fd, &status) != 0) {
    why = "cannot open log " + options.path + ": " + std::strerror(errno);
    return nullptr;
  }
  return std::unique_ptr<Log>{
      new Log{options, std::make_shared<Sink>(options, fd, S_ISREG(status.st_mode))}};
}

Log::Log(Options options, std::shared_ptr<Sink> sink)
    : options_{std::move(options)}, sink_{std::move(sink)}, queue_{new Queue{sink_}} {}

Log::~Log() {
  close();
}

void Log::close() {
  if (!queue_) {
    return;
  }
  sink_->closing_since = run_now();
  queue_.reset();
}

std::uint64_t Log::lines_dropped() const {
  return sink_->dropped;
}

std::size_t Log::bytes_pending() const {
  return sink_->bytes_pending;
}

void Log::hand_over(char* batch, std::size_t bytes, std::uint64_t lines) {
  check(queue_ != nullptr);
  Sink& sink = *sink_;
  const bool bytes_fit = sink.bytes_pending.fetch_add(bytes) + bytes <= options_.pending_bytes_max;
  const bool one_more_fits = sink.batches_pending.fetch_add(1) < pending_batches_max;
  if (!bytes_fit || !one_more_fits) {
    sink.bytes_pending -= bytes;
    --sink.batches_pending;
    sink.count_dropped(lines);
    return;
  }
  const BatchHead head{.dropped_before = sink.unreported.exchange(0)};
  std::memcpy(batch, &head, sizeof head);
  queue_->logger->log(spdlog::level::info, spdlog::string_view_t{batch, bytes});
}

// --- LogWriter -----------------------------------------------------------------------------------

LogWriter::LogWriter(Log& log)
    : log_{log}, batch_(batch_bytes + batch_room, '\0'), used_{sizeof(BatchHead)} {
  for (const Level level : {Level::debug, Level::info, Level::warn, Level::error}) {
    std::string& text = after_time_[static_cast<std::size_t>(level)];
    text = " " + std::string{name_of(level)} + " ";
    if (!log.options_.context.empty()) {
      text += log.options_.context + " ";
    }
  }
}

LogWriter::~LogWriter() {
  flush();
}

void LogWriter::write(Level level, std::string_view fields) {
  if (!wants(level)) {
    return;
  }
  char* const at = begin(level, wall_now(), fields.size());
  if (!fields.empty()) {
    std::memcpy(at, fields.data(), fields.size());
  }
  end(level, at + fields.size());
}

char* LogWriter::begin(Level level, WallTime time, std::size_t room) {
  const std::string& after_time = after_time_[static_cast<std::size_t>(level)];
  const std::size_t needed = used_ + TimeStamp::bytes + after_time.size() + room + 1;
  if (needed > batch_.size()) [[unlikely]] {
    batch_.resize(needed);
  }
  char* const at = batch_.data() + used_;
  std::memcpy(at, stamp_.of(time).data(), TimeStamp::bytes);
  after_time.copy(at + TimeStamp::bytes, after_time.size());
  return at + TimeStamp::bytes + after_time.size();
}

void LogWriter::end(Level level, const char* fields_end) {
  used_ = static_cast<std::size_t>(fields_end - batch_.data());
  check(used_ < batch_.size());
  batch_[used_++] = '\n';
  ++lines_;
  if (used_ >= batch_bytes || level == Level::error) {
    flush();
  }
}

void LogWriter::flush() {
  if (lines_ == 0) {
    return;
  }
  log_.hand_over(batch_.data(), used_, lines_);
  lines_ = 0;
  used_ = sizeof(BatchHead);
  if (batch_.size() > 4 * batch_bytes) {
    std::string(batch_bytes + batch_room, '\0').swap(batch_);  // one line was huge
  }
}

}  // namespace kv::host
