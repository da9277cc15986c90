#include "common/wire/logfmt.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "common/wire/eight_bytes.h"

namespace kv::wire {
namespace {

constexpr bool bare(char byte) {
  return byte > ' ' && byte < 0x7f && byte != '"' && byte != '\\' && byte != '=';
}

/// Some top bit, if one of the eight bytes is 0.
constexpr std::uint64_t zero_in(std::uint64_t eight) {
  return (eight - ones) & ~eight & tops;
}

/// As bare() of eight bytes at once: whether all of them are.
constexpr bool all_bare(std::uint64_t eight) {
  const std::uint64_t below_0x21 = (eight - ones * 0x21) & ~eight;
  const std::uint64_t above_0x7e = eight | (eight + ones);
  const std::uint64_t special =
      zero_in(eight ^ ones * '"') | zero_in(eight ^ ones * '\\') | zero_in(eight ^ ones * '=');
  return ((below_0x21 | above_0x7e | special) & tops) == 0;
}

void append_escaped(std::string& line, char byte) {
  static constexpr char digits[] = "0123456789abcdef";
  switch (byte) {
    case '"':
    case '\\':
      line += '\\';
      line += byte;
      return;
    case '\n':
      line += "\\n";
      return;
    case '\r':
      line += "\\r";
      return;
    case '\t':
      line += "\\t";
      return;
    default:
      break;
  }
  const auto code = static_cast<unsigned char>(byte);
  if (code >= 0x20 && code < 0x7f) {
    line += byte;
    return;
  }
  line += "\\x";
  line += digits[code >> 4];
  line += digits[code & 15];
}

}  // namespace

bool is_bare_in_logfmt(std::string_view value) {
  if (value.size() < 8) {
    return !value.empty() && std::ranges::all_of(value, bare);
  }
  bool all = true;
  std::uint64_t eight = 0;
  for (std::size_t at = 0; at + 8 < value.size(); at += 8) {
    std::memcpy(&eight, value.data() + at, 8);
    all = all && all_bare(eight);
  }
  std::memcpy(&eight, value.data() + value.size() - 8, 8);  // the rest, and some of what was seen
  return all && all_bare(eight);
}

void append_logfmt_value(std::string& line, std::string_view value) {
  if (is_bare_in_logfmt(value)) {
    line += value;
    return;
  }
  line += '"';
  for (const char byte : value) {
    append_escaped(line, byte);
  }
  line += '"';
}

}  // namespace kv::wire
