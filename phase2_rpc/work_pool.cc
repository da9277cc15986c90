#include "phase2_rpc/work_pool.h"

#include <algorithm>
#include <utility>

#include "common/core/check.h"

namespace kv::rpc {
namespace {

/// A thread takes as many at once: one lock for all of them, but never so many that the other
/// threads have none.
constexpr std::size_t taken_at_once_max = 16;

}  // namespace

WorkPool::WorkPool(std::size_t threads, std::size_t queue_max) : queue_max_(queue_max) {
  check(threads > 0 && queue_max > 0);
  for (std::size_t i = 0; i < threads; ++i) {
    threads_.emplace_back([this] { serve(); });
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

void WorkPool::serve() {
  std::vector<Work> taken;
  while (true) {
    {
      std::unique_lock lock{mutex_};
      while (queue_.empty() && !closing_) {
        ++asleep_;
        came_.wait(lock);
        --asleep_;
      }
      if (queue_.empty()) {
        return;
      }
      const std::size_t share = (queue_.size() + threads_.size() - 1) / threads_.size();
      for (std::size_t i = std::min(share, taken_at_once_max); i > 0; --i) {
        taken.push_back(std::move(queue_.front()));
        queue_.pop_front();
      }
    }
    for (Work& work : taken) {
      work();
    }
    taken.clear();
  }
}

}  // namespace kv::rpc
