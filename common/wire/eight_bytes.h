// Eight bytes of text, looked at as one number.
#pragma once

#include <cstdint>

namespace kv::wire {

inline constexpr std::uint64_t ones = 0x0101010101010101;  // 1 in each byte
inline constexpr std::uint64_t tops = 0x8080808080808080;  // the top bit of each

}  // namespace kv::wire
