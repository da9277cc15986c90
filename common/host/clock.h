// The machine's clocks: the only place where a host asks what time it is.
#pragma once

#include <chrono>

#include "common/core/time.h"

namespace kv::host {

inline Instant run_now() {
  return Instant{
      std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch())};
}

inline WallTime wall_now() {
  return WallTime{std::chrono::duration_cast<WallClock::duration>(
      std::chrono::system_clock::now().time_since_epoch())};
}

}  // namespace kv::host
