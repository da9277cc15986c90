// Chance from a seed: the same seed draws the same numbers on every machine.
//
// The generator is xoshiro256** (Blackman and Vigna 2018), its state filled by splitmix64. The
// standard library's distributions differ between vendors, so none is used.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

#include "common/core/check.h"
#include "common/core/time.h"

namespace kv {

class Random {
 public:
  explicit Random(std::uint64_t seed) {
    for (std::uint64_t& word : state_) {
      seed += 0x9e3779b97f4a7c15;
      std::uint64_t mixed = seed;
      mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
      mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
      word = mixed ^ (mixed >> 31);
    }
  }

  std::uint64_t next() {
    const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
    const std::uint64_t shifted = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= shifted;
    state_[3] = std::rotl(state_[3], 45);
    return result;
  }

  /// Uniform in [0, bound); bound is at least 1. The bias is below 2^-32 for bounds below 2^32.
  std::uint64_t below(std::uint64_t bound) {
    check(bound > 0);
    __extension__ using Wide = unsigned __int128;
    return static_cast<std::uint64_t>((static_cast<Wide>(next()) * bound) >> 64);
  }

  /// Uniform in [low, high].
  std::uint64_t between(std::uint64_t low, std::uint64_t high) {
    check(low <= high && high - low < UINT64_MAX);
    return low + below(high - low + 1);
  }

  /// Uniform in [low, high], to the microsecond.
  Duration between(Duration low, Duration high) {
    check(low <= high);
    return low + Duration{static_cast<Duration::rep>(
                     below(static_cast<std::uint64_t>((high - low).count()) + 1))};
  }

  /// True in `share` of the draws: 0 never, 1 always.
  bool chance(double share) { return unit() < share; }

  /// Uniform in [0, 1).
  double unit() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }

  /// A generator of its own, so that one part's draws do not shift another's.
  Random fork() { return Random{next()}; }

 private:
  std::array<std::uint64_t, 4> state_{};
};

}  // namespace kv
