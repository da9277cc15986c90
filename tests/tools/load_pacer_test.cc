#include "tools/load_pacer.h"

#include <boost/test/unit_test.hpp>

namespace kv::load {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Moment begin{seconds{100}};

}  // namespace

BOOST_AUTO_TEST_SUITE(tools_load_pacer)

BOOST_AUTO_TEST_CASE(a_closed_loop_gives_leave_at_any_time_until_the_end) {
  Pacer pacer{{.begin = begin, .end = begin + seconds{1}}};
  const Pacer::Leave leave = pacer.take(begin, 16);
  BOOST_TEST(leave.count == 16U);
  BOOST_TEST((leave.due == begin));
  BOOST_TEST((leave.step == Nanoseconds{0}));
  BOOST_TEST(pacer.take(begin + milliseconds{999}, 5).first == 16U);
  BOOST_TEST(pacer.take(begin + seconds{1}, 5).count == 0U);
  BOOST_TEST(pacer.is_over(begin + seconds{1}));
}

BOOST_AUTO_TEST_CASE(no_loop_gives_leave_for_more_than_its_requests) {
  Pacer pacer{{.begin = begin, .requests_max = 20}};
  BOOST_TEST(pacer.take(begin, 16).count == 16U);
  BOOST_TEST(!pacer.is_over(begin));
  BOOST_TEST(pacer.take(begin, 16).count == 4U);
  BOOST_TEST(pacer.take(begin, 16).count == 0U);
  BOOST_TEST(pacer.is_over(begin));
}

BOOST_AUTO_TEST_CASE(an_open_loop_gives_leave_as_requests_fall_due) {
  Pacer pacer{{.begin = begin, .rate = 1000}};
  BOOST_TEST(pacer.take(begin, 8).count == 1U);  // the first is due at once
  BOOST_TEST(pacer.take(begin, 8).count == 0U);
  BOOST_TEST((pacer.due_next() == begin + milliseconds{1}));
  const Pacer::Leave late = pacer.take(begin + milliseconds{5}, 3);
  BOOST_TEST(late.count == 3U);
  BOOST_TEST((late.due == begin + milliseconds{1}));
  BOOST_TEST((late.step == milliseconds{1}));
  BOOST_TEST(pacer.due(begin + milliseconds{5}) == 2U);
}

BOOST_AUTO_TEST_CASE(an_open_loops_requests_are_all_of_its_rate_and_time) {
  Pacer pacer{{.begin = begin, .end = begin + seconds{2}, .rate = 1000}};
  std::uint64_t taken = 0;
  for (Moment now = begin; now < begin + seconds{3}; now += milliseconds{7}) {
    taken += pacer.take(now, 100).count;
  }
  const std::uint64_t missed = pacer.due(begin + seconds{2});
  BOOST_TEST(taken + missed == 2000U);
  BOOST_TEST(missed <= 7U);  // those of the time since the last look before the end
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::load
