// The way back from whoever has an answer, on whatever thread, to the connection that waits for it.
//
// Included only where Asio is.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

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
    Path(std::shared_ptr<AnswerGate> gate, LateAnswers& connection, Caller its_caller)
        : caller(std::move(its_caller)), gate_(std::move(gate)), connection_(&connection) {}

    void answer(CallId id, const CallResult& result) override {
      if (gate_->is_here()) {
        deliver(id, result);
      } else {
        gate_->put({shared_from_this(), id, result});
      }
    }
    /// On the loop's thread, both.
    void deliver(CallId id, const CallResult& result) {
      if (connection_ != nullptr) {
        connection_->answer_late(id, result);
      }
    }
    void cut() { connection_ = nullptr; }

    const Caller caller;

   private:
    const std::shared_ptr<AnswerGate> gate_;
    LateAnswers* connection_;  // the loop's thread alone looks at it
  };

  /// The loop's thread says so, before anything else of it runs.
  void i_am_the_loop() { thread_.store(std::this_thread::get_id(), std::memory_order_relaxed); }
  bool is_here() const {
    return thread_.load(std::memory_order_relaxed) == std::this_thread::get_id();
  }

  /// What is left after this goes nowhere. The loop must not run any more.
  void shut() {
    const std::lock_guard lock{mutex_};
    loop_ = nullptr;
    letters_.clear();
  }

 private:
  struct Letter {
    std::shared_ptr<Path> to;
    CallId id;
    CallResult result;
  };

  void put(Letter letter) {
    const std::lock_guard lock{mutex_};
    if (loop_ == nullptr) {
      return;
    }
    letters_.push_back(std::move(letter));
    if (letters_.size() == 1) {
      asio::post(*loop_, [self = shared_from_this()] { self->deliver(); });
    }
  }

  void deliver() {
    {
      const std::lock_guard lock{mutex_};
      letters_.swap(reading_);
    }
    for (const Letter& letter : reading_) {
      letter.to->deliver(letter.id, letter.result);
    }
    reading_.clear();
  }

  std::mutex mutex_;  // guards loop_ and letters_
  asio::io_context* loop_;
  std::vector<Letter> letters_;
  std::vector<Letter> reading_;
  std::atomic<std::thread::id> thread_{};
};

}  // namespace kv::rpc
