#include "common/wire/checksum.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace kv::wire {

std::uint64_t checksum(ByteView bytes, std::uint64_t before) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), before);
}

}  // namespace kv::wire
