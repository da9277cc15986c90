#include "common/wire/line_ahead.h"

#include <algorithm>
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
std::uint32_t line_end_bytes(ByteView lines, std::size_t at) {
  if (at < lines.size() && lines[at] == '\n') [[likely]] {
    return 1;
  }
  return at + 1 < lines.size() && lines[at] == '\r' && lines[at + 1] == '\n' ? 2 : 0;
}

/// Whether `lines` begins with a plain line; then it is `line`.
bool read_plain(ByteView lines, LineAhead& line) {
  std::uint32_t verb = 0;
  static_assert(sizeof verb == verb_bytes);
  if (lines.size() <= verb_bytes) {
    return false;
  }
  std::memcpy(&verb, lines.data(), sizeof verb);
  const bool put = verb == put_word;
  if (verb != (put ? put_word : get_word)) [[unlikely]] {
    return false;
  }
  const char* const key = lines.data() + verb_bytes;
  const std::size_t key_bytes =
      key_length({key, std::min(lines.size() - verb_bytes, key_bytes_max + 1)});
  if (key_bytes == 0 || key_bytes > key_bytes_max) [[unlikely]] {
    return false;
  }
  const std::size_t key_end = verb_bytes + key_bytes;
  std::size_t value_begin = key_end;
  std::size_t end = key_end;
  if (put) {
    if (key_end == lines.size() || lines[key_end] != ' ') [[unlikely]] {
      return false;
    }
    value_begin = key_end + 1;
    end = first_that(is_cr_or_lf, lines, value_begin);
  }
  const std::uint32_t end_bytes = line_end_bytes(lines, end);
  if (end_bytes == 0 || end - value_begin > value_bytes_max) [[unlikely]] {
    return false;
  }
  line.kind = put ? LineAhead::Kind::put : LineAhead::Kind::get;
  line.bytes = static_cast<std::uint32_t>(end) + end_bytes;
  line.key = {key, key_bytes};
  line.value = {lines.data() + value_begin, end - value_begin};
  return true;
}

}  // namespace

void look_ahead(ByteView lines, std::size_t clean, LinesAhead& ahead) {
  ahead.next = 0;
  ahead.count = 0;
  while (ahead.count < LinesAhead::lines_max && !lines.empty()) {
    LineAhead& line = ahead.lines[ahead.count];
    if (clean != 0 || !read_plain(lines, line)) {
      const std::size_t end = lines.find('\n', clean);
      if (end == ByteView::npos) {
        return;
      }
      line = {.kind = LineAhead::Kind::other, .bytes = static_cast<std::uint32_t>(end + 1)};
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
