// Fills a Store and says what an item costs: resident memory, time, and the longest single step.
//
//   bench_store [ITEMS [VALUE_BYTES]]      1,000,000 items of 64 bytes unless told
#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <string>

#include "common/core/random.h"
#include "common/kv/store.h"

namespace kv {
namespace {

/// Time that this thread ran, so that a busy machine does not count. Reading it costs some 100 ns,
/// which are in every figure: see `key and clock alone`.
struct Clock {
  using duration = std::chrono::nanoseconds;

  static duration now() {
    timespec at{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &at);
    return std::chrono::seconds{at.tv_sec} + std::chrono::nanoseconds{at.tv_nsec};
  }
};

std::size_t resident_bytes() {
  std::ifstream file{"/proc/self/statm"};
  std::size_t all = 0;
  std::size_t resident = 0;
  file >> all >> resident;
  return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

double nanoseconds(Clock::duration span) {
  return std::chrono::duration<double, std::nano>(span).count();
}

void write_key(std::string& key, std::uint64_t number) {  // 10 to 12 bytes
  char digits[20];
  const auto end = std::to_chars(digits, digits + sizeof digits, 1'000'000 + number).ptr;
  key.assign("key:").append(digits, end);
}

/// Calls step(i) `count` times; prints the mean, and the longest of them, each timed by itself.
template <typename Step>
void measure(const char* name, std::uint64_t count, Step step) {
  double longest = 0;
  const auto begin = Clock::now();
  auto before = begin;
  for (std::uint64_t i = 0; i < count; ++i) {
    step(i);
    const auto after = Clock::now();
    longest = std::max(longest, nanoseconds(after - before));
    before = after;
  }
  std::printf("%-28s %8.1f ns mean, %10.1f us longest (clock included)\n", name,
              nanoseconds(before - begin) / static_cast<double>(count), longest / 1'000);
}

void run(std::uint64_t items, std::size_t value_bytes) {
  const std::size_t resident_before = resident_bytes();
  Store store;
  std::string key;
  std::string value(value_bytes, 'v');
  measure("put, filling", items, [&](std::uint64_t i) {
    write_key(key, i);
    store.put(key, value);
  });
  const auto per_item = [&](std::size_t bytes) {
    return static_cast<double>(bytes) / static_cast<double>(items);
  };
  std::printf("%-28s %8.1f bytes an item, by its own count %.1f; payload %zu\n", "resident",
              per_item(resident_bytes() - resident_before), per_item(store.memory_bytes()),
              key.size() + value_bytes);
  Random random{1};
  std::size_t found = 0;
  measure("get, any", items, [&](std::uint64_t) {
    write_key(key, random.below(items));
    found += store.get(key).has_value() ? 1 : 0;
  });
  measure("put, any, same size", items, [&](std::uint64_t) {
    write_key(key, random.below(items));
    store.put(key, value);
  });
  const std::uint64_t hot = std::min<std::uint64_t>(items, 1'000);
  measure("get, of 1,000", 5'000'000, [&](std::uint64_t) {
    write_key(key, random.below(hot));
    found += store.get(key)->size();
  });
  measure("put, of 1,000", 5'000'000, [&](std::uint64_t) {
    write_key(key, random.below(hot));
    store.put(key, value);
  });
  measure("key and clock alone", 5'000'000, [&](std::uint64_t) {
    write_key(key, random.below(hot));
    found += key.size();
  });
  store.begin_snapshot();
  Bytes piece;
  std::size_t memory_bytes_most = 0;
  std::uint64_t pieces = 0;
  measure("put while a snapshot is open", items, [&](std::uint64_t i) {
    write_key(key, random.below(items));
    store.put(key, value);
    if (i % 16 == 0 && store.next_snapshot_piece(piece, 256 * 1024)) {
      ++pieces;
      memory_bytes_most = std::max(memory_bytes_most, store.memory_bytes());
    }
  });
  std::printf("%-28s %8llu pieces, %.1f bytes an item at most\n", "snapshot",
              static_cast<unsigned long long>(pieces), per_item(memory_bytes_most));
  measure("erase", items, [&](std::uint64_t i) {
    write_key(key, i);
    store.erase(key);
  });
  std::printf("%-28s %8.1f bytes an item (%zu found)\n", "resident when empty",
              per_item(resident_bytes() - resident_before), found);
  malloc_trim(0);
  std::printf("%-28s %8.1f bytes an item\n", "resident after malloc_trim",
              per_item(resident_bytes() - resident_before));
}

std::uint64_t number_or(const char* text, std::uint64_t otherwise) {
  return text == nullptr ? otherwise : std::stoull(text);
}

}  // namespace
}  // namespace kv

int main(int argc, char** argv) {
  kv::run(kv::number_or(argc > 1 ? argv[1] : nullptr, 1'000'000),
          kv::number_or(argc > 2 ? argv[2] : nullptr, 64));
}
