#include "tools/load_dialect.h"

#include <charconv>
#include <string>

namespace kv::load {
namespace {

constexpr std::string_view line_end = "\r\n";

void append_bulk(Bytes& out, std::string_view text) {
  out.append("$").append(std::to_string(text.size())).append(line_end);
  out.append(text).append(line_end);
}

void append_words(Bytes& out, std::initializer_list<std::string_view> words) {
  out.append("*").append(std::to_string(words.size())).append(line_end);
  for (const std::string_view word : words) {
    append_bulk(out, word);
  }
}

/// The length of the line that `stream` begins with, its end included.
std::size_t line_bytes(ByteView stream, std::string_view end) {
  const std::size_t at = stream.find(end);
  if (at != ByteView::npos) {
    return at + end.size();
  }
  return stream.size() > answer_bytes_max ? answer_malformed : answer_unfinished;
}

/// The length of `before` bytes, a data block of as many bytes as `count` says, and `end`.
std::size_t block_bytes(ByteView stream, std::size_t before, std::string_view count,
                        std::string_view end) {
  std::size_t length = 0;
  const auto [stop, failure] = std::from_chars(count.data(), count.data() + count.size(), length);
  if (failure != std::errc{} || stop != count.data() + count.size() || length > answer_bytes_max) {
    return answer_malformed;
  }
  const std::size_t whole = before + length + end.size();
  if (stream.size() < whole) {
    return answer_unfinished;
  }
  return stream.substr(before + length, end.size()) == end ? whole : answer_malformed;
}

std::size_t resp_bytes(ByteView stream) {
  if (std::string_view{"+-:$"}.find(stream.front()) == std::string_view::npos) {
    return answer_malformed;
  }
  const std::size_t first = line_bytes(stream, line_end);
  if (stream.front() != '$' || first == answer_unfinished || first == answer_malformed) {
    return first;
  }
  const std::string_view count = stream.substr(1, first - 1 - line_end.size());
  return count == "-1" ? first : block_bytes(stream, first, count, line_end);
}

std::size_t memcache_bytes(ByteView stream) {
  const std::size_t first = line_bytes(stream, line_end);
  if (first == answer_unfinished || first == answer_malformed || !stream.starts_with("VALUE ")) {
    return first;
  }
  const std::string_view line = stream.substr(0, first - line_end.size());
  return block_bytes(stream, first, line.substr(line.rfind(' ') + 1), "\r\nEND\r\n");
}

}  // namespace

void append_put(Dialect dialect, const Item& item, Bytes& request, Bytes& answer) {
  const std::size_t begin = request.size();
  switch (dialect) {
    case Dialect::line:
    case Dialect::echo:
      request.append("PUT ").append(item.key).append(" ").append(item.value).append("\n");
      answer.append(dialect == Dialect::line ? "OK\n" : request.substr(begin));
      return;
    case Dialect::resp:
      append_words(request, {"SET", item.key, item.value});
      answer.append("+OK\r\n");
      return;
    case Dialect::memcache:
      request.append("set ").append(item.key).append(" 0 0 ");
      request.append(std::to_string(item.value.size())).append(line_end);
      request.append(item.value).append(line_end);
      answer.append("STORED\r\n");
      return;
  }
}

void append_get(Dialect dialect, const Item& item, Bytes& request, Bytes& answer) {
  const std::size_t begin = request.size();
  switch (dialect) {
    case Dialect::line:
      request.append("GET ").append(item.key).append("\n");
      answer.append("VALUE ").append(item.value).append("\n");
      return;
    case Dialect::echo:
      request.append("GET ").append(item.key).append("\n");
      answer.append(request, begin);
      return;
    case Dialect::resp:
      append_words(request, {"GET", item.key});
      append_bulk(answer, item.value);
      return;
    case Dialect::memcache:
      request.append("get ").append(item.key).append(line_end);
      answer.append("VALUE ").append(item.key).append(" 0 ");
      answer.append(std::to_string(item.value.size())).append(line_end);
      answer.append(item.value).append("\r\nEND\r\n");
      return;
  }
}

void append_memcache_header(Bytes& out, std::uint16_t request) {
  out.push_back(static_cast<char>(request >> 8));
  out.push_back(static_cast<char>(request & 0xff));
  out.append({0, 0, 0, 1, 0, 0});
}

std::size_t answer_bytes(Dialect dialect, ByteView stream, ByteView expected) {
  if (stream.empty()) {
    return answer_unfinished;
  }
  switch (dialect) {
    case Dialect::line:
      return line_bytes(stream, "\n");
    case Dialect::resp:
      return resp_bytes(stream);
    case Dialect::memcache:
      return memcache_bytes(stream);
    case Dialect::echo:
      return stream.size() < expected.size() ? answer_unfinished : expected.size();
  }
  return answer_malformed;
}

}  // namespace kv::load
