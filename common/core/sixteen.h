// Sixteen bytes looked at as one: what is done for each request looks at bytes so.
//
// GCC's vectors, for every machine; only how a comparison becomes bits is each machine's own.
#pragma once

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include <array>
#include <cstdint>
#include <cstring>

namespace kv {

using Sixteen [[gnu::vector_size(16)]] = unsigned char;
using EightTwos [[gnu::vector_size(16)]] = std::uint16_t;

template <typename Vector>
Vector sixteen_at(const void* bytes) {
  Vector vector;
  static_assert(sizeof vector == 16);
  std::memcpy(&vector, bytes, sizeof vector);
  return vector;
}

/// Bit i for byte i of what a comparison of two vectors says: all ones or all zeros a lane.
template <typename Truth>
unsigned bits_of(Truth truth) {
  static_assert(sizeof truth == 16);
#ifdef __SSE2__
  return static_cast<unsigned>(_mm_movemask_epi8(reinterpret_cast<__m128i>(truth)));
#else
  std::array<unsigned char, sizeof truth> bytes;
  std::memcpy(bytes.data(), &truth, sizeof truth);
  unsigned bits = 0;
  for (unsigned i = 0; i < bytes.size(); ++i) {
    bits |= (bytes[i] & 1U) << i;
  }
  return bits;
#endif
}

}  // namespace kv
