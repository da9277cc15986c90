// Why an operation took as long as it did, in words that the marks bear out.
#include "tools/slow_operations.h"

#include <cmath>

#include <boost/test/unit_test.hpp>

namespace kv::logs {
BOOST_AUTO_TEST_SUITE(tools_slow_operations)

namespace {

constexpr Micros zero = 1'000'000'000;

Micros at(double seconds) {
  return zero + static_cast<Micros>(seconds * 1e6);
}

Notable put(double call, double end, Status status = Status::ok) {
  return {.what = "put k",
          .client = 3,
          .status = status,
          .call = at(call),
          .end = at(end),
          .latency_ns = static_cast<std::uint64_t>(std::llround((end - call) * 1e9))};
}

Mark mark(double seconds, Mark::Kind kind, std::uint32_t node, std::string what = "") {
  return {.at = at(seconds), .kind = kind, .node = node, .what = std::move(what)};
}

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

BOOST_AUTO_TEST_CASE(what_happened_while_it_waited_is_told_in_order) {
  const std::vector<Mark> marks{mark(1, Mark::Kind::down, 5, "signal 9"),
                                mark(4.99, Mark::Kind::down, 2, "signal 9"),
                                mark(6.3, Mark::Kind::leader, 4), mark(9, Mark::Kind::up, 5)};
  const std::string text = explain(put(5, 6.5), marks, zero);
  BOOST_TEST(text ==
             "put k of client 3, asked at 5.00 s, took 1500 ms: answered ok. When it was asked, "
             "node 5 was down since 1.00 s. While it waited: node 2 went down (signal 9) at "
             "4.99 s; node 4 began to lead at 6.30 s. The answer came 200 ms after the last of "
             "these.");
}

BOOST_AUTO_TEST_CASE(a_slow_one_without_a_fault_says_so) {
  BOOST_TEST(has(explain(put(5, 5.1), {}, zero), "The logs tell of no fault in that time"));
  BOOST_TEST(!has(explain(put(5, 5.01), {}, zero), "no fault"));
  Notable named = put(5, 5.01);
  named.op = "c.7";
  BOOST_TEST(explain(named, {}, zero).ends_with(" Its ID is c.7."));
}

BOOST_AUTO_TEST_CASE(an_unknown_one_is_not_said_to_have_taken_any_time) {
  const std::string text = explain(put(5, 5, Status::unknown), {}, zero);
  BOOST_TEST(has(text, "unknown: it may or may not have been done"), text);
  BOOST_TEST(!has(text, "took"), text);
}

BOOST_AUTO_TEST_CASE(troubles_last_from_their_begin_to_their_end_or_to_the_end_of_all) {
  const std::vector<Mark> marks{mark(1, Mark::Kind::fault_begins, 5, "crash 5"),
                                mark(1, Mark::Kind::down, 5, "signal 9"),
                                mark(2, Mark::Kind::fault_ends, 5, "crash 5"),
                                mark(2.1, Mark::Kind::up, 5),
                                mark(3, Mark::Kind::fault_begins, 0, "partition 1|2"),
                                mark(4, Mark::Kind::fault_ends, 0, "partition 1|2"),
                                mark(5, Mark::Kind::fault_begins, 0, "cut 1 2"),
                                mark(6, Mark::Kind::healed, 0),
                                mark(7, Mark::Kind::down, 1, "signal 9")};
  const std::vector<Trouble> troubles = troubles_of(marks, at(8));
  BOOST_TEST_REQUIRE(troubles.size() == 4U);
  BOOST_TEST((troubles[0].when == Interval{at(1), at(2.1)}));
  BOOST_TEST(troubles[0].what == "down");
  BOOST_TEST((troubles[1].when == Interval{at(3), at(4)}));
  BOOST_TEST((troubles[2].when == Interval{at(5), at(6)}));
  BOOST_TEST((troubles[3].when == Interval{at(7), at(8)}));
}

BOOST_AUTO_TEST_CASE(the_slowest_are_kept_and_the_first_that_failed) {
  SlowOperations slow;
  for (std::uint64_t i = 1; i <= 1000; ++i) {
    const bool failed = i % 2 == 0;
    const Finished finished{.status = failed ? Status::unavailable : Status::ok,
                            .call = static_cast<Micros>(i),
                            .end = static_cast<Micros>(i),
                            .latency_ns = i * 7919 % 1000};
    if (slow.wants(finished)) {
      slow.show(finished, std::to_string(i), "", 1);
    }
  }
  const std::vector<Notable> all = slow.all();
  BOOST_TEST(all.size() == SlowOperations::slowest_max + SlowOperations::failed_max);
  std::uint64_t fastest = UINT64_MAX;
  for (const Notable& each : all) {
    if (each.status == Status::ok) {
      fastest = std::min(fastest, each.latency_ns);
    } else {
      BOOST_TEST(each.call <= 200);
    }
  }
  BOOST_TEST(fastest == 1000 - 2 * SlowOperations::slowest_max + 1);  // of the odd ones to 999
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::logs
