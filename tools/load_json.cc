#include "tools/load_json.h"

#include <fmt/format.h>

#include <cmath>

namespace kv::load {
namespace {

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char byte : text) {
    if (byte == '"' || byte == '\\') {
      out += '\\';
      out += byte;
    } else if (static_cast<unsigned char>(byte) < 0x20) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned char>(byte));
    } else {
      out += byte;
    }
  }
  return out + '"';
}

}  // namespace

Json& Json::add(std::string_view name, std::string_view text) {
  return add_raw(name, quoted(text));
}

Json& Json::add(std::string_view name, double number) {
  return add_raw(name, std::isfinite(number) ? fmt::format("{:.3f}", number) : "null");
}

Json& Json::add_raw(std::string_view name, std::string_view value) {
  members_ += members_.empty() ? "" : ", ";
  members_ += quoted(name);
  members_ += ": ";
  members_ += value;
  return *this;
}

}  // namespace kv::load
