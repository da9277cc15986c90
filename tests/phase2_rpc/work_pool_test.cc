#include "phase2_rpc/work_pool.h"

#include <atomic>
#include <condition_variable>
#include <mutex>

#include <boost/test/unit_test.hpp>

namespace kv::rpc {
BOOST_AUTO_TEST_SUITE(phase2_work_pool)

namespace {

/// Counts up, and lets others wait for how far.
class Counter {
 public:
  void count() {
    const std::lock_guard lock{mutex_};
    ++counted_;
    changed_.notify_all();
  }
  bool reaches(int number) {
    std::unique_lock lock{mutex_};
    return changed_.wait_for(lock, std::chrono::seconds{30}, [&] { return counted_ >= number; });
  }

 private:
  std::mutex mutex_;  // guards counted_
  std::condition_variable changed_;
  int counted_ = 0;
};

}  // namespace

BOOST_AUTO_TEST_CASE(work_that_one_thread_has_taken_is_run_by_those_that_have_none) {
  Counter begun;
  Counter released;
  Counter short_ones;
  bool all_in_time = false;
  {
    WorkPool pool{2, 1'000};
    for (int i = 0; i < 2; ++i) {  // so that all else waits in the queue
      pool.offer([&] {
        begun.count();
        released.reaches(1);
      });
    }
    begun.reaches(2);
    pool.offer([&] { all_in_time = short_ones.reaches(100); });  // waits for those behind it
    for (int i = 0; i < 100; ++i) {
      pool.offer([&] { short_ones.count(); });
    }
    released.count();
  }
  BOOST_TEST(all_in_time);
}

BOOST_AUTO_TEST_CASE(each_piece_of_work_is_run_once_whoever_runs_it) {
  constexpr int pieces = 20'000;
  std::vector<std::atomic<int>> runs(pieces);
  {
    WorkPool pool{4, pieces};
    for (auto& run : runs) {
      BOOST_REQUIRE(pool.offer([&run] { ++run; }));
    }
  }
  int wrong = 0;
  for (const auto& run : runs) {
    wrong += run == 1 ? 0 : 1;
  }
  BOOST_TEST(wrong == 0);
}

BOOST_AUTO_TEST_CASE(a_full_queue_takes_nothing_more) {
  Counter begun;
  Counter released;
  WorkPool pool{1, 2};
  pool.offer([&] {
    begun.count();
    released.reaches(1);
  });
  begun.reaches(1);
  BOOST_TEST(pool.offer([] {}));
  BOOST_TEST(pool.offer([] {}));
  BOOST_TEST(!pool.offer([] {}));
  BOOST_TEST(pool.waiting() == 2U);
  released.count();
}

BOOST_AUTO_TEST_SUITE_END()
}  // namespace kv::rpc
