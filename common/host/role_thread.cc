#include "common/host/role_thread.h"

#include <algorithm>
#include <cmath>

#include "common/host/clock.h"
#include "common/wire/checksum.h"

namespace kv::host {
namespace {

std::chrono::steady_clock::time_point on_steady_clock(Instant instant) {
  return std::chrono::steady_clock::time_point{instant.time_since_epoch()};
}

Duration exponential(Random& random, Duration mean) {
  const double share = -std::log(1.0 - random.unit());  // at most 37: 53 bits of chance
  return Duration{static_cast<Duration::rep>(share * static_cast<double>(mean.count()))};
}

}  // namespace

RoleThread::RoleThread(std::size_t mailbox_bytes_max, Birth birth)
    : mailbox_bytes_max_(mailbox_bytes_max), birth_(std::move(birth)) {}

RoleThread::~RoleThread() {
  kill();
}

void RoleThread::start() {
  if (thread_.joinable()) {
    return;
  }
  {
    const std::lock_guard lock{mutex_};
    alive_ = true;
  }
  thread_ = std::thread{[this] { live(); }};
}

void RoleThread::kill() {
  {
    const std::lock_guard lock{mutex_};
    alive_ = false;
    mailbox_.clear();
    mailbox_bytes_ = 0;
    wakes_.notify_all();
  }
  if (thread_.joinable()) {
    thread_.join();
  }
}

bool RoleThread::alive() const {
  const std::lock_guard lock{mutex_};
  return alive_;
}

bool RoleThread::dying() const {
  return !alive();
}

bool RoleThread::post(NodeId from, Bytes message) {
  const std::lock_guard lock{mutex_};
  if (!alive_ || (mailbox_bytes_ + message.size() > mailbox_bytes_max_ && mailbox_bytes_ > 0)) {
    return false;
  }
  mailbox_bytes_ += message.size();
  mailbox_.push_back({from, std::move(message)});
  if (mailbox_.size() == 1) {
    wakes_.notify_one();
  }
  return true;
}

void RoleThread::live() {
  const std::unique_ptr<Role> role = birth_();
  std::deque<Letter> letters;
  while (wait_for_letters(letters, role->wake_at())) {
    for (const Letter& letter : letters) {
      if (dying()) {
        return;
      }
      role->receive(run_now(), letter.from, letter.message);
    }
    if (const Instant now = run_now(); now >= role->wake_at()) {
      role->tick(now);
    }
  }
}

/// All that came, at once; none if `until` came first. False when it is time to die.
bool RoleThread::wait_for_letters(std::deque<Letter>& letters, Instant until) {
  letters.clear();
  std::unique_lock lock{mutex_};
  const auto something = [this] { return !alive_ || !mailbox_.empty(); };
  if (until == never) {
    wakes_.wait(lock, something);
  } else {
    wakes_.wait_until(lock, on_steady_clock(until), something);
  }
  letters.swap(mailbox_);
  mailbox_bytes_ = 0;
  return alive_;
}

RoleFailures::RoleFailures(const std::vector<RoleFailure>& failures, std::uint64_t seed,
                           Instant start) {
  for (const RoleFailure& failure : failures) {
    Course course{.failure = failure,
                  .random = Random{wire::checksum(failure.role, seed)},
                  .next = {.at = start, .role = failure.role}};
    plan(course, true);
    courses_.push_back(std::move(course));
  }
}

void RoleFailures::plan(Course& course, bool dies) {
  course.next.at += exponential(course.random, dies ? course.failure.up : course.failure.down);
  course.next.dies = dies;
}

std::optional<RoleFailures::Event> RoleFailures::next() {
  const auto first =
      std::ranges::min_element(courses_, {}, [](const Course& course) { return course.next.at; });
  if (first == courses_.end()) {
    return std::nullopt;
  }
  const Event event = first->next;
  plan(*first, !event.dies);
  return event;
}

RoleFailureClock::RoleFailureClock(RoleFailures failures,
                                   std::function<void(const RoleFailures::Event&)> on_event)
    : thread_([this, failures = std::move(failures), on_event = std::move(on_event)] {
        run(failures, on_event);
      }) {}

RoleFailureClock::~RoleFailureClock() {
  {
    const std::lock_guard lock{mutex_};
    stopping_ = true;
    wakes_.notify_all();
  }
  thread_.join();
}

void RoleFailureClock::run(RoleFailures failures,
                           const std::function<void(const RoleFailures::Event&)>& on_event) {
  while (const auto event = failures.next()) {
    {
      std::unique_lock lock{mutex_};
      if (wakes_.wait_until(lock, on_steady_clock(event->at), [this] { return stopping_; })) {
        return;
      }
    }
    on_event(*event);
  }
}

}  // namespace kv::host
