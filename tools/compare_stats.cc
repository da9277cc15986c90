#include "tools/compare_stats.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <utility>

namespace kv::logs {
namespace {

std::int64_t floor_divided(std::int64_t value, std::int64_t by) {
  return value / by - (value % by < 0 ? 1 : 0);
}

/// A third of a doubling each: 1 us, 1.26 us, 1.59 us, 2 us ….
std::size_t step_of(std::uint64_t nanoseconds) {
  const double micros = std::max(1.0, static_cast<double>(nanoseconds) * 1e-3);
  const double step = std::floor(std::log2(micros) * 3);
  return std::min(Series::latency_steps - 1, static_cast<std::size_t>(step));
}

bool is_good(Status status) {
  return status <= Status::conflict;
}

}  // namespace

// --- moments -------------------------------------------------------------------------------------

void Moments::add(Micros at) {
  const std::int64_t ms = floor_divided(at, 1000);
  const std::int64_t number = floor_divided(ms, chunk_ms);
  if (last_ == nullptr || number != last_number_) {
    auto found = chunks_.find(number);
    if (found == chunks_.end()) {
      if (chunks_.size() == chunks_max) {
        full_ = true;
        return;
      }
      found = chunks_.emplace(number, Chunk{}).first;
    }
    last_number_ = number;
    last_ = &found->second;
  }
  const auto bit = static_cast<std::size_t>(ms - number * chunk_ms);
  (*last_)[bit / 64] |= std::uint64_t{1} << (bit % 64);
}

template <typename Take>
void Moments::each(std::int64_t from_ms, std::int64_t to_ms, Take take) const {
  for (auto chunk = chunks_.lower_bound(floor_divided(from_ms, chunk_ms)); chunk != chunks_.end();
       ++chunk) {
    const std::int64_t begin = chunk->first * chunk_ms;
    if (begin > to_ms) {
      return;
    }
    for (std::size_t word = 0; word < chunk->second.size(); ++word) {
      for (std::uint64_t bits = chunk->second[word]; bits != 0; bits &= bits - 1) {
        const std::int64_t ms =
            begin + static_cast<std::int64_t>(word * 64) + std::countr_zero(bits);
        if (ms >= from_ms && ms <= to_ms) {
          take(ms);
        }
      }
    }
  }
}

template <typename Take>
void Moments::gaps(const Interval& within, Take take) const {
  const std::int64_t begin = floor_divided(within.begin, 1000);
  const std::int64_t end = floor_divided(within.end, 1000);
  std::int64_t last = begin;
  each(begin, end, [&](std::int64_t ms) {
    take((ms - last) * 1000);
    last = ms;
  });
  take((end - last) * 1000);
}

// --- the series ----------------------------------------------------------------------------------

void Series::add(Micros at, bool write, bool good, std::uint64_t latency_ns) {
  const std::int64_t number = floor_divided(at, width_);
  if (last_ == nullptr || number != last_number_) {
    last_number_ = number;
    last_ = &buckets_[number];
  }
  Bucket& bucket = *last_;
  if (!good) {
    ++bucket.refused;
  } else {
    ++(write ? bucket.writes : bucket.reads);
    bucket.latency_max_ns = std::max(bucket.latency_max_ns, latency_ns);
    ++bucket.latencies[step_of(latency_ns)];
  }
  while (buckets_.size() > buckets_max) {
    widen();
  }
}

void Series::widen() {
  width_ *= 2;
  std::map<std::int64_t, Bucket> wider;
  for (const auto& [number, bucket] : buckets_) {
    Bucket& into = wider[floor_divided(number, 2)];
    into.reads += bucket.reads;
    into.writes += bucket.writes;
    into.refused += bucket.refused;
    into.latency_max_ns = std::max(into.latency_max_ns, bucket.latency_max_ns);
    for (std::size_t i = 0; i < latency_steps; ++i) {
      into.latencies[i] += bucket.latencies[i];
    }
  }
  buckets_ = std::move(wider);
  last_ = nullptr;
}

double Series::quantile_us(const Bucket& bucket, double share) {
  const auto all = static_cast<double>(bucket.reads + bucket.writes);
  double seen = 0;
  for (std::size_t i = 0; i < latency_steps; ++i) {
    seen += bucket.latencies[i];
    if (bucket.latencies[i] > 0 && seen >= share * all) {
      return std::exp2((static_cast<double>(i) + 0.5) / 3);
    }
  }
  return 0;
}

// --- all of it -----------------------------------------------------------------------------------

void OperationStats::begin_source() {
  fresh_ = true;
}

void OperationStats::add(const Finished& operation) {
  const bool write = changes_something(operation.verb);
  const bool good = is_good(operation.status);
  const Micros end = operation.end.value_or(operation.call);
  if (std::exchange(fresh_, false)) {
    sources_.push_back({operation.call, end});
  }
  Interval& source = sources_.back();
  source.begin = std::min(source.begin, operation.call);
  source.end = std::max(source.end, end);
  ++asked_;
  ++by_status_[static_cast<std::size_t>(operation.status)];
  writes_asked_ += write ? 1 : 0;
  series_.add(end, write, good, operation.latency_ns);
  if (good) {
    writes_answered_ += write ? 1 : 0;
    latency_.record(load::Histogram::Nanoseconds{operation.latency_ns});
    good_.add(end);
    (write ? good_writes_ : good_reads_).add(end);
  }
}

std::vector<Interval> OperationStats::spans() const {
  std::vector<Interval> sorted = sources_;
  std::ranges::sort(sorted, {}, &Interval::begin);
  std::vector<Interval> spans;
  for (const Interval& source : sorted) {
    if (!spans.empty() && source.begin <= spans.back().end) {
      spans.back().end = std::max(spans.back().end, source.end);
    } else {
      spans.push_back(source);
    }
  }
  return spans;
}

double OperationStats::seconds() const {
  Micros sum = 0;
  for (const Interval& span : spans()) {
    sum += span.end - span.begin;
  }
  return static_cast<double>(sum) * 1e-6;
}

double OperationStats::per_second() const {
  const double length = seconds();
  return length > 0 ? static_cast<double>(answered()) / length : 0;
}

Micros OperationStats::longest_stall() const {
  Micros longest = 0;
  for (const Interval& span : spans()) {
    good_.gaps(span, [&longest](Micros gap) { longest = std::max(longest, gap); });
  }
  return longest;
}

std::optional<Micros> OperationStats::without_writes() const {
  return writes_asked() > 0 ? std::optional{outage(good_writes_)} : std::nullopt;
}

std::optional<Micros> OperationStats::without_reads() const {
  return reads_asked() > 0 ? std::optional{outage(good_reads_)} : std::nullopt;
}

Micros OperationStats::outage(const Moments& moments) const {
  Micros sum = 0;
  for (const Interval& span : spans()) {
    moments.gaps(span, [&sum](Micros gap) { sum += gap >= outage_least ? gap : 0; });
  }
  return sum;
}

}  // namespace kv::logs
