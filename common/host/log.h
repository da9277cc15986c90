// The log: one event a line, in logfmt, through a bounded asynchronous sink.
//
//   2026-11-20T12:00:00.123456Z info phase=1 node=1 event=request op=c7.12 from=127.0.0.1:4711
//
// Each thread gathers its lines in a LogWriter of its own and hands them over in batches, so that
// a line costs neither a lock nor a wake-up; spdlog's asynchronous logger takes a batch as one
// message to the one thread that writes. When the disk is slower than the lines come, or fails,
// lines are dropped and counted, never waited for: written and dropped lines together are all
// that were produced. As soon as there is room again, and at the latest at close(), one line says
// `event=dropped_lines count=N`. A file that cannot be written is tried again with each batch,
// and standard error hears of it, at most once a minute.
#pragma once

#include <atomic>
#include <cstdint>
#include <ctime>
#include <memory>
#include <string>
#include <string_view>

#include "common/core/level.h"
#include "common/core/time.h"

namespace kv::host {

/// UTC with microseconds, as in `2026-11-20T12:00:00.123456Z`; formats the date once a second.
class TimeStamp {
 public:
  static constexpr std::size_t bytes = 27;
  /// Of `time`, until the next call.
  std::string_view of(WallTime time);

 private:
  void renew(std::time_t second);

  WallTime time_ = WallTime::min();
  std::time_t second_ = -1;
  char text_[28] = "0000-00-00T00:00:00.000000Z";
};

/// One log file of one process. Writers of many threads may use it at once.
class Log {
 public:
  struct Options {
    std::string path;     // "-" is standard error; folders on the way are made; lines are appended
    std::string context;  // fields of every line, in logfmt: "phase=1 node=2"
    Level level = Level::info;
    std::size_t pending_bytes_max = std::size_t{16} * 1024 * 1024;
    Duration close_patience = std::chrono::seconds{2};
  };

  /// How many batches may wait, whatever their size.
  static constexpr std::size_t pending_batches_max = 2048;

  /// Nothing, and a reason in `why`, if the file cannot be opened.
  static std::unique_ptr<Log> open(const Options& options, std::string& why);

  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;
  ~Log();  // as close()

  /// Waits until everything handed over is in the file. Writers must have flushed before, and
  /// write no more. If the path is a pipe whose reader takes nothing for `close_patience`, the
  /// rest is dropped, and standard error says how many lines.
  void close();

  bool wants(Level level) const { return level >= options_.level; }

  /// Lines that will never be in the file, since the start.
  std::uint64_t lines_dropped() const;

  /// Bytes handed over and not yet written.
  std::size_t bytes_pending() const;

 private:
  friend class LogWriter;
  struct Sink;
  struct Queue;
  Log(Options options, std::shared_ptr<Sink> sink);

  /// `batch` is room for a BatchHead, which is filled in, and whole lines. Never waits.
  void hand_over(char* batch, std::size_t bytes, std::uint64_t lines);

  Options options_;
  std::shared_ptr<Sink> sink_;
  std::unique_ptr<Queue> queue_;  // none after close()
};

/// One thread's pen. Not for use by two threads. Must not outlive its Log.
class LogWriter {
 public:
  explicit LogWriter(Log& log);
  LogWriter(const LogWriter&) = delete;
  LogWriter& operator=(const LogWriter&) = delete;
  ~LogWriter();  // flushes

  bool wants(Level level) const { return log_.wants(level); }

  /// Adds one line if the log wants its level; `fields` are in logfmt. A line of level error is
  /// handed over at once, others when batch_bytes have gathered or at flush().
  void write(Level level, std::string_view fields);

  /// The same without a copy, of a level that the log wants: the fields, `room` bytes at most, are
  /// put where begin() says, and end() is told where they end. Nothing comes between the two.
  char* begin(Level level, WallTime time, std::size_t room);
  void end(Level level, const char* fields_end);

  /// Hands over what has gathered. To be called within flush_interval after holds_lines() became
  /// true: a busy loop by a timer, not every turn, since each call may wake the writing thread.
  void flush();
  bool holds_lines() const { return lines_ > 0; }

  static constexpr std::size_t batch_bytes = std::size_t{32} * 1024;
  static constexpr Duration flush_interval = std::chrono::milliseconds{20};

 private:
  Log& log_;
  TimeStamp stamp_;
  std::string after_time_[4];  // by level: " info phase=1 node=2 "
  std::string batch_;          // a BatchHead, lines up to used_, and room
  std::size_t used_;
  std::uint64_t lines_ = 0;
};

}  // namespace kv::host
