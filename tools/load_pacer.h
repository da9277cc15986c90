// When requests start: as soon as a client is free (closed loop), or at a fixed rate whatever the
// server does (open loop), until time or work is up.
#pragma once

#include <chrono>
#include <cstdint>

namespace kv::load {

using Clock = std::chrono::steady_clock;
using Moment = Clock::time_point;

inline double seconds_between(Moment begin, Moment end) {
  return std::chrono::duration<double>(end - begin).count();
}
using Nanoseconds = std::chrono::nanoseconds;

class Pacer {
 public:
  struct Plan {
    Moment begin;
    Moment end = Moment::max();
    std::uint64_t requests_max = UINT64_MAX;
    std::uint64_t rate = 0;  // requests a second; 0: as fast as they are answered
  };

  /// Leave to start some requests. The k-th of them counts its latency from `due + k * step`: in
  /// the open loop from when it should have started, so that a stalled server cannot hide what
  /// it made wait ("coordinated omission").
  struct Leave {
    std::uint64_t first = 0;  // how many were started before
    std::uint64_t count = 0;
    Moment due;
    Nanoseconds step{};
  };

  explicit Pacer(const Plan& plan) : plan_(plan) {}

  /// Leave for up to `wanted` requests: none if none is due yet, or none will be.
  Leave take(Moment now, std::uint64_t wanted);

  /// How many may start by now and have not.
  std::uint64_t due(Moment now) const;

  bool is_open_loop() const { return plan_.rate > 0; }
  bool is_over(Moment now) const { return now >= plan_.end || taken_ >= plan_.requests_max; }
  Moment due_next() const { return due_at(taken_); }  // open loop only
  Moment end() const { return plan_.end; }
  std::uint64_t taken() const { return taken_; }

 private:
  Moment due_at(std::uint64_t request) const;

  Plan plan_;
  std::uint64_t taken_ = 0;
};

}  // namespace kv::load
