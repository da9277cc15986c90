// A replica host with many items: how long requests wait while a snapshot is taken, and how long a
// restart from snapshot and journal takes.
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <semaphore>
#include <string>
#include <vector>

#include "common/core/check.h"
#include "common/core/random.h"
#include "common/host/disk.h"
#include "common/host/flags.h"
#include "common/host/log.h"
#include "common/host/memory_transport.h"
#include "common/host/replica_host.h"
#include "common/kv/store.h"
#include "common/wire/fields.h"

namespace {

using namespace kv;
using Clock = std::chrono::steady_clock;

constexpr double pause_bar_ms = 10;
constexpr double restart_bar_s = 2;
constexpr std::size_t value_bytes = 64;
constexpr std::ptrdiff_t in_flight = 64;

double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

/// What the replica's own steps cost, and when a snapshot was open.
struct Watch {
  std::atomic<bool> snapshot_open = false;
  std::atomic<int> snapshots = 0;
  double longest_step_ms = 0;  // while a snapshot was open

  void step(Clock::time_point start) {
    if (snapshot_open) {
      longest_step_ms = std::max(longest_step_ms, ms_since(start));
    }
  }
};

/// The store, journaled: the least that a protocol can be, with snapshots as the store makes them.
class StoreReplica final : public Replica {
 public:
  explicit StoreReplica(Watch& watch) : watch_(watch) {}

  void restore(ByteView piece) override { check(store_.restore_piece(piece)); }
  void recover(ByteView record) override {
    const auto command = wire::decode<Command>(record);
    check(command.has_value());
    store_.apply(*command, reply_);
  }
  void start(Instant, Effects&) override {}
  void receive(Instant, NodeId, ByteView, Effects&) override {}
  void request(Instant, RequestId id, const Command& command, Effects& out) override {
    const auto start = Clock::now();
    if (changes_something(command.verb)) {
      out.records.push_back(wire::encode(command));
    }
    store_.apply(command, reply_);
    out.answers.push_back({id, reply_});
    watch_.step(start);
  }
  void tick(Instant, Effects&) override {}
  Instant wake_at() const override { return never; }
  bool begin_snapshot() override {
    watch_.snapshot_open = true;
    const auto start = Clock::now();
    store_.begin_snapshot();
    watch_.step(start);
    return true;
  }
  Bytes next_snapshot_piece() override {
    const auto start = Clock::now();
    Bytes piece;
    while (piece.empty() && store_.next_snapshot_piece(piece, snapshot_piece_bytes_max)) {
    }
    watch_.step(start);
    if (piece.empty()) {
      watch_.snapshot_open = false;
      ++watch_.snapshots;
    }
    return piece;
  }
  void check_invariants() const override {}

 private:
  Watch& watch_;
  Store store_;
  Reply reply_;
};

struct Waits {
  double longest_ms = 0;  // of requests that were under way while a snapshot was open
  double longest_otherwise_ms = 0;
};

class Bench {
 public:
  Bench(std::string directory, std::uint64_t items)
      : directory_(std::move(directory)), items_(items) {
    std::string why;
    log_ = host::Log::open({.path = "-", .level = Level::warn}, why);
  }

  double start() {
    std::string why;
    transport_ = network_.join({1});
    const auto begin = Clock::now();
    host_ = host::ReplicaHost::start(
        std::make_unique<StoreReplica>(watch_), disk_, *transport_, *log_,
        {.self = {1}, .directory = directory_, .snapshot_every_bytes = items_ * (value_bytes + 16)},
        why);
    if (!host_) {
      std::fprintf(stderr, "bench_replica_host: %s\n", why.c_str());
      std::exit(EXIT_FAILURE);
    }
    return ms_since(begin) / 1000;
  }

  void stop() {
    host_.reset();
    transport_.reset();
  }

  /// Puts `count` values under keys that `key` gives, with in_flight of them under way.
  void put(std::uint64_t count, const std::function<std::uint64_t()>& key) {
    Command command{.verb = Verb::put, .value = Bytes(value_bytes, 'v')};
    for (std::uint64_t i = 0; i < count; ++i) {
      room_.acquire();
      command.key = "key" + std::to_string(key());
      submit(command);
    }
    for (std::ptrdiff_t i = 0; i < in_flight; ++i) {
      room_.acquire();
    }
    room_.release(in_flight);
  }

  const Watch& watch() const { return watch_; }
  const Waits& waits() const { return waits_; }

 private:
  void submit(const Command& command) {
    const auto start = Clock::now();
    const bool open = watch_.snapshot_open;
    host_->submit(command, [this, start, open](const Reply& reply) {
      check(reply.status == Status::ok);
      double& longest =
          open || watch_.snapshot_open ? waits_.longest_ms : waits_.longest_otherwise_ms;
      longest = std::max(longest, ms_since(start));
      room_.release();
    });
  }

  const std::string directory_;
  const std::uint64_t items_;
  host::SystemDisk disk_;
  host::MemoryNetwork network_;
  std::unique_ptr<host::Log> log_;
  Watch watch_;
  Waits waits_;
  std::counting_semaphore<> room_{in_flight};
  std::unique_ptr<host::PeerTransport> transport_;
  std::unique_ptr<host::ReplicaHost> host_;
};

}  // namespace

int main(int argc, char** argv) {
  std::string directory = "build/bench_replica_host";
  std::uint64_t items = 1'000'000;
  host::Flags flags{"bench_replica_host", "snapshots and restarts with many items"};
  flags.add("--dir", directory, "where to write; on the disk that is meant", "DIR");
  flags.add("--items", items, {1000, 100'000'000}, "of 64 bytes each");
  if (const auto exit_code = flags.parse(argc, argv)) {
    return *exit_code;
  }
  std::filesystem::remove_all(directory);
  Bench bench{directory, items};
  bench.start();
  const auto begin = Clock::now();
  std::uint64_t next = 0;
  bench.put(items, [&] { return next++; });
  fmt::print("fill          {} items, {:.0f} durable writes/s, {} in flight\n", items,
             static_cast<double>(items) / ms_since(begin) * 1000, in_flight);
  Random random{1};
  bench.put(items / 2, [&] { return random.below(items); });
  const Watch& watch = bench.watch();
  const bool quick = watch.longest_step_ms < pause_bar_ms;
  fmt::print("snapshots     {}; longest step of the protocol's thread meanwhile {:.2f} ms  {}\n",
             watch.snapshots.load(), watch.longest_step_ms, quick ? "good" : "OVER 10 ms");
  fmt::print("longest wait  {:.1f} ms while a snapshot was taken, {:.1f} ms otherwise\n",
             bench.waits().longest_ms, bench.waits().longest_otherwise_ms);
  bench.stop();
  const double restart = bench.start();
  fmt::print("restart       {:.2f} s  {}\n", restart,
             restart < restart_bar_s ? "good" : "OVER 2 s");
  bench.stop();
  std::filesystem::remove_all(directory);
  return quick && restart < restart_bar_s ? EXIT_SUCCESS : EXIT_FAILURE;
}
