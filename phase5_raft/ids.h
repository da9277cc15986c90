// Terms and places in the log, each as a type of its own.
#pragma once

#include <compare>
#include <cstdint>
#include <limits>

namespace kv::raft {

/// Raft 5.1: time is divided into terms, numbered with consecutive integers.
struct Term {
  std::uint64_t value = 0;

  friend auto operator<=>(const Term&, const Term&) = default;
  friend constexpr Term operator+(Term term, std::uint64_t more) { return {term.value + more}; }
};

/// A place in the log. The first entry stands at 1; 0 is the place before it.
struct Index {
  std::uint64_t value = 0;

  friend auto operator<=>(const Index&, const Index&) = default;
  friend constexpr Index operator+(Index index, std::uint64_t more) { return {index.value + more}; }
  friend constexpr Index operator-(Index index, std::uint64_t less) { return {index.value - less}; }
  friend constexpr std::uint64_t operator-(Index high, Index low) { return high.value - low.value; }
  Index& operator++() {
    ++value;
    return *this;
  }
};

}  // namespace kv::raft
