// Numbers and strings in as few bytes as they need: LEB128, and a length before its bytes; hashes,
// which are never small, in eight.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "common/core/bytes.h"

namespace kv {

inline constexpr std::size_t varint_bytes_max = 10;
inline constexpr std::size_t fixed_bytes = 8;

inline void write_varint(Bytes& out, std::uint64_t value) {
  while (value >= 0x80) {
    out.push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<char>(value));
}

inline void write_string(Bytes& out, ByteView value) {
  write_varint(out, value.size());
  out.append(value);
}

/// Takes a number off the front of `bytes`; nothing if it is cut short or beyond 64 bits.
inline std::optional<std::uint64_t> read_varint(ByteView& bytes) {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 64 && !bytes.empty(); shift += 7) {
    const auto byte = static_cast<std::uint8_t>(bytes.front());
    bytes.remove_prefix(1);
    if (shift == 63 && byte > 1) {
      break;
    }
    value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) {
      return value;
    }
  }
  return std::nullopt;
}

/// Takes a string off the front of `bytes`; nothing if fewer bytes are there than it says.
inline std::optional<ByteView> read_string(ByteView& bytes) {
  const std::optional<std::uint64_t> length = read_varint(bytes);
  if (!length || *length > bytes.size()) {
    return std::nullopt;
  }
  const ByteView value = bytes.substr(0, *length);
  bytes.remove_prefix(*length);
  return value;
}

/// Low byte first.
inline void write_fixed(Bytes& out, std::uint64_t value) {
  std::array<char, fixed_bytes> bytes{};
  for (char& byte : bytes) {
    byte = static_cast<char>(value);
    value >>= 8;
  }
  out.append(bytes.data(), bytes.size());
}

/// Takes eight bytes off the front of `bytes`; nothing if fewer are there.
inline std::optional<std::uint64_t> read_fixed(ByteView& bytes) {
  if (bytes.size() < fixed_bytes) {
    return std::nullopt;
  }
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < fixed_bytes; ++i) {
    value |= static_cast<std::uint64_t>(static_cast<std::uint8_t>(bytes[i])) << (8 * i);
  }
  bytes.remove_prefix(fixed_bytes);
  return value;
}

}  // namespace kv
