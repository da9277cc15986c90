#include "tools/load_driver.h"

#include <algorithm>
#include <utility>

#include "tools/load_usage.h"

namespace kv::load {
namespace {

constexpr std::size_t events_max = 256;
constexpr Nanoseconds tick = std::chrono::milliseconds{10};

}  // namespace

Driver::Driver(const Plan& plan, Descriptor epoll)
    : plan_(plan), workload_(plan.mix), epoll_(std::move(epoll)), events_(events_max) {}

Outcome Driver::fill() {
  filling_ = true;
  Outcome outcome = play({.begin = Clock::now(), .requests_max = plan_.mix.keys}, fill_depth());
  filling_ = false;
  return outcome;
}

Outcome Driver::run() {
  const Moment now = Clock::now();
  const auto length = std::chrono::duration_cast<Nanoseconds>(
      std::chrono::duration<double>(std::min(plan_.seconds, 1e9)));
  return play(
      {.begin = now, .end = now + length, .requests_max = plan_.requests_max, .rate = plan_.rate},
      plan_.depth);
}

Outcome Driver::play(const Pacer::Plan& pace, std::uint32_t depth) {
  outcome_ = Outcome{};
  pacer_.emplace(pace);
  depth_ = depth;
  progress_at_ = begun_ = told_at_ = pace.begin;
  const double processor_begin = processor_seconds();
  Moment now = pace.begin;
  Moment tick_at = now + tick;
  while (true) {
    start_idle(now);
    if (is_done(now)) {
      break;
    }
    wait(now);
    now = Clock::now();
    if (now >= tick_at) {
      on_tick(now);
      tell_progress(now);
      tick_at = now + tick;
    }
  }
  outcome_.seconds = seconds_between(pace.begin, std::max(progress_at_, pace.begin));
  outcome_.busy =
      (processor_seconds() - processor_begin) / seconds_between(pace.begin, Clock::now());
  outcome_.not_started = pacer_->is_open_loop() ? pacer_->due(pace.end) : 0;
  return std::exchange(outcome_, Outcome{});
}

void Driver::tell_progress(Moment now) {
  if (plan_.progress && !filling_ && now >= told_at_ + progress_interval) {
    outcome_.seconds = seconds_between(begun_, now);
    plan_.progress(outcome_);
    told_at_ = now;
  }
}

void Driver::start_idle(Moment now) {
  while (!idle_.empty() && start_one(idle_.front(), now)) {
    idle_.pop_front();
  }
}

bool Driver::start_one(ClientIndex client, Moment now) {
  // In the open loop what is due is spread over the idle, not heaped onto the first of them.
  const std::uint64_t share =
      pacer_->is_open_loop() && depth_ > 1 ? pacer_->due(now) / (idle_.size() + 1) + 1 : depth_;
  ClientState& state = state_of(client);
  const std::uint64_t room = filling_ ? depth_ : workload_.drawable(state);
  const Pacer::Leave leave = pacer_->take(now, std::min<std::uint64_t>({share, depth_, room}));
  if (leave.count == 0) {
    return false;
  }
  ++under_way_;
  if (filling_) {
    start(client, workload_.fill(state, leave.first, leave.count), leave, now);
    return true;
  }
  start(client, workload_.draw(state, leave.count), leave, now);
  return true;
}

void Driver::finished(ClientIndex client, Moment now) {
  --under_way_;
  progress_at_ = now;
  if (!idle_.empty() || !start_one(client, now)) {
    idle_.push_back(client);  // others wait longer
  }
}

void Driver::record_all(const Pacer::Leave& leave, Moment now) {
  if (leave.step == Nanoseconds{0}) {
    outcome_.latency.record(now - leave.due, leave.count);
    return;
  }
  for (std::uint64_t k = 0; k < leave.count; ++k) {
    record(leave, k, now);
  }
}

bool Driver::watch(int socket, ClientIndex client, std::uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.u32 = client;
  return epoll_ctl(epoll_.number(), EPOLL_CTL_ADD, socket, &event) == 0;
}

void Driver::wait(Moment now) {
  Nanoseconds patience = tick;
  if (pacer_->is_open_loop() && !idle_.empty() && !pacer_->is_over(now)) {
    patience = std::clamp<Nanoseconds>(pacer_->due_next() - now, Nanoseconds{0}, tick);
  }
  const timespec timeout{0, static_cast<long>(patience.count())};
  const int count = epoll_pwait2(epoll_.number(), events_.data(), static_cast<int>(events_.size()),
                                 &timeout, nullptr);
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events_[static_cast<std::size_t>(i)];
    on_ready(event.data.u32, event.events);
  }
}

bool Driver::is_done(Moment now) {
  if (under_way_ == 0 && pacer_->is_over(now)) {
    return true;
  }
  const Moment from =
      pacer_->end() == Moment::max() ? progress_at_ : std::max(progress_at_, pacer_->end());
  if (now - from <= plan_.patience) {
    return false;
  }
  abandon();
  return true;
}

}  // namespace kv::load
