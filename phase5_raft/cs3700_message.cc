#include "phase5_raft/cs3700_message.h"

#include <algorithm>
#include <charconv>

#include <boost/json.hpp>

namespace kv::raft {
namespace {

constexpr std::string_view hex_digits = "0123456789abcdef";

std::string to_hex(ByteView bytes) {
  std::string text;
  text.reserve(2 * bytes.size());
  for (const char byte : bytes) {
    text += hex_digits[static_cast<std::uint8_t>(byte) >> 4];
    text += hex_digits[static_cast<std::uint8_t>(byte) & 15];
  }
  return text;
}

std::optional<Bytes> from_hex(std::string_view text) {
  Bytes bytes;
  bytes.reserve(text.size() / 2);
  if (text.size() % 2 != 0) {
    return std::nullopt;
  }
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const std::size_t high = hex_digits.find(text[i]);
    const std::size_t low = hex_digits.find(text[i + 1]);
    if (high == std::string_view::npos || low == std::string_view::npos) {
      return std::nullopt;
    }
    bytes.push_back(static_cast<char>(high * 16 + low));
  }
  return bytes;
}

/// The field as a text; empty if there is none or it is something else.
std::string text_of(const boost::json::object& object, std::string_view name) {
  const boost::json::value* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string{value->get_string()} : std::string{};
}

/// JSON may hold any character; what leaves us is ASCII.
std::string ascii(const std::string& json) {
  std::string text;
  for (std::size_t i = 0; i < json.size(); ++i) {
    const auto byte = static_cast<std::uint8_t>(json[i]);
    if (byte < 0x80) {
      text += json[i];
      continue;
    }
    const std::size_t more = byte >= 0xf0 ? 3 : byte >= 0xe0 ? 2 : 1;
    std::uint32_t code = byte & (0x3fU >> more);
    for (std::size_t j = 0; j < more && i + 1 < json.size(); ++j) {
      code = code << 6 | (static_cast<std::uint8_t>(json[++i]) & 0x3fU);
    }
    const auto append_unit = [&text](std::uint32_t unit) {
      text += "\\u";
      for (const unsigned shift : {12U, 8U, 4U, 0U}) {
        text += hex_digits[unit >> shift & 15U];
      }
    };
    if (code >= 0x10000) {
      append_unit(0xd800 + ((code - 0x10000) >> 10));
      append_unit(0xdc00 + ((code - 0x10000) & 0x3ff));
    } else {
      append_unit(code);
    }
  }
  return text;
}

}  // namespace

std::optional<Cs3700Message> parse_cs3700(std::string_view datagram) {
  boost::json::error_code error;
  const boost::json::value parsed = boost::json::parse({datagram.data(), datagram.size()}, error);
  if (error || !parsed.is_object()) {
    return std::nullopt;
  }
  const boost::json::object& object = parsed.get_object();
  Cs3700Message message{.src = text_of(object, "src"),
                        .dst = text_of(object, "dst"),
                        .leader = text_of(object, "leader"),
                        .type = text_of(object, "type"),
                        .mid = text_of(object, "MID"),
                        .key = text_of(object, "key"),
                        .value = text_of(object, "value"),
                        .data = {}};
  const auto data = from_hex(text_of(object, "data"));
  if (message.src.empty() || message.type.empty() || !data) {
    return std::nullopt;
  }
  message.data = *data;
  return message;
}

std::string format_cs3700(const Cs3700Message& message) {
  boost::json::object object{{"src", message.src},
                             {"dst", message.dst},
                             {"leader", message.leader},
                             {"type", message.type}};
  const auto add = [&object](std::string_view name, const std::string& value) {
    if (!value.empty()) {
      object[name] = value;
    }
  };
  add("MID", message.mid);
  add("key", message.key);
  add("data", to_hex(message.data));
  // The answer to a get has a value, also an empty one. To a put it does no harm.
  if (message.type == "ok" || message.type == "put") {
    object["value"] = message.value;
  }
  return ascii(boost::json::serialize(object));
}

bool is_cs3700_replica(std::string_view name) {
  const auto is_digit = [](char each) {
    return (each >= '0' && each <= '9') || (each >= 'a' && each <= 'f') ||
           (each >= 'A' && each <= 'F');
  };
  return name.size() == 4 && name != cs3700_everyone && std::ranges::all_of(name, is_digit);
}

NodeId node_of(std::string_view name) {
  std::uint32_t number = 0;
  std::from_chars(name.data(), name.data() + name.size(), number, 16);
  return {number + 1};
}

}  // namespace kv::raft
