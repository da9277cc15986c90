#include "phase1_sockets/deadlines.h"

#include <algorithm>

namespace kv::sockets {
namespace {

constexpr Duration tick_min = std::chrono::milliseconds{5};
constexpr Duration tick_max = std::chrono::milliseconds{250};

/// A wait ends up to a quarter late, never early.
Duration tick_for(const Deadlines::Patience& patience) {
  Duration tick = tick_max;
  for (const Duration wait : patience) {
    if (wait > Duration::zero()) {
      tick = std::min(tick, wait / 4);
    }
  }
  return std::max(tick, tick_min);
}

}  // namespace

Deadlines::Deadlines(EventLoop& loop, const Patience& patience)
    : tick_length_(tick_for(patience)), alarm_(loop, [this] { tick(); }) {
  for (std::size_t i = 0; i < wait_count; ++i) {
    if (patience[i] > Duration::zero()) {
      // One more, since a wait may begin just before a tick.
      const auto whole = (patience[i] + tick_length_ - Duration{1}) / tick_length_;
      ticks_[i] = static_cast<std::uint64_t>(whole) + 1;
    }
  }
}

void Deadlines::start(Waiter& who, Wait wait) {
  stop(who);
  const auto kind = static_cast<std::size_t>(wait);
  if (ticks_[kind] == 0) {
    return;
  }
  who.since_ = now_;
  lists_[kind].push_back(who);
  alarm_.arm(tick_length_);
}

void Deadlines::tick() {
  ++now_;
  for (std::size_t i = 0; i < wait_count; ++i) {
    end_overdue(static_cast<Wait>(i));
  }
  if (!std::ranges::all_of(lists_, &List::empty)) {
    alarm_.arm(tick_length_);
  }
}

void Deadlines::end_overdue(Wait wait) {
  const auto kind = static_cast<std::size_t>(wait);
  List& list = lists_[kind];
  while (!list.empty() && now_ - list.front().since_ >= ticks_[kind]) {
    Waiter& overdue = list.front();
    list.pop_front();
    overdue.on_deadline(wait);
  }
}

}  // namespace kv::sockets
