// The checksum of everything that lies on a disk or crosses a wire: XXH3, 64 bits.
#pragma once

#include <cstdint>

#include "common/core/bytes.h"

namespace kv::wire {

/// Of `bytes`, after what `before` is the checksum of; 0 for nothing before.
std::uint64_t checksum(ByteView bytes, std::uint64_t before = 0);

}  // namespace kv::wire
