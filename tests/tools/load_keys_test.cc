// How keys are drawn.
#include "tools/load_keys.h"

#include <cmath>

#include <boost/test/unit_test.hpp>

namespace kv::load {
namespace {

std::vector<double> shares(std::uint64_t keys, KeySkew skew) {
  constexpr int draws = 200'000;
  const KeyDraw draw{keys, skew};
  Random random{1};
  std::vector<double> counts(keys);
  for (int i = 0; i < draws; ++i) {
    counts.at(draw.draw(random)) += 1.0 / draws;
  }
  return counts;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(tools_load_keys)

BOOST_AUTO_TEST_CASE(even_keys_are_all_as_likely) {
  for (const double share : shares(10, KeySkew::even)) {
    BOOST_TEST(std::abs(share - 0.1) < 0.005);
  }
}

BOOST_AUTO_TEST_CASE(the_first_of_skewed_keys_comes_up_as_zipf_says) {
  const std::vector<double> drawn = shares(100, KeySkew::zipf);
  double sum = 0;
  for (int n = 1; n <= 100; ++n) {
    sum += std::pow(n, -0.99);
  }
  for (const int n : {1, 2, 10, 100}) {
    BOOST_TEST(std::abs(drawn[static_cast<std::size_t>(n - 1)] - std::pow(n, -0.99) / sum) < 0.005);
  }
}

BOOST_AUTO_TEST_CASE(one_key_is_always_drawn) {
  for (const KeySkew skew : {KeySkew::even, KeySkew::zipf}) {
    BOOST_TEST(shares(1, skew).front() > 0.999);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::load
