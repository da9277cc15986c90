#include "phase1_sockets/request_log.h"

#include <charconv>
#include <cstring>
#include <string>

#include "common/host/clock.h"
#include "common/wire/line.h"
#include "common/wire/logfmt.h"

namespace kv::sockets {
namespace {

/// What a line of ours holds beside a key and a peer's address: words, numbers, an ID.
constexpr std::size_t fixed_room = 512;
static_assert(2 * origin_part_bytes_max + 1 <= fixed_room / 2);
constexpr std::size_t escaped_bytes_max = 4;  // of one byte; and two quotes
/// How old the comparison of the two clocks may be.
constexpr Duration comparison_age_max = std::chrono::milliseconds{1};

std::size_t room_for(std::string_view value) {
  return 2 + escaped_bytes_max * value.size();
}

}  // namespace

/// Writes where there is known to be room.
class RequestLog::Pen {
 public:
  Pen(char* at, std::string& quoted) : at_(at), quoted_(quoted) {}

  template <std::size_t size>
  Pen& text(const char (&literal)[size]) {  // of a length that is known: without a call
    std::memcpy(at_, literal, size - 1);
    at_ += size - 1;
    return *this;
  }
  Pen& text(std::string_view words) {
    if (!words.empty()) {
      std::memcpy(at_, words.data(), words.size());
      at_ += words.size();
    }
    return *this;
  }
  Pen& number(std::uint64_t value) {
    at_ = std::to_chars(at_, at_ + 20, value).ptr;
    return *this;
  }
  Pen& value(std::string_view value) {
    if (wire::is_bare_in_logfmt(value)) [[likely]] {
      return text(value);
    }
    quoted_.clear();
    wire::append_logfmt_value(quoted_, value);
    return text(quoted_);
  }
  Pen& id(const Speaker& who, std::uint64_t number_of_request, const Origin& origin) {
    if (origin.client.empty() && origin.sequence == 0) [[likely]] {
      return text(who.transport).number(who.connection).text(".").number(number_of_request);
    }
    quoted_.clear();
    wire::append_origin(quoted_, origin);
    return text(quoted_);
  }
  const char* at() const { return at_; }

 private:
  char* at_;
  std::string& quoted_;  // for what others append to a string
};

RequestLog::RequestLog(EventLoop& loop, host::Log& log)
    : writer_(log), flush_(loop, [this] { writer_.flush(); }) {}

Instant RequestLog::look_at_clock() {
  now_ = host::run_now();
  if (now_ >= compare_again_at_) [[unlikely]] {
    compare_again_at_ = now_ + comparison_age_max;
    wall_ahead_ = host::wall_now().time_since_epoch() - now_.time_since_epoch();
  }
  return now_;
}

void RequestLog::request(const Speaker& who, std::uint64_t number, const Command& command) {
  Pen pen = begin(Level::info, who.address.size() + room_for(command.key));
  pen.text("event=request op=").id(who, number, command.origin);
  pen.text(" from=").text(who.address);
  pen.text(" transport=").text(who.transport);
  pen.text(" verb=").text(name_of(command.verb));
  if (command.verb != Verb::ping) {
    pen.text(" key=").value(command.key);
  }
  if (changes_something(command.verb) && command.verb != Verb::erase) {
    pen.text(" bytes=").number(command.value.size());
  }
  end(Level::info, pen);
}

void RequestLog::answer(const Speaker& who, std::uint64_t number, const Command& command,
                        const ReplyView& reply, Instant asked_at) {
  const Duration took = look_at_clock() - asked_at;
  Pen pen = begin(Level::info, who.address.size());
  pen.text("event=answer op=").id(who, number, command.origin);
  pen.text(" to=").text(who.address);
  pen.text(" transport=").text(who.transport);
  pen.text(" verb=").text(name_of(command.verb));
  pen.text(" result=").text(name_of(reply.status));
  if (command.verb == Verb::get && reply.status == Status::ok) {
    pen.text(" bytes=").number(reply.value.size());
  }
  pen.text(" us=").number(static_cast<std::uint64_t>(took.count()));
  end(Level::info, pen);
}

void RequestLog::malformed(const Speaker& who, std::size_t bytes) {
  if (!writer_.wants(Level::warn)) {
    return;
  }
  look_at_clock();
  Pen pen = begin(Level::warn, who.address.size());
  pen.text("event=malformed bytes=").number(bytes);
  pen.text(" from=").text(who.address);
  pen.text(" transport=").text(who.transport);
  end(Level::warn, pen);
}

void RequestLog::opened(const Speaker& who) {
  if (!writer_.wants(Level::info)) {
    return;
  }
  look_at_clock();
  Pen pen = begin(Level::info, who.address.size());
  pen.text("event=connected connection=").number(who.connection);
  pen.text(" from=").text(who.address);
  end(Level::info, pen);
}

void RequestLog::closed(const Speaker& who, std::string_view why) {
  if (!writer_.wants(Level::info)) {
    return;
  }
  look_at_clock();
  Pen pen = begin(Level::info, who.address.size() + why.size());
  pen.text("event=closed connection=").number(who.connection);
  pen.text(" from=").text(who.address);
  pen.text(" why=").text(why);
  end(Level::info, pen);
}

void RequestLog::write(Level level, std::string_view fields) {
  if (!writer_.wants(level)) {
    return;
  }
  look_at_clock();
  Pen pen = begin(level, fields.size());
  pen.text(fields);
  end(level, pen);
}

RequestLog::Pen RequestLog::begin(Level level, std::size_t more_room) {
  const WallTime time{now_.time_since_epoch() + wall_ahead_};
  return Pen{writer_.begin(level, time, fixed_room + more_room), quoted_};
}

void RequestLog::end(Level level, const Pen& pen) {
  writer_.end(level, pen.at());
  if (writer_.holds_lines()) {
    flush_.arm(host::LogWriter::flush_interval);
  }
}

}  // namespace kv::sockets
