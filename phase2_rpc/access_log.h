// The log lines of RPC requests and answers, in the words of the front door's.
//
//   event=request op=c7.12 from=127.0.0.1:4711 transport=rpc method=kv.put verb=put key=a bytes=67
//   event=answer op=c7.12 to=127.0.0.1:4711 transport=rpc method=kv.put verb=put result=ok us=3
//
// `op` is the client's; a call without one is named by its connection and number. Calls between
// replicas are not logged here: a replica's own lines tell of its messages.
#pragma once

#include <array>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "common/core/level.h"
#include "common/host/log.h"
#include "phase2_rpc/dispatcher.h"

namespace kv::rpc {

/// Used from any thread. Has a thread of its own that hands gathered lines over in time.
class AccessLog {
 public:
  /// `log` outlives this, and this the dispatchers it is attached to.
  explicit AccessLog(host::Log& log);
  AccessLog(const AccessLog&) = delete;
  AccessLog& operator=(const AccessLog&) = delete;
  ~AccessLog();

  /// From now on the dispatcher's calls are logged; nothing happens if the log does not want them.
  void attach(Dispatcher& dispatcher);

  /// Any other line.
  void write(Level level, std::string_view fields);

 private:
  /// Threads share a pen rarely, so that its lock is cheap.
  struct alignas(64) Pen {
    explicit Pen(host::Log& log) : writer(log) {}

    std::mutex mutex;  // guards both
    host::LogWriter writer;
    std::string line;
  };
  static constexpr std::size_t pen_count = 16;

  static bool is_clients(const CallContext& context);
  Pen& my_pen();
  void request(const CallContext& context);
  void answer(const CallContext& context, const CallResult& result, Duration took);
  void end_line(Pen& pen, Level level);
  void flush_in_time();

  host::Log& log_;
  std::array<std::unique_ptr<Pen>, pen_count> pens_;
  std::mutex mutex_;  // guards the wait of flush_in_time()
  std::condition_variable woken_;
  std::atomic<bool> lines_wait_{false};
  bool closing_ = false;
  std::thread flusher_;
};

}  // namespace kv::rpc
