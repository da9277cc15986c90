// When to try a call again, and how often: only where it is safe, only as fast as a jittered
// back-off allows, and only while a budget lasts, so that retries never outnumber the calls.
#pragma once

#include <algorithm>

#include "common/core/random.h"
#include "common/core/time.h"
#include "phase2_rpc/code.h"
#include "phase2_rpc/method.h"

namespace kv::rpc {

/// Whether the same call may be sent again after `result`. `is_remembered`: its metadata names the
/// operation, and a server that would recognize it can be told from others.
inline bool may_retry(const CallResult& result, Safety safety, bool is_remembered) {
  if (result.code != Code::unavailable && result.code != Code::resource_exhausted) {
    return false;
  }
  return result.executed == Executed::no || safety == Safety::idempotent ||
         (safety == Safety::once && is_remembered);
}

/// A bucket of retries: each call puts a tenth of one in, each retry takes one out.
class RetryBudget {
 public:
  static constexpr double share = 0.1;
  static constexpr double most = 100;

  void called() { left_ = std::min(most, left_ + share); }
  bool take() {
    if (left_ < 1) {
      return false;
    }
    left_ -= 1;
    return true;
  }

 private:
  double left_ = 10;
};

/// Waits that double, each drawn between half of itself and itself.
class BackOff {
 public:
  struct Options {
    Duration first = std::chrono::milliseconds{5};
    Duration longest = std::chrono::seconds{1};
  };

  explicit BackOff(const Options& options) : options_(options), next_(options.first) {}

  Duration next(Random& random) {
    const Duration wait = random.between(next_ / 2, next_);
    next_ = std::min(next_ * 2, options_.longest);
    return wait;
  }
  void reset() { next_ = options_.first; }

 private:
  Options options_;
  Duration next_;
};

}  // namespace kv::rpc
