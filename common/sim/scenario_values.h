// The values of a scenario's settings as text, both ways: 20ms, 50us..1ms, 0.5%, 1,2|3.
//
// read() leaves nothing half said: false if the text is no such value.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "common/sim/scenario.h"
#include "common/sim/scenario_text.h"

namespace kv::sim::text {

inline constexpr Duration duration_max = std::chrono::hours{24};

struct Unit {
  std::string_view name;
  std::int64_t micros;
};
inline constexpr Unit units[] = {
    {"us", 1}, {"ms", 1'000}, {"s", 1'000'000}};  // "s" last: it ends all

inline bool all_digits(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

inline bool read_integer(std::string_view text, std::uint64_t& value) {
  const char* end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, value);
  return !text.empty() && all_digits(text) && result.ec == std::errc{} && result.ptr == end;
}

/// Reads `12.345` as a whole number of `1 / scale`; false if it is none, or too large.
inline bool read_decimal(std::string_view text, std::uint64_t scale, std::uint64_t& value) {
  const std::size_t dot = text.find('.');
  std::uint64_t whole = 0;
  if (!read_integer(text.substr(0, dot), whole) || whole > 1'000'000'000) {
    return false;
  }
  value = whole * scale;
  if (dot == std::string_view::npos) {
    return true;
  }
  const std::string_view digits = text.substr(dot + 1);
  for (const char digit : digits) {
    if (digit < '0' || digit > '9' || scale % 10 != 0) {
      return false;
    }
    scale /= 10;
    value += static_cast<std::uint64_t>(digit - '0') * scale;
  }
  return !digits.empty();
}

inline std::string format_decimal(std::uint64_t value, std::uint64_t scale) {
  std::string text = std::to_string(value / scale);
  std::uint64_t rest = value % scale;
  if (rest > 0) {
    text += '.';
  }
  while (rest > 0) {
    scale /= 10;
    text += static_cast<char>('0' + rest / scale);
    rest %= scale;
  }
  return text;
}

inline bool read(std::string_view text, std::uint32_t& value) {
  std::uint64_t number = 0;
  if (!read_integer(text, number) || number > UINT32_MAX) {
    return false;
  }
  value = static_cast<std::uint32_t>(number);
  return true;
}

inline bool read(std::string_view text, Duration& value) {
  for (const Unit& unit : units) {
    if (!text.ends_with(unit.name)) {
      continue;
    }
    std::uint64_t micros = 0;
    const std::string_view number = text.substr(0, text.size() - unit.name.size());
    const auto scale = static_cast<std::uint64_t>(unit.micros);
    if (read_decimal(number, scale, micros)) {
      value = Duration{static_cast<Duration::rep>(micros)};
      return value <= duration_max;
    }
  }
  return false;
}

inline bool read(std::string_view text, Share& value) {
  std::uint64_t ppm = 0;
  if (!text.ends_with('%') || !read_decimal(text.substr(0, text.size() - 1), 10'000, ppm) ||
      ppm > 1'000'000'000) {
    return false;
  }
  value.ppm = static_cast<std::uint32_t>(ppm);
  return true;
}

inline bool read(std::string_view text, Span& value) {
  const std::size_t dots = text.find("..");
  if (dots == std::string_view::npos) {
    return read(text, value.low) && read(text, value.high);
  }
  return read(text.substr(0, dots), value.low) && read(text.substr(dots + 2), value.high) &&
         value.low <= value.high;
}

template <typename Enum>
requires std::is_enum_v<Enum>
bool read(std::string_view text, Enum& value) {
  for (std::size_t i = 0; i <= static_cast<std::size_t>(last_of(Enum{})); ++i) {
    if (name_of(static_cast<Enum>(i)) == text) {
      value = static_cast<Enum>(i);
      return true;
    }
  }
  return false;
}

inline bool read_node(std::string_view text, NodeId& node) {
  return read(text, node.value) && node.value >= 1 && node.value <= nodes_max;
}

inline bool read(std::string_view text, std::vector<NodeId>& nodes) {
  nodes.clear();
  while (true) {
    const std::size_t comma = text.find(',');
    if (!read_node(text.substr(0, comma), nodes.emplace_back())) {
      return false;
    }
    if (comma == std::string_view::npos) {
      return true;
    }
    text.remove_prefix(comma + 1);
  }
}

inline bool read(std::string_view text, std::vector<std::vector<NodeId>>& groups) {
  groups.clear();
  while (true) {
    const std::size_t bar = text.find('|');
    if (!read(text.substr(0, bar), groups.emplace_back())) {
      return false;
    }
    if (bar == std::string_view::npos) {
      return true;
    }
    text.remove_prefix(bar + 1);
  }
}

inline std::string format(std::uint32_t value) {
  return std::to_string(value);
}

inline std::string format(Share value) {
  return format_decimal(value.ppm, 10'000) + "%";
}

inline std::string format(Duration value) {
  return format_duration(value);
}

inline std::string format(const Span& value) {
  return value.low == value.high ? format(value.low)
                                 : format(value.low) + ".." + format(value.high);
}

template <typename Enum>
requires std::is_enum_v<Enum> std::string format(Enum value) {
  return std::string{name_of(value)};
}

inline std::string format(const std::vector<NodeId>& nodes) {
  std::string text;
  for (const NodeId node : nodes) {
    text += (text.empty() ? "" : ",") + std::to_string(node.value);
  }
  return text;
}

inline std::string format(const std::vector<std::vector<NodeId>>& groups) {
  std::string text;
  for (const auto& group : groups) {
    text += (text.empty() ? "" : "|") + format(group);
  }
  return text;
}

}  // namespace kv::sim::text
