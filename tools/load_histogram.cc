#include "tools/load_histogram.h"

#include <algorithm>
#include <cmath>

#include "common/core/check.h"

namespace kv::load {

Histogram::Histogram() : counts_(index_of(limit) + 1) {}

void Histogram::merge(const Histogram& other) {
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    counts_[i] += other.counts_[i];
  }
  count_ += other.count_;
  sum_ += other.sum_;
  max_ = std::max(max_, other.max_);
}

Histogram::Nanoseconds Histogram::mean() const {
  return Nanoseconds{count_ == 0 ? 0 : sum_ / count_};
}

Histogram::Nanoseconds Histogram::quantile(double share) const {
  check(share >= 0 && share <= 1);
  const auto wanted = static_cast<std::uint64_t>(std::ceil(share * static_cast<double>(count_)));
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    seen += counts_[i];
    if (seen > 0 && seen >= wanted) {
      return Nanoseconds{std::min(middle_of(i), max_)};
    }
  }
  return Nanoseconds{0};
}

std::uint64_t Histogram::middle_of(std::size_t index) {
  constexpr std::size_t direct = std::size_t{2} << half_bits;
  if (index < direct) {
    return index;
  }
  const std::size_t shift = (index >> half_bits) - 1;
  const std::uint64_t low = (index - (shift << half_bits)) << shift;
  return low + (std::uint64_t{1} << shift) / 2;
}

}  // namespace kv::load
