#include "phase1_sockets/event_loop.h"

#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "common/core/check.h"

namespace kv::sockets {

struct EventLoop::Tasks {
  explicit Tasks(EventLoop& loop) : inbox(loop, [](std::function<void()>& task) { task(); }) {}
  Inbox<std::function<void()>> inbox;
};

EventLoop::EventLoop() = default;
EventLoop::~EventLoop() = default;

InboxBase::InboxBase(EventLoop& loop) : loop_(loop) {
  loop_.inboxes_.push_back(this);
}

InboxBase::~InboxBase() {
  std::erase(loop_.inboxes_, this);
}

void InboxBase::wake() {
  const std::uint64_t one = 1;
  // Only a counter at its very end refuses, and then the loop is about to wake anyway.
  [[maybe_unused]] const auto written = ::write(loop_.wake_.number(), &one, sizeof one);
}

namespace {

/// Takes so many and gives them back.
bool has_descriptors(std::size_t count) {
  std::vector<Descriptor> taken;
  while (taken.size() < count) {
    taken.emplace_back(::eventfd(0, EFD_CLOEXEC));
    if (!taken.back().open()) {
      return false;
    }
  }
  return true;
}

}  // namespace

std::unique_ptr<EventLoop> EventLoop::open(std::string& why) {
  if (!has_descriptors(descriptors_max)) {
    why = std::string{"no descriptors for an event loop: "} + std::strerror(errno) +
          "; raise the limit (ulimit -n) or take fewer --threads";
    return nullptr;
  }
  std::unique_ptr<event_config, decltype(&event_config_free)> config{event_config_new(),
                                                                     &event_config_free};
  std::unique_ptr<EventLoop> loop{new EventLoop};
  loop->wake_ = Descriptor{::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
  event_config_set_flag(config.get(), EVENT_BASE_FLAG_NOLOCK);
  event_config_set_flag(config.get(), EVENT_BASE_FLAG_NO_CACHE_TIME);
  event_config_set_flag(config.get(), EVENT_BASE_FLAG_IGNORE_ENV);
  event_config_require_features(config.get(), EV_FEATURE_ET | EV_FEATURE_EARLY_CLOSE);
  loop->base_.reset(event_base_new_with_config(config.get()));
  if (!loop->wake_.open() || !loop->base_) {
    why = std::string{"no event loop: "} + std::strerror(errno);
    return nullptr;
  }
  const auto on_wake = [](evutil_socket_t, short, void* self) {
    static_cast<EventLoop*>(self)->deliver();
  };
  loop->wake_event_.reset(
      event_new(loop->base(), loop->wake_.number(), EV_READ | EV_PERSIST, on_wake, loop.get()));
  check(loop->wake_event_ != nullptr && event_add(loop->wake_event_.get(), nullptr) == 0);
  loop->tasks_ = std::make_unique<Tasks>(*loop);
  return loop;
}

void EventLoop::run() {
  thread_ = std::this_thread::get_id();
  stopped_ = false;
  while (!stopped_) {
    const int flags = EVLOOP_ONCE | (again_.empty() ? 0 : EVLOOP_NONBLOCK);
    check(event_base_loop(base(), flags) >= 0);
    run_again();
    at_turn_end_();
  }
  thread_ = std::thread::id{};
}

/// Only those who stand in line now: who asks again meanwhile waits for the next turn.
void EventLoop::run_again() {
  AgainList now;
  now.splice(now.end(), again_);
  while (!now.empty()) {
    Again& next = now.front();
    now.pop_front();
    next.again();
  }
}

void EventLoop::deliver() {
  std::uint64_t wakes = 0;
  [[maybe_unused]] const auto got = ::read(wake_.number(), &wakes, sizeof wakes);
  for (std::size_t i = 0; i < inboxes_.size(); ++i) {  // a delivery may make or end inboxes
    inboxes_[i]->deliver();
  }
}

void EventLoop::post(std::function<void()> task) {
  tasks_->inbox.put(std::move(task));
}

Alarm::Alarm(EventLoop& loop, std::function<void()> ring)
    : timer_(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)),
      ring_(std::move(ring)) {
  check(timer_.open());
  const auto on_timer = [](evutil_socket_t timer, short, void* self) {
    std::uint64_t times = 0;
    auto* const alarm = static_cast<Alarm*>(self);
    if (::read(timer, &times, sizeof times) == sizeof times && alarm->armed_) {
      alarm->armed_ = false;
      alarm->ring_();
    }
  };
  event_.reset(event_new(loop.base(), timer_.number(), EV_READ | EV_PERSIST, on_timer, this));
  check(event_ != nullptr && event_add(event_.get(), nullptr) == 0);
}

void Alarm::arm(Duration after) {
  if (armed_) {
    return;
  }
  armed_ = true;
  const auto whole = std::chrono::duration_cast<std::chrono::seconds>(after);
  const auto rest = std::chrono::duration_cast<std::chrono::nanoseconds>(after - whole);
  itimerspec at{};
  at.it_value.tv_sec = whole.count();
  at.it_value.tv_nsec = std::max<long>(rest.count(), whole.count() == 0 ? 1 : 0);
  check(::timerfd_settime(timer_.number(), 0, &at, nullptr) == 0);
}

void Alarm::disarm() {
  if (!armed_) {
    return;
  }
  armed_ = false;
  const itimerspec none{};
  check(::timerfd_settime(timer_.number(), 0, &none, nullptr) == 0);
}

}  // namespace kv::sockets
