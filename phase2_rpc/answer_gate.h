// The way back from whoever has an answer, on whatever thread, to the connection that waits for it.
//
// Included only where Asio is.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/unordered/unordered_flat_set.hpp>

#include "phase2_rpc/dispatcher.h"

namespace kv::rpc {

namespace asio = boost::asio;

/// A connection as its loop's letters find it.
class LateAnswers {
 public:
  /// On the loop's thread.
  virtual void answer_late(CallId id, const CallResult& result) = 0;

 protected:
  ~LateAnswers() = default;
};

/// Where other threads leave answers for a loop's connections: handed over in batches, one wake-up
/// a batch. As bounded as the calls in flight are.
class AnswerGate : public std::enable_shared_from_this<AnswerGate> {
 public:
  explicit AnswerGate(asio::io_context& loop) : loop_(&loop) {}
  AnswerGate(const AnswerGate&) = delete;
  AnswerGate& operator=(const AnswerGate&) = delete;

  /// The way back to one connection; outlives it, and from then on leads nowhere.
  class Path final : public ReturnPath, public std::enable_shared_from_this<Path> {
   public:
    /// `bytes_max`: of answers on their way to the connection; with more than those it is full.
    Path(std::shared_ptr<AnswerGate> gate, LateAnswers& connection, std::size_t bytes_max,
         Caller its_caller)
        : caller(std::move(its_caller)),
          gate_(std::move(gate)),
          bytes_max_(bytes_max),
          connection_(&connection) {}

    void answer(CallId id, const CallResult& result) override;
    bool given_up(CallId id) const override;
    bool is_full() const override {
      return !cut_ && (blocked_ || letter_bytes_.load() > bytes_max_);
    }
    bool park(const std::function<void()>& again) override;

    // On the loop's thread, all that follow.

    void deliver(CallId id, const CallResult& result) {
      if (connection_ != nullptr) {
        connection_->answer_late(id, result);
      }
    }
    /// The call's caller wants no answer any more …
    void give_up(CallId id);
    /// … and the call has ended, given up or not.
    void ended(CallId id) {
      if (some_given_up_.load(std::memory_order_relaxed)) {
        forget(id);
      }
    }
    /// Whether the connection has as many answers as it may hold. True if some of what is parked
    /// runs again, and more may wait: then call it once more, in another turn.
    bool block(bool blocked) {
      if (blocked != blocked_) {
        blocked_ = blocked;
      }
      return some_parked_ && !is_full() && run_some();
    }
    /// The connection has ended. What is parked runs again.
    void cut();

    const Caller caller;

   private:
    friend class AnswerGate;
    void forget(CallId id);
    bool run_some();

    const std::shared_ptr<AnswerGate> gate_;
    const std::size_t bytes_max_;
    LateAnswers* connection_;  // the loop's thread alone looks at it
    std::atomic<bool> cut_{false};
    std::atomic<bool> blocked_{false};
    std::atomic<std::size_t> letter_bytes_{0};  // in the gate
    std::atomic<bool> some_given_up_{false};
    std::atomic<bool> some_parked_{false};
    std::deque<std::function<void()>> parked_;    // under the gate's mutex
    boost::unordered_flat_set<CallId> given_up_;  // likewise
  };

  /// The loop's thread says so, before anything else of it runs.
  void i_am_the_loop() { thread_.store(std::this_thread::get_id(), std::memory_order_relaxed); }
  bool is_here() const {
    return thread_.load(std::memory_order_relaxed) == std::this_thread::get_id();
  }

  /// What is left after this goes nowhere. The loop must not run any more.
  void shut();

 private:
  struct Letter {
    std::shared_ptr<Path> to;
    CallId id;
    CallResult result;
  };

  void put(Letter letter);
  void deliver();

  mutable std::mutex mutex_;  // guards loop_, letters_ and what its paths say
  asio::io_context* loop_;
  std::vector<Letter> letters_;
  std::vector<Letter> reading_;
  std::atomic<std::thread::id> thread_{};
};

}  // namespace kv::rpc
