// The operations of a run that are worth a look (the slowest, and those that nobody can tell the
// end of), and why each took as long as it did, in words.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tools/compare_stats.h"

namespace kv::logs {

/// What happened to a replica or to the links, and what the replicas did about it.
struct Mark {
  enum class Kind : std::uint8_t { fault_begins, fault_ends, down, up, healed, leader };
  Micros at = 0;
  Kind kind = Kind::fault_begins;
  std::uint32_t node = 0;  // 0: all, or none
  std::string what;        // for people
};

struct Notable {
  std::string what;  // "put k3"
  std::string op;    // its ID; empty: it has none
  std::uint64_t client = 0;
  Status status = Status::unknown;
  Micros call = 0;
  Micros end = 0;  // of one without an end: its call
  std::uint64_t latency_ns = 0;
};

/// Keeps the slowest of all that it is shown, and the first of those without a good end.
class SlowOperations {
 public:
  static constexpr std::size_t slowest_max = 150;
  static constexpr std::size_t failed_max = 100;

  /// Whether show() would keep an operation like this: cheap, and mostly no.
  bool wants(const Finished& finished) const;
  void show(const Finished& finished, std::string what, std::string op, std::uint64_t client);

  /// By their calls.
  std::vector<Notable> all() const;

 private:
  std::vector<Notable> slowest_;  // a heap, the fastest first
  std::vector<Notable> failed_;
};

/// Sentences: what it was, what state the replicas were in when it was asked, what happened to
/// them while it waited, and how it ended. `zero` is the moment from which times are told; the
/// marks are sorted by their times.
std::string explain(const Notable& operation, const std::vector<Mark>& marks, Micros zero);

/// In whose time replicas are down, or a fault of the links lasts.
struct Trouble {
  Interval when;
  std::uint32_t node = 0;  // 0: of the links
  std::string what;
};
/// Nothing lasts longer than `end`.
std::vector<Trouble> troubles_of(const std::vector<Mark>& marks, Micros end);

}  // namespace kv::logs
