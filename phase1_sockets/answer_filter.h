// Tells the answer that a client waits for from everything else that arrives: late and repeated
// answers, answers to others, and what is no answer at all. All of that is logged and ignored.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/client/transport.h"
#include "common/core/bytes.h"
#include "common/kv/command.h"
#include "common/wire/line.h"

namespace kv::sockets {

class AnswerFilter {
 public:
  explicit AnswerFilter(client::EventSink& events) : events_(events) {}
  AnswerFilter(const AnswerFilter&) = delete;
  AnswerFilter& operator=(const AnswerFilter&) = delete;

  /// From now on the answer to `command` is awaited.
  void expect(const Command& command);

  /// The reply, if `line` (one answer, without its line end) is the awaited one; it is then no
  /// longer awaited. Else nothing, and a log line.
  std::optional<Reply> take(ByteView line, std::string_view from);

  /// Nothing is awaited any more. What take() counted instead of logging is logged as one line.
  void settle();

  /// What the server said to nobody's request since expect(), such as "too many connections"
  /// before it closes; else empty.
  const std::string& complaint() const { return complaint_; }

  /// Between two settle(): a peer that sends nothing but rubbish does not fill the disk.
  static constexpr std::uint64_t logged_max = 20;

 private:
  bool awaited(const Origin& origin) const;
  void ignore(std::string_view event, std::string_view why, ByteView line, std::string_view from);

  client::EventSink& events_;
  std::optional<Origin> awaited_;
  Verb verb_ = Verb::get;
  Origin newest_;  // what was awaited last
  wire::LineAnswer answer_;
  std::string complaint_;
  std::uint64_t ignored_ = 0;
};

}  // namespace kv::sockets
