// What the peers' load programs have in common: how long to run, what to count, what to print. A
// new call starts when one has ended, so that `depth` are always on their way.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <vector>

namespace kv::peers {

using Clock = std::chrono::steady_clock;

struct Plan {
  std::string host = "127.0.0.1";
  std::uint16_t port = 0;
  std::uint32_t clients = 1;
  std::uint32_t depth = 64;
  std::uint32_t value_bytes = 64;
  std::uint32_t seconds = 3;
  std::uint32_t keys = 1000;
};

/// Used from one thread.
class ClosedLoop {
 public:
  explicit ClosedLoop(const Plan& plan)
      : plan_(plan), began_(Clock::now()), ends_(began_ + std::chrono::seconds{plan.seconds}) {
    latencies_ns_.reserve(samples_max);
  }

  const Plan& plan() const { return plan_; }
  bool over(Clock::time_point now) const { return now >= ends_; }

  void ended(Clock::time_point began, Clock::time_point now) {
    ++ops_;
    last_ = now;
    if (latencies_ns_.size() < samples_max) {
      latencies_ns_.push_back(static_cast<std::uint32_t>((now - began).count()));
    } else {
      latencies_ns_[ops_ * stride % samples_max] =
          static_cast<std::uint32_t>((now - began).count());
    }
  }

  void failed() { ++errors_; }

  /// The next key, and whether to get it or to put it: every second call is a get.
  std::string next_key() {
    seed_ = seed_ * 6364136223846793005U + 1442695040888963407U;
    char key[24];
    std::snprintf(key, sizeof key, "key:%012u", static_cast<unsigned>((seed_ >> 33) % plan_.keys));
    return key;
  }
  bool next_is_get() { return (++turn_ & 1) == 0; }

  /// One JSON object, in the words of `quintet bench`.
  void print() {
    std::sort(latencies_ns_.begin(), latencies_ns_.end());
    const double seconds = std::chrono::duration<double>(last_ - began_).count();
    std::printf(
        "{\"clients\": %u, \"depth\": %u, \"ops\": %llu, \"ops_per_s\": %.1f, "
        "\"mean_us\": %.3f, \"p50_us\": %.3f, \"p99_us\": %.3f, \"errors\": %llu, "
        "\"retransmissions\": 0, \"generator_busy\": 0, \"server_us_per_op\": 0}\n",
        plan_.clients, plan_.depth, static_cast<unsigned long long>(ops_),
        static_cast<double>(ops_) / seconds, mean_us(), quantile_us(0.5), quantile_us(0.99),
        static_cast<unsigned long long>(errors_));
  }

 private:
  static constexpr std::size_t samples_max = std::size_t{1} << 20;
  static constexpr std::uint64_t stride = 0x9e3779b1;  // odd: visits every place

  double quantile_us(double share) const {
    if (latencies_ns_.empty()) {
      return 0;
    }
    const double last = static_cast<double>(latencies_ns_.size() - 1);
    return latencies_ns_[static_cast<std::size_t>(share * last)] * 1e-3;
  }
  double mean_us() const {
    double sum = 0;
    for (const std::uint32_t one : latencies_ns_) {
      sum += one;
    }
    return latencies_ns_.empty() ? 0 : sum / static_cast<double>(latencies_ns_.size()) * 1e-3;
  }

  const Plan plan_;
  const Clock::time_point began_;
  const Clock::time_point ends_;
  Clock::time_point last_ = began_;
  std::vector<std::uint32_t> latencies_ns_;
  std::uint64_t ops_ = 0;
  std::uint64_t errors_ = 0;
  std::uint64_t seed_ = 1;
  std::uint64_t turn_ = 0;
};

/// `PROGRAM serve` or `PROGRAM load PORT CLIENTS DEPTH SECONDS`: a peer's whole command line.
struct Command {
  bool serve = false;
  std::string mode;  // serve: a kind of server, where a peer has several
  Plan plan;

  Command(int argc, char** argv) {
    const auto number = [&](int i, std::uint32_t otherwise) {
      return i < argc ? static_cast<std::uint32_t>(std::strtoul(argv[i], nullptr, 10)) : otherwise;
    };
    serve = argc > 1 && std::strcmp(argv[1], "serve") == 0;
    if (serve) {
      mode = argc > 2 ? argv[2] : "";
      return;
    }
    plan.port = static_cast<std::uint16_t>(number(2, 0));
    plan.clients = number(3, plan.clients);
    plan.depth = number(4, plan.depth);
    plan.seconds = number(5, plan.seconds);
  }
};

}  // namespace kv::peers
