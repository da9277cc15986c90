#include "phase4_paxos/search.h"

#include <boost/test/unit_test.hpp>

namespace kv::paxos {

BOOST_AUTO_TEST_SUITE(phase4_search)

// To its end, with a death at any time, it has 61,250 states: `build/bin/phase4_search`.
BOOST_AUTO_TEST_CASE(without_a_death_no_run_of_two_proposers_chooses_two_values) {
  const SearchResult result = search({.deaths = 0});
  BOOST_TEST(result.complete);
  BOOST_TEST(result.broken.empty());
  BOOST_TEST(result.states > 5'000U);
}

BOOST_AUTO_TEST_CASE(with_a_death_the_first_states_hold_too) {
  const SearchResult result = search({.states_max = 10'000});
  BOOST_TEST(result.broken.empty());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::paxos
