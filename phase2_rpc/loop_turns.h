// Runs a loop turn by turn, awake as long as that pays (spin.h), and tells what runs on it whether
// the loop waited for it awake.
//
// Who waits awake for the other side is waited for likewise, most often. Then part of the work is
// better sent as soon as it is done than with all the rest: both sides work at once so, and neither
// falls asleep. Includes Asio: for .cc files and what they alone include.
#pragma once

#include <sys/resource.h>

#include <cstddef>
#include <utility>

#include <boost/asio/io_context.hpp>

#include "common/core/time.h"
#include "common/host/clock.h"
#include "phase2_rpc/spin.h"

namespace kv::rpc {

/// So many calls, or answers, are worth a write of their own while the other side waits: with
/// fewer, writing takes longer than the calls do; with more, the other side waits in vain.
inline constexpr std::size_t early_write_calls = 16;

/// Used from the loop's thread.
class LoopTurns {
 public:
  /// `spin`: how long it looks for its next event before it sleeps, at most; see spin.h.
  LoopTurns(boost::asio::io_context& loop, Duration spin) : loop_(loop), habit_(spin) {}
  LoopTurns(const LoopTurns&) = delete;
  LoopTurns& operator=(const LoopTurns&) = delete;

  /// Until the loop is stopped, or out of work.
  void run() {
    if (habit_.longest() == Duration::zero()) {
      loop_.run();
      return;
    }
    while (run_one() > 0) {
    }
  }

  /// Waits for one event and runs what it brings. 0 if the loop was stopped.
  std::size_t run_one() {
    if (habit_.longest() == Duration::zero()) {
      return loop_.run_one();
    }
    if (const std::size_t ran = loop_.poll_one(); ran > 0 || loop_.stopped()) {
      return ran;
    }
    if (const std::size_t ran = look(); ran > 0 || loop_.stopped()) {
      return ran;
    }
    return loop_.run_one();
  }

  /// More may come soon: something came from the other side, or was sent to it. Without a word of
  /// this since its last look in vain the loop does not look: timers alone keep nobody awake.
  void expect_more() { more_expected_ = true; }

  /// In an event: whether there was nothing to do before it, and the thread was awake when it came.
  bool waited_awake() const { return waiting_; }

 private:
  std::size_t look() {
    const Instant begin = host::run_now();
    if (!more_expected_ || !habit_.looks_at(begin)) {
      return 0;
    }
    std::size_t ran = 0;
    Instant now = begin;
    waiting_ = true;
    do {
      ran = loop_.poll_one();
      now = host::run_now();
    } while (ran == 0 && !loop_.stopped() && now - begin < habit_.longest());
    waiting_ = false;
    if (const long lost = cores_lost(); lost != std::exchange(cores_lost_, lost)) {
      habit_.disturbed(now);
    } else if (ran > 0) {
      habit_.found();
    } else {
      habit_.missed(now);
    }
    more_expected_ = more_expected_ && ran > 0;
    return ran;
  }

  /// How often the core was taken from this thread.
  static long cores_lost() {
    rusage usage{};
    getrusage(RUSAGE_THREAD, &usage);
    return usage.ru_nivcsw;
  }

  boost::asio::io_context& loop_;
  SpinHabit habit_;
  bool more_expected_ = false;
  bool waiting_ = false;
  long cores_lost_ = 0;
};

}  // namespace kv::rpc
