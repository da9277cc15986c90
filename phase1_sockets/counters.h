// What one event loop counts. Its own thread writes, any thread reads.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "common/kv/command.h"
#include "phase1_sockets/deadlines.h"

namespace kv::sockets {

/// One writer, so adding needs no locked instruction.
class Counter {
 public:
  void add(std::uint64_t more = 1) {
    value_.store(value_.load(std::memory_order_relaxed) + more, std::memory_order_relaxed);
  }
  void subtract(std::uint64_t less) {
    value_.store(value_.load(std::memory_order_relaxed) - less, std::memory_order_relaxed);
  }
  std::uint64_t read() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

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
  std::array<Counter, wait_count> timeouts;

  void count(Verb verb) { requests[static_cast<std::size_t>(verb)].add(); }
};

}  // namespace kv::sockets
