// How many of n are enough.
#pragma once

#include <cstddef>

namespace kv {

/// The least number of n members such that any two sets of that many share one.
constexpr std::size_t majority(std::size_t members) {
  return members / 2 + 1;
}

}  // namespace kv
