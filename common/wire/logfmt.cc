#include "common/wire/logfmt.h"

#include <algorithm>

namespace kv::wire {
namespace {

bool bare(char byte) {
  return byte > ' ' && byte < 0x7f && byte != '"' && byte != '\\' && byte != '=';
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

void append_logfmt_value(std::string& line, std::string_view value) {
  if (!value.empty() && std::ranges::all_of(value, bare)) {
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
