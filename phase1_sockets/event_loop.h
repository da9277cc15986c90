// One thread's event loop, and the three ways to be called by it that are not a socket: Again (in
// the next turn), Alarm (after a while) and Inbox (from another thread).
//
// The base takes no locks, for only its own thread uses it; other threads reach it through an
// Inbox, which wakes it by a descriptor of ours. Alarms are timer descriptors: while the base has
// no timer of its own, it sleeps without one, and a sleep that arms no timer is a shorter one.
#pragma once

#include <event2/event.h>

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <boost/intrusive/list.hpp>

#include "common/core/time.h"
#include "common/host/descriptor.h"

namespace kv::sockets {

using host::Descriptor;

struct EventDeleter {
  void operator()(event* pointer) const { event_free(pointer); }
};
using EventPointer = std::unique_ptr<event, EventDeleter>;

using AutoUnlink =
    boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;

/// Something that had to stop before it was done, so that others get their turn.
class Again : public AutoUnlink {
 public:
  virtual void again() = 0;

 protected:
  ~Again() = default;
};

class EventLoop;

class InboxBase {
 public:
  InboxBase(const InboxBase&) = delete;
  InboxBase& operator=(const InboxBase&) = delete;
  virtual void deliver() = 0;

 protected:
  explicit InboxBase(EventLoop& loop);
  ~InboxBase();
  void wake();

 private:
  EventLoop& loop_;
};

/// Used from its own thread, but for what says otherwise.
class EventLoop {
 public:
  /// What a loop and its alarms take at most.
  static constexpr std::size_t descriptors_max = 16;

  /// Nothing, and a reason in `why`, if the kernel has not so many descriptors left: whoever makes
  /// an Alarm later need not fear for its own.
  static std::unique_ptr<EventLoop> open(std::string& why);
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;
  ~EventLoop();

  event_base* base() const { return base_.get(); }

  /// Runs on the calling thread, which is the loop's own from now on, until stop().
  void run();
  void stop() { stopped_ = true; }

  /// Called at the end of each turn, the last one included. Before run().
  void at_turn_end(std::function<void()> task) { at_turn_end_ = std::move(task); }

  /// Any thread may ask.
  bool is_here() const {
    return thread_.load(std::memory_order_relaxed) == std::this_thread::get_id();
  }

  /// Calls it once in the next turn, after the sockets that are ready then. Repeats are one.
  void again(Again& who) {
    if (!who.is_linked()) {
      again_.push_back(who);
    }
  }

  void forget(Again& who) {
    if (who.is_linked()) {
      who.unlink();
    }
  }

  /// Any thread may call it. What is posted after the loop's end runs never.
  void post(std::function<void()> task);

 private:
  friend class InboxBase;
  using AgainList = boost::intrusive::list<Again, boost::intrusive::constant_time_size<false>>;
  struct BaseDeleter {
    void operator()(event_base* base) const { event_base_free(base); }
  };

  EventLoop();
  void run_again();
  void deliver();

  std::unique_ptr<event_base, BaseDeleter> base_;
  Descriptor wake_;  // an eventfd
  EventPointer wake_event_;
  std::atomic<std::thread::id> thread_{};
  std::vector<InboxBase*> inboxes_;
  AgainList again_;
  bool stopped_ = false;
  std::function<void()> at_turn_end_ = [] {};
  struct Tasks;
  std::unique_ptr<Tasks> tasks_;
};

/// What other threads leave for a loop: handed over in batches, one wake-up a batch. Only as
/// bounded as its writers are. Made and ended on the loop's thread, or before and after its run.
template <typename T>
class Inbox final : public InboxBase {
 public:
  Inbox(EventLoop& loop, std::function<void(T&)> take) : InboxBase(loop), take_(std::move(take)) {}

  /// Any thread.
  void put(T letter) {
    bool first = false;
    {
      const std::lock_guard lock{mutex_};
      first = letters_.empty();
      letters_.push_back(std::move(letter));
    }
    if (first) {
      wake();
    }
  }

  void deliver() override {
    {
      const std::lock_guard lock{mutex_};
      letters_.swap(reading_);
    }
    for (T& letter : reading_) {
      take_(letter);
    }
    reading_.clear();
  }

 private:
  std::function<void(T&)> take_;
  std::mutex mutex_;  // guards letters_
  std::vector<T> letters_;
  std::vector<T> reading_;
};

/// Calls once after each arm().
class Alarm {
 public:
  Alarm(EventLoop& loop, std::function<void()> ring);

  /// Nothing happens if it is armed already.
  void arm(Duration after);
  void disarm();
  bool armed() const { return armed_; }

 private:
  Descriptor timer_;
  EventPointer event_;
  std::function<void()> ring_;
  bool armed_ = false;
};

}  // namespace kv::sockets
