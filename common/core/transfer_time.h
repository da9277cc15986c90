// How much longer an answer may take because of what is on its way before it.
//
// No message is lost only because it is long, or behind others that are. Whoever sends it once more
// meanwhile makes all of them later still, until nothing else is sent at all; so what is asked
// again waits for so long beyond its time-out.
#pragma once

#include <cstddef>

#include "common/core/time.h"

namespace kv {

/// At 10 MB/s: what five replicas may have of one busy disk each.
constexpr Duration transfer_time(std::size_t bytes) {
  return Duration{static_cast<Duration::rep>(bytes / 10)};
}

}  // namespace kv
