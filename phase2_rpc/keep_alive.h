// Whether the other side still lives: after a silence a ping goes out, and then something must
// come.
#pragma once

#include <optional>

#include "common/core/time.h"

namespace kv::rpc {

class KeepAlive {
 public:
  struct Options {
    Duration silence_max = std::chrono::seconds{10};
    Duration ping_patience = std::chrono::seconds{5};
  };
  enum class Verdict : std::uint8_t { alive, ping_now, dead };

  KeepAlive(const Options& options, Instant now) : options_(options), heard_at_(now) {}

  void heard(Instant now) {
    heard_at_ = now;
    pinged_at_.reset();
  }

  /// ping_now is said once a silence: the caller sends the ping.
  Verdict tick(Instant now) {
    if (now < wake_at()) {
      return Verdict::alive;
    }
    if (pinged_at_) {
      return Verdict::dead;
    }
    pinged_at_ = now;
    return Verdict::ping_now;
  }

  Instant wake_at() const {
    return pinged_at_ ? *pinged_at_ + options_.ping_patience : heard_at_ + options_.silence_max;
  }

 private:
  Options options_;
  Instant heard_at_;
  std::optional<Instant> pinged_at_;
};

}  // namespace kv::rpc
