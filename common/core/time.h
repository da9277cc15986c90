// Time that can only be handed over: no clock here has a now(), so nothing pure can ask for it.
#pragma once

#include <chrono>

namespace kv {

/// Time since some arbitrary start, never set back: what deadlines and timers are made of.
struct RunClock {
  using duration = std::chrono::microseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<RunClock, duration>;
  static constexpr bool is_steady = true;
};
using Duration = RunClock::duration;
using Instant = RunClock::time_point;

/// UTC since 1970, for people: log lines and nothing else. It may jump.
struct WallClock {
  using duration = std::chrono::microseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<WallClock, duration>;
  static constexpr bool is_steady = false;
};
using WallTime = WallClock::time_point;

/// Time of a replicated log: what passed while somebody proposed entries, as their stamps tell it.
/// It has no clock at all: see kv::Stamper.
struct LogClock {
  using duration = std::chrono::microseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<LogClock, duration>;
  static constexpr bool is_steady = true;
};
using LogTime = LogClock::time_point;

/// Later than every deadline: "wake me never".
inline constexpr Instant never = Instant::max();

}  // namespace kv
