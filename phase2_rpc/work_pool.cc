#include "phase2_rpc/work_pool.h"

#include <algorithm>
#include <utility>

#include "common/core/check.h"

namespace kv::rpc {
WorkPool::WorkPool(std::size_t threads, std::size_t queue_max) : queue_max_(queue_max) {
  check(threads > 0 && queue_max > 0);
  for (std::size_t i = 0; i < threads; ++i) {
    shares_.push_back(std::make_unique<Share>());
  }
  for (const auto& share : shares_) {
    threads_.emplace_back([this, &mine = *share] { serve(mine); });
  }
}

WorkPool::~WorkPool() {
  {
    const std::lock_guard lock{mutex_};
    closing_ = true;
  }
  came_.notify_all();
  for (std::thread& thread : threads_) {
    thread.join();
  }
  check(queue_.empty());
}

bool WorkPool::offer(Work work) {
  bool wake = false;
  {
    const std::lock_guard lock{mutex_};
    check(!closing_);
    if (queue_.size() >= queue_max_) {
      return false;
    }
    queue_.push_back(std::move(work));
    wake = asleep_ > 0;  // a thread that is awake looks again before it sleeps
  }
  if (wake) {
    came_.notify_one();
  }
  return true;
}

std::size_t WorkPool::waiting() const {
  const std::lock_guard lock{mutex_};
  return queue_.size();
}

void WorkPool::serve(Share& mine) {
  while (true) {
    Work from_another;
    {
      std::unique_lock lock{mutex_};
      while (!take_share(mine) && !take_from_others(from_another)) {
        if (closing_) {
          return;
        }
        ++asleep_;
        came_.wait(lock);
        --asleep_;
      }
    }
    if (from_another) {
      from_another();
      continue;
    }
    for (std::size_t i = mine.next++; i < mine.count; i = mine.next++) {
      const Work work = std::exchange(mine.pieces[i], nullptr);
      work();
    }
  }
}

/// Never so many that the other threads have none.
bool WorkPool::take_share(Share& mine) {
  const std::size_t fair = (queue_.size() + shares_.size() - 1) / shares_.size();
  mine.count = std::min(fair, taken_at_once_max);
  for (std::size_t i = 0; i < mine.count; ++i) {
    mine.pieces[i] = std::move(queue_.front());
    queue_.pop_front();
  }
  mine.next = 0;
  return mine.count > 0;
}

/// The queue is empty: whoever is in a long piece has more that could be run meanwhile.
bool WorkPool::take_from_others(Work& work) {
  for (const auto& share : shares_) {
    if (share->next.load() >= share->count) {
      continue;
    }
    if (const std::size_t i = share->next++; i < share->count) {
      work = std::exchange(share->pieces[i], nullptr);
      return true;
    }
  }
  return false;
}

}  // namespace kv::rpc
