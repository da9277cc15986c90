// What a crowd of operations came to: how many ended how, how fast, and when nothing went well.
//
// Memory is bounded whatever is fed in: moments are kept to the millisecond as bits, latencies as a
// histogram, and the series over time in a fixed number of buckets that widen as it grows.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "common/kv/command.h"
#include "tools/load_histogram.h"

namespace kv::logs {

/// Microseconds since 1970.
using Micros = std::int64_t;

struct Interval {
  Micros begin = 0;
  Micros end = 0;
  bool operator==(const Interval&) const = default;
};

/// Which milliseconds had at least one of something.
class Moments {
 public:
  /// About 18 hours of activity; what is beyond is not kept, and full() says so.
  static constexpr std::size_t chunks_max = 1000;

  void add(Micros at);
  bool full() const { return full_; }

  /// The gaps between one moment and the next, within [begin, end], its two ends counted as
  /// moments.
  template <typename Take>
  void gaps(const Interval& within, Take take) const;

 private:
  static constexpr std::int64_t chunk_ms = 65'536;
  using Chunk = std::array<std::uint64_t, chunk_ms / 64>;

  template <typename Take>
  void each(std::int64_t from_ms, std::int64_t to_ms, Take take) const;

  std::map<std::int64_t, Chunk> chunks_;
  std::int64_t last_number_ = 0;
  Chunk* last_ = nullptr;  // the chunk of that number: the next moment is mostly near the last
  bool full_ = false;
};

/// Counts and latencies over time, in at most buckets_max buckets of one width.
class Series {
 public:
  static constexpr std::size_t buckets_max = 1200;
  static constexpr Micros width_least = 50'000;
  static constexpr std::size_t latency_steps = 72;  // a third of a doubling each, from 1 us on

  struct Bucket {
    std::uint32_t reads = 0;
    std::uint32_t writes = 0;
    std::uint32_t refused = 0;  // answered, and not done, or nobody knows
    std::uint64_t latency_max_ns = 0;
    std::array<std::uint32_t, latency_steps> latencies{};
  };

  /// `latency_ns` counts only for what went well.
  void add(Micros at, bool write, bool good, std::uint64_t latency_ns);

  Micros width() const { return width_; }
  const std::map<std::int64_t, Bucket>& buckets() const { return buckets_; }  // by at / width()

  /// To about an eighth; zero if there was nothing.
  static double quantile_us(const Bucket& bucket, double share);

 private:
  void widen();

  Micros width_ = width_least;
  std::map<std::int64_t, Bucket> buckets_;
  std::int64_t last_number_ = 0;
  Bucket* last_ = nullptr;
};

struct Finished {
  Verb verb = Verb::get;
  Status status = Status::unknown;
  Micros call = 0;
  std::optional<Micros> end;  // nothing: never
  std::uint64_t latency_ns = 0;
};

class OperationStats {
 public:
  /// A gap shorter than this is not time without service.
  static constexpr Micros outage_least = 250'000;

  static constexpr std::size_t statuses = static_cast<std::size_t>(last_of(Status{})) + 1;

  /// From here on operations come from another source: a file of its own.
  void begin_source();
  void add(const Finished& operation);

  std::uint64_t asked() const { return asked_; }
  std::uint64_t of(Status status) const { return by_status_[static_cast<std::size_t>(status)]; }
  std::uint64_t answered() const {  // with what was found, or done
    return of(Status::ok) + of(Status::not_found) + of(Status::conflict);
  }
  std::uint64_t writes_asked() const { return writes_asked_; }
  std::uint64_t reads_asked() const { return asked_ - writes_asked_; }
  std::uint64_t writes_answered() const { return writes_answered_; }
  const load::Histogram& latency() const { return latency_; }
  const Series& series() const { return series_; }

  /// When somebody was asking, sorted, without overlaps.
  std::vector<Interval> spans() const;
  double seconds() const;
  double per_second() const;

  /// The longest time in which nothing was answered well while somebody was asking.
  Micros longest_stall() const;
  /// The sum of all gaps of at least outage_least; nothing if nobody asked for such.
  std::optional<Micros> without_writes() const;
  std::optional<Micros> without_reads() const;

 private:
  Micros outage(const Moments& moments) const;

  std::uint64_t asked_ = 0;
  std::uint64_t writes_asked_ = 0;
  std::uint64_t writes_answered_ = 0;
  std::array<std::uint64_t, statuses> by_status_{};
  load::Histogram latency_;
  Series series_;
  Moments good_;
  Moments good_writes_;
  Moments good_reads_;
  std::vector<Interval> sources_;
  bool fresh_ = true;  // the next operation begins a source
};

}  // namespace kv::logs
