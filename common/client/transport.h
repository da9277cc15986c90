// How the console reaches a server: one operation at a time, each with an outcome that says what
// is certain.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "common/core/level.h"
#include "common/core/time.h"
#include "common/kv/command.h"

namespace kv::client {

/// What became of one operation. Only `not_sent` is certain not to have been done; after
/// `timed_out` and `lost` a write may have been, may still be, or may never be.
enum class Outcome : std::uint8_t {
  answered,   // `reply` is the server's
  timed_out,  // it was sent, and no answer came in time
  lost,       // it was sent, and the connection ended before an answer
  not_sent,   // it never left whole
};

struct CallResult {
  Outcome outcome = Outcome::not_sent;
  Reply reply;      // answered
  std::string why;  // not answered: the reason, one line

  bool operator==(const CallResult&) const = default;
};

inline CallResult not_sent(std::string why) {
  return {.outcome = Outcome::not_sent, .reply = {}, .why = std::move(why)};
}

/// Where a client's log lines go. `fields` are in logfmt; whoever writes them adds the time.
class EventSink {
 public:
  EventSink() = default;
  EventSink(const EventSink&) = delete;
  EventSink& operator=(const EventSink&) = delete;
  virtual ~EventSink() = default;

  virtual void event(Level level, std::string_view fields) = 0;
};

class Transport {
 public:
  Transport() = default;
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;
  virtual ~Transport() = default;

  /// Sends `command`, whose origin is set and differs from that of every other call, and waits
  /// for its answer: connecting, resending and reconnecting included, not longer than `timeout`.
  /// What else arrives meanwhile is logged and ignored.
  virtual CallResult call(const Command& command, Duration timeout) = 0;

  /// Whom it talks to and how, for people: "tcp localhost:1111".
  virtual std::string server() const = 0;
};

}  // namespace kv::client
