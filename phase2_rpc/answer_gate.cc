#include "phase2_rpc/answer_gate.h"

#include <algorithm>

#include <boost/asio/post.hpp>

namespace kv::rpc {
namespace {

/// Of a connection that has room again, so many calls run at once: most likely it is full again
/// after fewer, and the others would be handed to and fro for nothing.
constexpr std::size_t run_at_once_max = 16;

std::size_t held_bytes_of(const CallResult& result) {
  return result.body.size() + result.why.size();
}

}  // namespace

// --- one connection's ----------------------------------------------------------------------------

void AnswerGate::Path::answer(CallId id, const CallResult& result) {
  if (gate_->is_here()) {
    deliver(id, result);
  } else {
    gate_->put({shared_from_this(), id, result});
  }
}

bool AnswerGate::Path::given_up(CallId id) const {
  if (!some_given_up_.load(std::memory_order_relaxed)) {
    return false;
  }
  const std::lock_guard lock{gate_->mutex_};
  return given_up_.contains(id);
}

void AnswerGate::Path::give_up(CallId id) {
  const std::lock_guard lock{gate_->mutex_};
  given_up_.insert(id);
  some_given_up_ = true;
}

void AnswerGate::Path::forget(CallId id) {
  const std::lock_guard lock{gate_->mutex_};
  given_up_.erase(id);
  some_given_up_ = !given_up_.empty();
}

bool AnswerGate::Path::park(const std::function<void()>& again) {
  const std::lock_guard lock{gate_->mutex_};
  parked_.push_back(again);
  some_parked_ = true;
  if (is_full()) {
    return true;  // whoever makes room from here on sees that something is parked
  }
  parked_.pop_back();
  some_parked_ = !parked_.empty();
  return false;
}

bool AnswerGate::Path::run_some() {
  std::vector<std::function<void()>> turns;
  bool more = false;
  {
    const std::lock_guard lock{gate_->mutex_};
    const std::size_t count = cut_ ? parked_.size() : std::min(parked_.size(), run_at_once_max);
    const auto end = parked_.begin() + static_cast<std::ptrdiff_t>(count);
    turns.assign(std::make_move_iterator(parked_.begin()), std::make_move_iterator(end));
    parked_.erase(parked_.begin(), end);
    more = !parked_.empty();
    some_parked_ = more;
  }
  for (const auto& turn : turns) {
    turn();
  }
  return more;
}

void AnswerGate::Path::cut() {
  connection_ = nullptr;
  cut_ = true;
  if (some_parked_) {
    run_some();
  }
}

// --- the loop's ----------------------------------------------------------------------------------

void AnswerGate::put(Letter letter) {
  const std::lock_guard lock{mutex_};
  if (loop_ == nullptr) {
    return;
  }
  letter.to->letter_bytes_ += held_bytes_of(letter.result);
  letters_.push_back(std::move(letter));
  if (letters_.size() == 1) {
    asio::post(*loop_, [self = shared_from_this()] { self->deliver(); });
  }
}

void AnswerGate::deliver() {
  {
    const std::lock_guard lock{mutex_};
    letters_.swap(reading_);
  }
  for (const Letter& letter : reading_) {
    letter.to->deliver(letter.id, letter.result);
    letter.to->letter_bytes_ -= held_bytes_of(letter.result);
  }
  reading_.clear();
}

void AnswerGate::shut() {
  const std::lock_guard lock{mutex_};
  loop_ = nullptr;
  letters_.clear();
}

}  // namespace kv::rpc
