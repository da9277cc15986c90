// A fixed number of threads and one bounded queue: for work too long for the thread that read it.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace kv::rpc {

/// May be given work from every thread. Destroying it runs what was taken, and then ends. No piece
/// waits for another one while a thread has nothing to do.
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
  /// A thread takes as many at once: one lock for all of them.
  static constexpr std::size_t taken_at_once_max = 16;

  /// What a thread has taken. It claims piece after piece without the lock, and so may others that
  /// have nothing to do, under it.
  struct Share {
    std::array<Work, taken_at_once_max> pieces;
    std::size_t count = 0;             // changed under the lock, by its thread
    std::atomic<std::size_t> next{0};  // unclaimed, up to count
  };

  void serve(Share& mine);
  bool take_share(Share& mine);
  bool take_from_others(Work& work);

  const std::size_t queue_max_;
  mutable std::mutex mutex_;  // guards queue_, asleep_ and closing_
  std::condition_variable came_;
  std::deque<Work> queue_;
  std::size_t asleep_ = 0;
  bool closing_ = false;
  std::vector<std::unique_ptr<Share>> shares_;  // one a thread
  std::vector<std::thread> threads_;
};

}  // namespace kv::rpc
