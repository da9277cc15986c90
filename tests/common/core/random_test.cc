#include "common/core/random.h"

#include <array>
#include <cmath>

#include <boost/test/unit_test.hpp>

#include "common/core/quorum.h"

namespace kv {

using namespace std::chrono_literals;

BOOST_AUTO_TEST_SUITE(core_random)

// A seed that is printed today must repeat its run in a year.
BOOST_AUTO_TEST_CASE(a_seed_draws_the_same_numbers_for_ever) {
  Random random{42};
  BOOST_TEST(random.next() == 1546998764402558742U);
  BOOST_TEST(random.next() == 6990951692964543102U);
}

BOOST_AUTO_TEST_CASE(draws_below_a_bound_are_even_and_reach_every_number) {
  Random random{1};
  std::array<int, 7> drawn{};
  for (int i = 0; i < 70'000; ++i) {
    ++drawn.at(random.below(drawn.size()));
  }
  for (const int count : drawn) {
    BOOST_TEST(std::abs(count - 10'000) < 500);
  }
}

BOOST_AUTO_TEST_CASE(draws_between_two_bounds_reach_both) {
  Random random{2};
  bool low = false;
  bool high = false;
  for (int i = 0; i < 1'000; ++i) {
    const std::uint64_t number = random.between(std::uint64_t{3}, std::uint64_t{6});
    BOOST_REQUIRE((number >= 3 && number <= 6));
    low = low || number == 3;
    high = high || number == 6;
    const Duration span = random.between(Duration{5us}, Duration{5us});
    BOOST_REQUIRE((span == 5us));
  }
  BOOST_TEST(low);
  BOOST_TEST(high);
}

BOOST_AUTO_TEST_CASE(chance_never_happens_at_0_and_always_at_1) {
  Random random{3};
  int happened = 0;
  for (int i = 0; i < 10'000; ++i) {
    BOOST_REQUIRE(!random.chance(0));
    BOOST_REQUIRE(random.chance(1));
    happened += random.chance(0.25) ? 1 : 0;
  }
  BOOST_TEST(std::abs(happened - 2'500) < 200);
}

BOOST_AUTO_TEST_CASE(a_fork_draws_its_own_numbers_and_leaves_its_parent_its_own) {
  Random one{4};
  Random two{4};
  Random fork = one.fork();
  two.next();
  for (int i = 0; i < 10; ++i) {
    fork.next();
  }
  BOOST_TEST(one.next() == two.next());
  BOOST_TEST(fork.next() != one.next());
}

BOOST_AUTO_TEST_CASE(two_majorities_always_share_a_member) {
  for (std::size_t members = 1; members < 20; ++members) {
    BOOST_TEST(2 * majority(members) > members);
    BOOST_TEST(2 * (majority(members) - 1) <= members);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv
