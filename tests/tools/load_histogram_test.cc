#include "tools/load_histogram.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include <boost/test/unit_test.hpp>

#include "common/core/random.h"

namespace kv::load {
namespace {

constexpr double precision = 0.001;

/// Latencies over eight powers of ten, most of them short.
std::vector<std::int64_t> random_latencies(std::uint64_t seed, std::size_t count) {
  Random random{seed};
  std::vector<std::int64_t> latencies(count);
  for (std::int64_t& latency : latencies) {
    latency = static_cast<std::int64_t>(std::pow(10.0, 1 + 8 * random.unit() * random.unit()));
  }
  return latencies;
}

Histogram histogram_of(const std::vector<std::int64_t>& latencies) {
  Histogram histogram;
  for (const std::int64_t latency : latencies) {
    histogram.record(Histogram::Nanoseconds{latency});
  }
  return histogram;
}

/// The definition: the least one that `share` of all are not above.
std::int64_t exact_quantile(const std::vector<std::int64_t>& sorted, double share) {
  const auto rank = static_cast<std::size_t>(std::ceil(share * static_cast<double>(sorted.size())));
  return sorted[std::max<std::size_t>(rank, 1) - 1];
}

}  // namespace

BOOST_AUTO_TEST_SUITE(tools_load_histogram)

BOOST_AUTO_TEST_CASE(every_quantile_is_the_exact_one_to_a_thousandth) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    std::vector<std::int64_t> latencies = random_latencies(seed, 20'000);
    const Histogram histogram = histogram_of(latencies);
    std::ranges::sort(latencies);
    for (const double share : {0.0, 0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999, 1.0}) {
      const auto exact = static_cast<double>(exact_quantile(latencies, share));
      const auto measured = static_cast<double>(histogram.quantile(share).count());
      BOOST_TEST(std::abs(measured - exact) <= exact * precision,
                 "seed " << seed << " share " << share << ": " << measured << " for " << exact);
    }
  }
}

BOOST_AUTO_TEST_CASE(short_latencies_the_longest_and_the_mean_are_exact) {
  Histogram histogram;
  histogram.record(Histogram::Nanoseconds{7});
  histogram.record(Histogram::Nanoseconds{2047}, 2);
  histogram.record(Histogram::Nanoseconds{123'456'789});
  BOOST_TEST(histogram.count() == 4U);
  BOOST_TEST(histogram.quantile(0.25).count() == 7);
  BOOST_TEST(histogram.quantile(0.5).count() == 2047);
  BOOST_TEST(histogram.quantile(0.75).count() == 2047);
  BOOST_TEST(histogram.max().count() == 123'456'789);
  BOOST_TEST(histogram.mean().count() == (7 + 2 * 2047 + 123'456'789) / 4);
}

BOOST_AUTO_TEST_CASE(an_empty_one_has_zeros_only) {
  const Histogram histogram;
  BOOST_TEST(histogram.count() == 0U);
  BOOST_TEST(histogram.quantile(0.5).count() == 0);
  BOOST_TEST(histogram.mean().count() == 0);
  BOOST_TEST(histogram.max().count() == 0);
}

BOOST_AUTO_TEST_CASE(a_latency_beyond_the_limit_is_counted_and_its_length_kept) {
  Histogram histogram;
  const Histogram::Nanoseconds day = std::chrono::hours{24};
  histogram.record(day);
  BOOST_TEST(histogram.count() == 1U);
  BOOST_TEST(histogram.max().count() == day.count());
  BOOST_TEST(histogram.quantile(1).count() >= Histogram::latency_max.count() * (1 - precision));
}

BOOST_AUTO_TEST_CASE(a_clock_that_seems_to_go_back_counts_as_no_time) {
  Histogram histogram;
  histogram.record(Histogram::Nanoseconds{-5});
  BOOST_TEST(histogram.quantile(1).count() == 0);
}

BOOST_AUTO_TEST_CASE(two_merged_are_as_one_that_recorded_all) {
  const std::vector<std::int64_t> first = random_latencies(1, 1000);
  const std::vector<std::int64_t> second = random_latencies(2, 3000);
  Histogram merged = histogram_of(first);
  merged.merge(histogram_of(second));
  std::vector<std::int64_t> all = first;
  all.insert(all.end(), second.begin(), second.end());
  const Histogram whole = histogram_of(all);
  BOOST_TEST(merged.count() == whole.count());
  BOOST_TEST(merged.mean().count() == whole.mean().count());
  BOOST_TEST(merged.max().count() == whole.max().count());
  for (const double share : {0.01, 0.5, 0.999}) {
    BOOST_TEST(merged.quantile(share).count() == whole.quantile(share).count());
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::load
