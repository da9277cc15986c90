// When a loop looks for its next event, and what it knows of having waited awake.
#include "phase2_rpc/spin.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/test/unit_test.hpp>

#include "phase2_rpc/loop_turns.h"

namespace kv::rpc {
BOOST_AUTO_TEST_SUITE(phase2_spin)

namespace {

using namespace std::chrono_literals;

constexpr Instant begin{1h};

/// How long after `now` it looks again.
Duration rest_after(const SpinHabit& habit, Instant now) {
  Duration rest{};
  while (!habit.looks_at(now + rest)) {
    rest += 50us;
  }
  return rest;
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_habit_that_finds_something_looks_every_time) {
  SpinHabit habit{100us};
  for (int i = 0; i < 1'000; ++i) {
    BOOST_TEST(habit.looks_at(begin + i * 10us));
    habit.found();
  }
}

BOOST_AUTO_TEST_CASE(a_habit_without_a_time_to_spin_never_looks) {
  BOOST_TEST(!SpinHabit{0us}.looks_at(begin));
}

BOOST_AUTO_TEST_CASE(each_look_in_vain_is_followed_by_twice_the_rest_up_to_a_limit) {
  SpinHabit habit{100us};
  Instant now = begin;
  for (Duration rest = 100us; rest < SpinHabit::rest_max; rest *= 2) {
    habit.missed(now);
    BOOST_TEST(rest_after(habit, now).count() == rest.count());
    now += rest;
  }
  for (int i = 0; i < 3; ++i) {
    habit.missed(now);
    BOOST_TEST(rest_after(habit, now).count() == SpinHabit::rest_max.count());
    now += SpinHabit::rest_max;
  }
}

BOOST_AUTO_TEST_CASE(a_habit_whose_core_others_want_rests_long_and_soon_longest) {
  SpinHabit habit{100us};
  habit.found();
  habit.disturbed(begin);
  BOOST_TEST(rest_after(habit, begin).count() == Duration{400us}.count());
  for (int i = 0; i < 4; ++i) {
    habit.disturbed(begin);
  }
  BOOST_TEST(rest_after(habit, begin).count() == SpinHabit::rest_max.count());
}

BOOST_AUTO_TEST_CASE(a_habit_of_long_looks_rests_no_longer_than_others) {
  for (const auto in_vain : {&SpinHabit::missed, &SpinHabit::disturbed}) {
    SpinHabit habit{10s};
    (habit.*in_vain)(begin);
    BOOST_TEST(rest_after(habit, begin).count() == SpinHabit::rest_max.count());
  }
}

BOOST_AUTO_TEST_CASE(what_is_found_shortens_the_rests_to_come) {
  SpinHabit habit{100us};
  habit.disturbed(begin);
  for (int i = 0; i < 10; ++i) {
    habit.found();
  }
  habit.missed(begin);
  BOOST_TEST(rest_after(habit, begin).count() == Duration{100us}.count());
}

namespace {

struct Seen {
  bool in_the_posted;
  bool in_the_timers;
};

enum class More : std::uint8_t { expected, unexpected };

/// What something that is there at once sees, and something that comes after 5 ms.
Seen waited_awake(Duration spin, More more) {
  boost::asio::io_context loop{1};
  LoopTurns turns{loop, spin};
  if (more == More::expected) {
    turns.expect_more();
  }
  Seen seen{};
  boost::asio::post(loop, [&] { seen.in_the_posted = turns.waited_awake(); });
  boost::asio::steady_timer timer{loop, 5ms};
  timer.async_wait([&](boost::system::error_code) { seen.in_the_timers = turns.waited_awake(); });
  turns.run();  // until it is out of work
  return seen;
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_loop_that_looks_for_long_has_waited_awake_for_what_comes_late_alone) {
  const Seen seen = waited_awake(10s, More::expected);
  BOOST_TEST(!seen.in_the_posted);
  BOOST_TEST(seen.in_the_timers);
}

BOOST_AUTO_TEST_CASE(a_loop_that_looks_for_a_moment_or_never_has_slept_when_something_comes_late) {
  for (const Duration spin : {1us, 0us}) {
    const Seen seen = waited_awake(spin, More::expected);
    BOOST_TEST(!seen.in_the_posted);
    BOOST_TEST(!seen.in_the_timers);
  }
}

BOOST_AUTO_TEST_CASE(a_loop_without_traffic_sleeps_between_its_timers) {
  BOOST_TEST(!waited_awake(10s, More::unexpected).in_the_timers);
}

BOOST_AUTO_TEST_SUITE_END()
}  // namespace kv::rpc
