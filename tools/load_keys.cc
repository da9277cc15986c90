#include "tools/load_keys.h"

#include <algorithm>
#include <cmath>

#include "common/core/check.h"

namespace kv::load {
namespace {

constexpr double zipf_exponent = 0.99;

std::shared_ptr<const std::vector<double>> zipf_sums(std::uint64_t keys) {
  auto sums = std::make_shared<std::vector<double>>();
  sums->reserve(keys);
  double sum = 0;
  for (std::uint64_t n = 1; n <= keys; ++n) {
    sum += 1 / std::pow(static_cast<double>(n), zipf_exponent);
    sums->push_back(sum);
  }
  return sums;
}

}  // namespace

KeyDraw::KeyDraw(std::uint64_t keys, KeySkew skew) : keys_(keys) {
  check(keys > 0);
  check(skew == KeySkew::even || keys <= zipf_keys_max);
  if (skew == KeySkew::zipf) {
    sums_ = zipf_sums(keys);
  }
}

std::uint64_t KeyDraw::draw(Random& random) const {
  if (!sums_) {
    return random.below(keys_);
  }
  constexpr double steps = 9007199254740992.0;  // 2^53: what a double holds exactly
  const double share = static_cast<double>(random.next() >> 11) / steps * sums_->back();
  const auto found = std::ranges::upper_bound(*sums_, share);
  return std::min(static_cast<std::uint64_t>(found - sums_->begin()), keys_ - 1);
}

}  // namespace kv::load
