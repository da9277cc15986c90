// When what has gathered leaves as one batch, so that a crowd shares a message and a sync and a
// lone command waits for nobody.
//
// While a batch is under way the next one gathers. When all is done, most of those who were
// answered ask again at once: so it waits for them a little longer, until three quarters of as
// many wait as did before, and no longer than the last batch took. With no more than two clients
// that is never.
#pragma once

#include <algorithm>
#include <cstdint>

#include "common/core/time.h"

namespace kv {

class Gathering {
 public:
  /// Nothing waits longer than `longest` for the batch before it; 0: nothing waits at all.
  explicit Gathering(Duration longest) : longest_(longest) {}

  /// A batch leaves.
  void left(Instant now) {
    left_at_ = now;
    until_ = now + longest_;
    enough_ = UINT64_MAX;
  }

  /// All that left is done: so many were answered by the last of it, and so many wait already.
  void done(Instant now, std::uint64_t answered, std::uint64_t waiting) {
    enough_ = (answered + waiting) * 3 / 4;
    until_ = std::min(until_, now + (now - left_at_));
  }

  /// When so many may leave, if nothing else happens before.
  Instant due(Instant now, std::uint64_t waiting) const {
    return waiting >= enough_ ? now : std::max(now, until_);
  }

 private:
  Duration longest_;
  Instant left_at_{};
  Instant until_{};
  std::uint64_t enough_ = 0;
};

}  // namespace kv
