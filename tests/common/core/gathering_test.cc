#include "common/core/gathering.h"

#include <boost/test/unit_test.hpp>

namespace kv {
namespace {

constexpr Instant at(int milliseconds) {
  return Instant{std::chrono::milliseconds{milliseconds}};
}

constexpr Duration longest = std::chrono::milliseconds{10};

}  // namespace

BOOST_AUTO_TEST_SUITE(core_gathering)

BOOST_AUTO_TEST_CASE(the_first_waits_for_nobody) {
  BOOST_TEST((Gathering{longest}.due(at(5), 1) == at(5)));
}

BOOST_AUTO_TEST_CASE(what_comes_after_a_batch_waits_until_it_is_done_or_for_the_longest_time) {
  Gathering gathering{longest};
  gathering.left(at(5));
  BOOST_TEST((gathering.due(at(6), 1000) == at(15)));
  BOOST_TEST((gathering.due(at(16), 1) == at(16)));
}

BOOST_AUTO_TEST_CASE(one_client_and_two_are_never_waited_for) {
  Gathering gathering{longest};
  gathering.left(at(5));
  gathering.done(at(7), 1, 0);
  BOOST_TEST((gathering.due(at(7), 1) == at(7)));
  gathering.left(at(8));
  gathering.done(at(9), 1, 1);
  BOOST_TEST((gathering.due(at(9), 1) == at(9)));
}

BOOST_AUTO_TEST_CASE(three_quarters_of_those_who_waited_are_waited_for_as_long_as_the_batch_took) {
  Gathering gathering{longest};
  gathering.left(at(5));
  gathering.done(at(7), 12, 4);
  BOOST_TEST((gathering.due(at(7), 4) == at(9)));
  BOOST_TEST((gathering.due(at(8), 11) == at(9)));
  BOOST_TEST((gathering.due(at(8), 12) == at(8)));
}

BOOST_AUTO_TEST_CASE(nobody_is_waited_for_beyond_the_longest_time) {
  Gathering gathering{longest};
  gathering.left(at(5));
  gathering.done(at(13), 12, 4);
  BOOST_TEST((gathering.due(at(13), 4) == at(15)));
}

BOOST_AUTO_TEST_CASE(without_a_longest_time_nothing_waits) {
  Gathering gathering{{}};
  gathering.left(at(5));
  BOOST_TEST((gathering.due(at(5), 1) == at(5)));
  gathering.done(at(7), 12, 4);
  BOOST_TEST((gathering.due(at(7), 1) == at(7)));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv
