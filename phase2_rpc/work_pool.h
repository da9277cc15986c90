// A fixed number of threads and one bounded queue: for work too long for the thread that read it.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace kv::rpc {

/// May be given work from every thread. Destroying it runs what was taken, and then ends.
class WorkPool {
 public:
  using Work = std::function<void()>;

  /// At least one thread; at most `queue_max` pieces wait.
  WorkPool(std::size_t threads, std::size_t queue_max);
  WorkPool(const WorkPool&) = delete;
  WorkPool& operator=(const WorkPool&) = delete;
  ~WorkPool();

  /// False, and nothing happens, if the queue is full.
  bool offer(Work work);

  std::size_t waiting() const;

 private:
  void serve();

  const std::size_t queue_max_;
  mutable std::mutex mutex_;  // guards queue_, asleep_ and closing_
  std::condition_variable came_;
  std::deque<Work> queue_;
  std::size_t asleep_ = 0;
  bool closing_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace kv::rpc
