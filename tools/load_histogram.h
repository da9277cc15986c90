// Latencies in buckets whose width grows with the value: any of them is known to 0.1 %, and
// recording one costs an increment.
#pragma once

#include <bit>
#include <chrono>
#include <cstdint>
#include <vector>

namespace kv::load {

class Histogram {
 public:
  using Nanoseconds = std::chrono::nanoseconds;

  /// Longer ones are counted in the last bucket; max() is exact all the same.
  static constexpr Nanoseconds latency_max = std::chrono::hours{1};

  Histogram();

  /// A negative latency counts as zero.
  void record(Nanoseconds latency, std::uint64_t times = 1) {
    const auto value = static_cast<std::uint64_t>(latency.count() > 0 ? latency.count() : 0);
    counts_[index_of(value < limit ? value : limit)] += times;
    count_ += times;
    sum_ += value * times;
    max_ = value > max_ ? value : max_;
  }

  void merge(const Histogram& other);

  std::uint64_t count() const { return count_; }
  Nanoseconds max() const { return Nanoseconds{max_}; }
  Nanoseconds mean() const;

  /// The least recorded latency that `share` of all are not above, to 0.1 %; zero if there are
  /// none. share is in [0, 1].
  Nanoseconds quantile(double share) const;

 private:
  // Values below 2^11 have a bucket each; each further power of two is cut into 2^10.
  static constexpr unsigned half_bits = 10;
  static constexpr std::uint64_t limit = static_cast<std::uint64_t>(latency_max.count());

  static constexpr std::size_t index_of(std::uint64_t value) {
    const auto width = static_cast<unsigned>(std::bit_width(value));
    const unsigned shift = width > half_bits + 1 ? width - half_bits - 1 : 0;
    return (static_cast<std::size_t>(shift) << half_bits) + (value >> shift);
  }
  static std::uint64_t middle_of(std::size_t index);

  std::vector<std::uint64_t> counts_;
  std::uint64_t count_ = 0;
  std::uint64_t sum_ = 0;
  std::uint64_t max_ = 0;
};

}  // namespace kv::load
