// A scenario: how large the cluster is, what load runs, which faults come when, and what must hold
// at the end. Every run plays one: written by a person, or drawn from a seed.
//
// A scenario is only values, so that a failing one can be cut down, written as text and played
// again. tests/scenarios/README.md is normative for the text.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/core/ids.h"
#include "common/core/time.h"

namespace kv::sim {

inline constexpr std::uint32_t nodes_max = 9;
inline constexpr std::uint32_t clients_max = 1000;
inline constexpr std::uint32_t operations_max = 10'000'000;
inline constexpr std::uint32_t keys_max = 1'000'000;
inline constexpr std::size_t faults_max = 10'000;

/// A probability or a rate in parts per million, so that text and value are the same to the digit.
struct Share {
  std::uint32_t ppm = 0;
  auto operator<=>(const Share&) const = default;
};
constexpr Share percent(std::uint32_t hundredths) {
  return {hundredths * 10'000};
}

/// Each draw is uniform in [low, high].
struct Span {
  Duration low{};
  Duration high{};
  bool operator==(const Span&) const = default;
};

struct Load {
  std::uint32_t clients = 3;
  std::uint32_t operations = 1000;  // of all clients together
  std::uint32_t keys = 5;
  std::uint32_t value_bytes = 16;  // at least: a value also says who wrote it
  std::uint32_t gets = 40;         // the mix, as weights
  std::uint32_t puts = 40;
  std::uint32_t deletes = 10;
  std::uint32_t swaps = 10;  // compare and set
  Span think{std::chrono::milliseconds{0}, std::chrono::milliseconds{2}};
  Duration timeout = std::chrono::milliseconds{200};  // of one attempt; then another is made
  Duration patience = std::chrono::seconds{2};        // then the client gives up: unknown
  Share once;  // of the operations: asked once, and the first answer is taken for the outcome

  bool operator==(const Load&) const = default;
  static void fields(auto& self, auto& visit) {
    visit("clients", self.clients);
    visit("operations", self.operations);
    visit("keys", self.keys);
    visit("value_bytes", self.value_bytes);
    visit("gets", self.gets);
    visit("puts", self.puts);
    visit("deletes", self.deletes);
    visit("swaps", self.swaps);
    visit("think", self.think);
    visit("timeout", self.timeout);
    visit("patience", self.patience);
    visit("once", self.once);
  }
};

/// What every link does to every message. Different delays are what reorders.
struct Weather {
  Span delay{std::chrono::microseconds{50}, std::chrono::milliseconds{1}};
  Share loss;  // also of requests and answers: the client's connection broke
  Share repeat;
  Share flip;  // one bit of the frame
  Share late;  // these come up to `late_by` later still
  Duration late_by = std::chrono::milliseconds{100};

  bool operator==(const Weather&) const = default;
  static void fields(auto& self, auto& visit) {
    visit("delay", self.delay);
    visit("loss", self.loss);
    visit("repeat", self.repeat);
    visit("flip", self.flip);
    visit("late", self.late);
    visit("late_by", self.late_by);
  }
};

struct DiskSpec {
  Span sync{std::chrono::microseconds{50}, std::chrono::microseconds{500}};
  std::uint32_t segment_bytes = 64 * 1024;    // of the journal
  std::uint32_t snapshot_after = 256 * 1024;  // bytes of journal since the last; 0: never

  bool operator==(const DiskSpec&) const = default;
  static void fields(auto& self, auto& visit) {
    visit("sync", self.sync);
    visit("segment_bytes", self.segment_bytes);
    visit("snapshot_after", self.snapshot_after);
  }
};

enum class FaultKind : std::uint8_t {
  crash,      // the process ends; after the fault it is started again
  pause,      // it stands still, then finds that time has jumped
  clock,      // its clock runs at another rate, or jumps
  cut,        // a link, both ways or one
  partition,  // many links, by groups or by shape
  slow,       // a link is slower
  storm,      // other weather for everyone
  disk,       // slow, hung or full
  kill,       // one role of a node dies; after the fault it is started again
};
constexpr FaultKind last_of(FaultKind) {
  return FaultKind::kill;
}

/// Where in its work a process dies. All but `now` wait until the node passes that point.
enum class CrashPoint : std::uint8_t {
  now,
  before_write,     // the effects of a batch are known, nothing of them has left
  after_write,      // written, not synced
  sync_fails,       // the disk refuses a sync: the process must end
  after_sync,       // durable, not sent
  during_send,      // some of what waited for the disk has left
  after_send,       // all of it has left, nothing later was done
  before_rename,    // a snapshot is written and synced under its temporary name
  after_rename,     // it has its name, and the folder is not synced
  before_truncate,  // it is durable, and the journal before it still stands
  after_truncate,   // that is gone
  during_recovery,  // half of the journal has been read
};
constexpr CrashPoint last_of(CrashPoint) {
  return CrashPoint::during_recovery;
}

enum class DiskDamage : std::uint8_t {
  none,   // beyond what a crash does to what was not synced
  rot,    // a bit of what was synced turns over
  wiped,  // everything is gone
};
constexpr DiskDamage last_of(DiskDamage) {
  return DiskDamage::wiped;
}

enum class DiskState : std::uint8_t { healthy, slow, hung, full };
constexpr DiskState last_of(DiskState) {
  return DiskState::full;
}

enum class Shape : std::uint8_t {
  groups,   // as `groups` says
  alone,    // one node is cut off
  halves,   // a minority from a majority
  ring,     // each sees its two neighbours: everyone has another majority
  bridge,   // two halves that only one node sees both of
  one_way,  // one node is heard, but hears nobody
};
constexpr Shape last_of(Shape) {
  return Shape::one_way;
}

struct Fault {
  FaultKind kind = FaultKind::crash;
  Duration at{};
  std::optional<Duration> lasts;  // nothing: for ever
  std::string who;                // a node: its number, a role it plays at that time, or `any`
  std::string to;                 // cut, slow: the link's other end
  bool one_way = false;           // cut: only from `who` to `to`
  CrashPoint point = CrashPoint::now;
  DiskDamage damage = DiskDamage::none;
  Share rate = percent(100);  // clock: this much time passes in a second
  Duration jump{};            // clock: forward
  Shape shape = Shape::groups;
  std::vector<std::vector<NodeId>> groups;  // a node in none of them is alone
  Duration healing{};                       // links come back one by one, over this long
  Duration delay{};                         // slow: added to each message
  Weather weather;                          // storm
  DiskState state = DiskState::slow;
  std::uint32_t factor = 10;  // disk slow: each sync takes this many times as long
  std::string role;           // kill

  bool operator==(const Fault&) const = default;
};

struct Expectations {
  bool linearizable = true;
  /// After the last fault that ends has ended, each client gets an answer to each operation
  /// within this; nothing: not asked for.
  std::optional<Duration> answers_within = std::chrono::seconds{10};
  std::vector<NodeId> answers_from;  // from these; empty: from every node

  bool operator==(const Expectations&) const = default;
};

struct Scenario {
  std::string title;
  std::uint32_t nodes = 1;
  Load load;
  Weather weather;
  DiskSpec disk;
  std::vector<Fault> faults;
  Expectations expect;

  bool operator==(const Scenario&) const = default;
};

/// When the last fault that ends has ended, and every link of it has healed.
Duration calm_after(const Scenario& scenario);

std::string_view name_of(FaultKind kind);
std::string_view name_of(CrashPoint point);
std::string_view name_of(DiskDamage damage);
std::string_view name_of(DiskState state);
std::string_view name_of(Shape shape);

}  // namespace kv::sim
