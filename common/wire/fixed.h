// Numbers of fixed width, little-endian, at a place in bytes: what headers on wire and disk use.
#pragma once

#include <bit>
#include <concepts>
#include <cstring>

#include "common/core/bytes.h"
#include "common/core/check.h"

namespace kv::wire {

static_assert(std::endian::native == std::endian::little, "fixed.h copies numbers as they are");

template <std::unsigned_integral T>
void put_fixed(char* at, T value) {
  std::memcpy(at, &value, sizeof value);
}

template <std::unsigned_integral T>
void append_fixed(Bytes& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

/// The number at `offset`; check() that it lies within `bytes`.
template <std::unsigned_integral T>
T get_fixed(ByteView bytes, std::size_t offset) {
  check(offset <= bytes.size() && bytes.size() - offset >= sizeof(T));
  T value{};
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

}  // namespace kv::wire
