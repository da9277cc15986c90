#include "common/sim/event_queue.h"

#include <boost/test/unit_test.hpp>

#include "common/core/random.h"

namespace kv {

BOOST_AUTO_TEST_SUITE(sim_event_queue)

BOOST_AUTO_TEST_CASE(events_come_by_time_and_at_equal_times_as_they_were_pushed) {
  sim::EventQueue queue;
  Random random{1};
  for (std::uint32_t i = 0; i < 2000; ++i) {
    queue.push({.at = Instant{} + Duration{random.below(50)}, .item = i});
    if (random.chance(0.3)) {
      queue.pop();
    }
  }
  sim::Event last = queue.pop();
  while (!queue.empty()) {
    const sim::Event next = queue.pop();
    BOOST_TEST((last.at < next.at || (last.at == next.at && last.item < next.item)));
    last = next;
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv
