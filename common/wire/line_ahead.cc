#include "common/wire/line_ahead.h"

#include <cstring>

#include "common/wire/line_scan.h"

namespace kv::wire {
namespace {

constexpr std::uint32_t four_bytes(std::string_view text) {
  return static_cast<std::uint32_t>(text[0]) | static_cast<std::uint32_t>(text[1]) << 8 |
         static_cast<std::uint32_t>(text[2]) << 16 | static_cast<std::uint32_t>(text[3]) << 24;
}

constexpr std::size_t verb_bytes = 4;  // three letters, and a blank
constexpr std::uint32_t get_word = four_bytes("GET ");
constexpr std::uint32_t put_word = four_bytes("PUT ");

/// The bytes of the line end at `at`; 0 if there is none.
std::size_t line_end_bytes(ByteView lines, std::size_t at) {
  if (at < lines.size() && lines[at] == '\n') [[likely]] {
    return 1;
  }
  return lines.substr(std::min(at, lines.size()), 2) == "\r\n" ? 2 : 0;
}

/// The plain line that `lines` begins with, if it begins with one.
LineAhead plain_line(ByteView lines) {
  std::uint32_t verb = 0;
  static_assert(sizeof verb == verb_bytes);
  if (lines.size() <= verb_bytes) {
    return {};
  }
  std::memcpy(&verb, lines.data(), sizeof verb);
  // Without a branch between the two: which comes is a coin toss.
  const auto get = static_cast<unsigned>(verb == get_word);
  const auto put = static_cast<unsigned>(verb == put_word);
  if ((get | put) == 0) [[unlikely]] {
    return {};
  }
  const std::size_t length = key_length(lines.substr(verb_bytes, key_bytes_max + 1));
  if (length == 0 || length > key_bytes_max) [[unlikely]] {
    return {};
  }
  const std::size_t key_end = verb_bytes + length;
  std::size_t end = key_end;
  if (put != 0) {
    if (key_end == lines.size() || lines[key_end] != ' ') [[unlikely]] {
      return {};
    }
    end = first_that(is_cr_or_lf, lines, key_end + 1);
  }
  const std::size_t end_bytes = line_end_bytes(lines, end);
  const std::size_t value_bytes = put != 0 ? end - key_end - 1 : 0;
  if (end_bytes == 0 || value_bytes > value_bytes_max) [[unlikely]] {
    return {};
  }
  return {.kind = put != 0 ? LineAhead::Kind::put : LineAhead::Kind::get,
          .bytes = static_cast<std::uint32_t>(end + end_bytes),
          .key = lines.substr(verb_bytes, length),
          .value = lines.substr(end - value_bytes, value_bytes)};
}

}  // namespace

void look_ahead(ByteView lines, std::size_t clean, LinesAhead& ahead) {
  ahead.next = 0;
  ahead.count = 0;
  while (ahead.count < LinesAhead::lines_max && !lines.empty()) {
    LineAhead& line = ahead.lines[ahead.count];
    line = clean == 0 ? plain_line(lines) : LineAhead{};
    if (line.kind == LineAhead::Kind::other) {
      const std::size_t end = lines.find('\n', clean);
      if (end == ByteView::npos) {
        return;
      }
      line.bytes = static_cast<std::uint32_t>(end + 1);
    }
    ++ahead.count;
    lines.remove_prefix(line.bytes);
    clean = 0;
  }
}

void parse_line_ahead(ByteView line, const LineAhead& ahead, LineRequest& request) {
  if (ahead.kind == LineAhead::Kind::other) {
    return parse_line(line, request);
  }
  clear(request);
  request.kind = LineRequest::Kind::command;
  request.command.verb = ahead.kind == LineAhead::Kind::put ? Verb::put : Verb::get;
  request.command.key.assign(ahead.key);
  request.command.value.assign(ahead.value);
}

}  // namespace kv::wire
