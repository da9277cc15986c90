// Which key comes next: each as likely as any other, or few of them most of the time.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "common/core/random.h"

namespace kv::load {

enum class KeySkew : std::uint8_t {
  even,
  zipf,  // the n-th most wanted key comes up in proportion to 1 / n^0.99, as YCSB draws them
};

inline constexpr std::uint64_t zipf_keys_max = 1'000'000;

/// Copies share their table; each use is from one thread.
class KeyDraw {
 public:
  /// check() that there are keys, and for zipf not more than zipf_keys_max.
  KeyDraw(std::uint64_t keys, KeySkew skew);

  std::uint64_t draw(Random& random) const;

 private:
  std::uint64_t keys_;
  std::shared_ptr<const std::vector<double>> sums_;  // of the shares up to each key; zipf only
};

}  // namespace kv::load
