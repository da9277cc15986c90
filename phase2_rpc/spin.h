// Whether to look for the next event for a while before sleeping: learned from what looking has
// brought so far.
//
// Where idle cores doze (virtual machines, laptops), to be woken costs more than many calls do. A
// thread that looks is awake when its event comes, but pays with processor time while it looks,
// and takes it from whoever shares its core. So it rests after it has looked in vain, twice as
// long each time, and longer when the core was taken from it meanwhile: others want it.
#pragma once

#include <algorithm>

#include "common/core/time.h"

namespace kv::rpc {

class SpinHabit {
 public:
  /// Longer than a dozing core takes to wake and answer a call: else two who have once both slept
  /// would for ever.
  static constexpr Duration spin_default = std::chrono::microseconds{100};
  /// So long after a look in vain it looks again, at the latest: where looking never pays, it takes
  /// a thousandth of the thread's time.
  static constexpr Duration rest_max = std::chrono::milliseconds{100};

  /// Looks for `longest` at most; zero: never.
  explicit SpinHabit(Duration longest) : longest_(longest) {}

  Duration longest() const { return longest_; }

  /// Whether to look now, before sleeping.
  bool looks_at(Instant now) const { return longest_ > Duration::zero() && now >= rests_until_; }

  void found() {
    rest_ /= 2;
    if (rest_ < longest_) {
      rest_ = Duration::zero();
    }
  }
  void missed(Instant now) { rest_for(now, std::max(rest_ * 2, longest_)); }
  /// The core was taken away, whatever was found.
  void disturbed(Instant now) { rest_for(now, std::max(rest_ * 4, longest_ * 4)); }

 private:
  void rest_for(Instant now, Duration rest) {
    rest_ = std::min(rest, rest_max);
    rests_until_ = now + rest_;
  }

  const Duration longest_;
  Duration rest_{};  // the last one's length, less for what was found since
  Instant rests_until_{};
};

}  // namespace kv::rpc
