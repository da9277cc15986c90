// The log lines of one event loop: requests, answers, connections, and what was no request.
//
//   event=request op=c7.12 from=127.0.0.1:4711 transport=tcp verb=put key=a bytes=64
//   event=answer op=c7.12 to=127.0.0.1:4711 transport=tcp verb=put result=ok us=3
//
// `op` is the client's ID; a request without one is named by the lane, or numbered by its
// connection. What a client
// sent appears as key alone, quoted where needed; values and malformed bytes never do.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/core/time.h"
#include "common/host/log.h"
#include "common/kv/command.h"
#include "phase1_sockets/event_loop.h"

namespace kv::sockets {

/// Who talks, as the log names it.
struct Speaker {
  std::string_view address;    // 127.0.0.1:4711
  std::string_view transport;  // tcp or udp
  std::uint64_t connection = 0;
};

class RequestLog {
 public:
  RequestLog(EventLoop& loop, host::Log& log);

  /// Ask before building anything for request() and answer().
  bool wants_requests() const { return writer_.wants(Level::info); }

  /// What time it is. The lines that come next have it, up to the next look: an answer takes one
  /// of its own, a request has the time of what came before it. Only those who write ask.
  Instant look_at_clock();

  void request(const Speaker& who, std::uint64_t number, const Command& command);
  void answer(const Speaker& who, std::uint64_t number, const Command& command,
              const ReplyView& reply, Instant asked_at);
  void malformed(const Speaker& who, std::size_t bytes);
  void opened(const Speaker& who);
  void closed(const Speaker& who, std::string_view why);

  /// Any other line.
  void write(Level level, std::string_view fields);

  /// Gives all lines out now. When its loop's thread is over, any thread may.
  void flush() { writer_.flush(); }

 private:
  class Pen;
  Pen begin(Level level, std::size_t more_room);
  void end(Level level, const Pen& pen);

  host::LogWriter writer_;
  Instant now_{};
  Duration wall_ahead_{};                      // of the run clock …
  Instant compare_again_at_ = Instant::min();  // … as it was at most a millisecond ago
  std::string quoted_;                         // a key or an ID on its way into it
  Alarm flush_;
};

}  // namespace kv::sockets
