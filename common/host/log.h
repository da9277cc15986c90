// The log: one event a line, in logfmt, through a bounded asynchronous sink.
//
//   2026-11-20T12:00:00.123456Z info phase=1 node=1 event=request op=c7.12 from=127.0.0.1:4711
//
// Each thread gathers its lines in a LogWriter of its own and hands them over in batches, so that
// a line costs neither a lock nor a wake-up. When the disk is slower than the lines come, lines
// are dropped and counted: as soon as there is room again, one line says
// `event=dropped_lines count=N`. Nobody ever waits for the disk; close() loses nothing it was
// handed.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "common/core/level.h"
#include "common/core/time.h"

namespace kv::host {

class Log {
 public:
  struct Options {
    std::string path;     // "-" is standard error; folders on the way are made; lines are appended
    std::string context;  // fields of every line, in logfmt: "phase=1 node=2"
    Level level = Level::info;
    std::size_t pending_bytes_max = 16 * 1024 * 1024;
  };

  /// Nothing, and a reason in `why`, if the file cannot be opened.
  static std::unique_ptr<Log> open(const Options& options, std::string& why);

  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;
  ~Log();  // as close()

  /// Waits until everything handed over is in the file. Writers must have flushed before.
  void close();

  bool wants(Level level) const { return level >= options_.level; }
  std::uint64_t lines_dropped() const;

 private:
  friend class LogWriter;
  explicit Log(const Options& options);

  Options options_;
  struct Sink;
  std::unique_ptr<Sink> sink_;
};

/// One thread's pen. Not for use by two threads.
class LogWriter {
 public:
  explicit LogWriter(Log& log);
  LogWriter(const LogWriter&) = delete;
  LogWriter& operator=(const LogWriter&) = delete;
  ~LogWriter();  // flushes

  bool wants(Level level) const { return log_.wants(level); }

  /// Adds one line; `fields` are in logfmt. A line of level error is handed over at once, others
  /// when batch_bytes have gathered or at flush().
  void write(Level level, std::string_view fields);

  /// Hands over what has gathered. Call it when the thread is about to sleep, or after
  /// `flush_interval` at the latest.
  void flush();
  bool holds_lines() const { return !batch_.empty(); }

  static constexpr std::size_t batch_bytes = 32 * 1024;
  static constexpr Duration flush_interval = std::chrono::milliseconds{20};

 private:
  Log& log_;
  std::string batch_;
  std::uint64_t lines_ = 0;
};

}  // namespace kv::host
