// One hash for tables and checksums: XXH3, 64 bits, the same number on every machine.
//
// Not a cryptographic one: it finds accidents, and with a secret seed it keeps hostile keys from
// being chosen to collide, but it is no signature.
#pragma once

// The library's own switch for code that is inlined: a hash of a short key costs less than a call.
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cstdint>

#include "common/core/bytes.h"

namespace kv {

inline std::uint64_t hash_of(ByteView bytes, std::uint64_t seed = 0) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

}  // namespace kv
