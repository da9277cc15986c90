// What one event loop counts. Its own thread writes, any thread reads.
#pragma once

#include <array>
#include <cstdint>

#include "common/host/counter.h"
#include "common/kv/command.h"
#include "phase1_sockets/deadlines.h"

namespace kv::sockets {

using host::Counter;

struct alignas(64) LoopCounters {  // a cache line that no other loop writes to
  static constexpr std::size_t verb_count = static_cast<std::size_t>(last_of(Verb{})) + 1;

  Counter connections;  // now
  Counter connections_total;
  Counter connections_refused;
  std::array<Counter, verb_count> requests;
  Counter malformed;
  Counter bytes_in;
  Counter bytes_out;
  Counter datagrams_in;
  Counter datagrams_out;
  Counter answers_unsendable;
  Counter answer_bytes_held;  // now
  Counter reads_put_off;
  std::array<Counter, wait_count> timeouts;

  void count(Verb verb, std::uint64_t times = 1) {
    requests[static_cast<std::size_t>(verb)].add(times);
  }
};

}  // namespace kv::sockets
