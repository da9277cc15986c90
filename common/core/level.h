// How much a log line matters.
#pragma once

#include <cstdint>
#include <string_view>

namespace kv {

enum class Level : std::uint8_t { debug, info, warn, error };

constexpr std::string_view name_of(Level level) {
  switch (level) {
    case Level::debug:
      return "debug";
    case Level::info:
      return "info";
    case Level::warn:
      return "warn";
    case Level::error:
      return "error";
  }
  return "?";
}

}  // namespace kv
