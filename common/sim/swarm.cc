#include "common/sim/swarm.h"

#include <algorithm>
#include <string>

#include "common/core/random.h"
#include "common/wire/checksum.h"

namespace kv::sim {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr Duration first_fault_at = milliseconds{50};
/// Until a cluster has met for the first time, one that lost its disk cannot be told from one that
/// is new, and Paxos then waits for a person: seed 1651.
constexpr Duration wiped_at_least = milliseconds{2500};
constexpr std::uint32_t relapse_value_bytes = 2000;  // some sectors
constexpr std::uint32_t operations_drawn_max = 4000;
constexpr std::uint32_t faults_drawn_max = 12;

class Swarm {
 public:
  Swarm(const ProtocolTraits& protocol, std::uint64_t seed)
      : protocol_(protocol), random_(wire::checksum("swarm", seed)), seed_(seed) {}

  Scenario draw() {
    scenario_.title = "seed " + std::to_string(seed_);
    const auto& sizes = protocol_.cluster_sizes;
    scenario_.nodes = sizes[random_.below(sizes.size())];
    horizon_ = random_.between(milliseconds{200}, milliseconds{3000});
    draw_load();
    draw_weather(scenario_.weather);
    draw_disk();
    draw_kinds();
    const std::uint64_t faults = random_.below(faults_drawn_max + 1);
    for (std::uint64_t i = 0; i < faults; ++i) {
      scenario_.faults.push_back(draw_fault());
    }
    draw_relapses();
    std::ranges::stable_sort(scenario_.faults, {}, &Fault::at);
    return scenario_;
  }

 private:
  void draw_load();
  void draw_weather(Weather& weather);
  void draw_disk();
  void draw_kinds();
  Fault draw_fault();
  CrashPoint draw_point();
  void draw_crash(Fault& fault);
  void draw_relapses();
  void draw_clock(Fault& fault);
  void draw_partition(Fault& fault);

  std::uint32_t number(std::uint64_t low, std::uint64_t high) {
    return static_cast<std::uint32_t>(random_.between(low, high));
  }
  /// Small numbers as often as large ones, by order of magnitude.
  std::uint32_t magnitude(std::uint32_t low, std::uint32_t high) {
    std::uint32_t top = low;
    while (top < high && random_.chance(0.7)) {
      top = std::min(high, top * 2);
    }
    return number(low, top);
  }
  /// Half of the seeds do not have it at all.
  Share sometimes(std::uint32_t hundredths_max) {
    return random_.chance(0.5) ? Share{} : Share{number(0, hundredths_max * 10'000)};
  }
  std::string any_node() { return std::to_string(number(1, scenario_.nodes)); }

  const ProtocolTraits& protocol_;
  Random random_;
  std::uint64_t seed_;
  Scenario scenario_;
  Duration horizon_{};
  std::vector<FaultKind> kinds_;
  bool rots_ = false;
  bool damaged_ = false;  // at most one disk a run
};

void Swarm::draw_load() {
  Load& load = scenario_.load;
  load.clients = magnitude(1, 16);
  load.keys = magnitude(1, 32);
  load.value_bytes = random_.chance(0.3) ? number(512, 8192) : magnitude(8, 512);
  load.gets = number(0, 50);
  load.puts = number(10, 50);
  load.deletes = number(0, 20);
  load.swaps = number(0, 30);
  load.think.high = random_.between(Duration{}, milliseconds{10});
  load.timeout = random_.between(milliseconds{20}, milliseconds{300});
  load.patience = load.timeout * number(3, 12);  // few give up: what is unknown is hard to judge
  const auto pace = load.think.high / 2 + milliseconds{1};
  const auto each = static_cast<std::uint64_t>(horizon_ / pace);
  load.operations = static_cast<std::uint32_t>(
      std::clamp<std::uint64_t>(each * load.clients, 20, operations_drawn_max));
  if (protocol_.tells_the_certain) {
    load.once = percent(static_cast<std::uint32_t>(Random{seed_}.between(0, 30)));
  }
}

void Swarm::draw_weather(Weather& weather) {
  weather.delay.low = random_.between(microseconds{10}, microseconds{500});
  weather.delay.high = weather.delay.low + random_.between(Duration{}, milliseconds{5});
  weather.loss = sometimes(10);
  weather.repeat = sometimes(10);
  weather.flip = sometimes(1);
  weather.late = sometimes(5);
  weather.late_by = random_.between(milliseconds{1}, milliseconds{200});
}

void Swarm::draw_disk() {
  DiskSpec& disk = scenario_.disk;
  disk.sync.low = random_.between(microseconds{10}, microseconds{100});
  disk.sync.high = disk.sync.low + random_.between(Duration{}, milliseconds{3});
  disk.segment_bytes = magnitude(8, 512) * 512;
  disk.segment_bytes = std::max<std::uint32_t>(disk.segment_bytes, 4096);
  disk.snapshot_after = random_.chance(0.2) ? 0 : magnitude(4096, 1024 * 1024);
}

void Swarm::draw_kinds() {
  std::vector<FaultKind> possible{FaultKind::crash, FaultKind::pause, FaultKind::clock,
                                  FaultKind::disk, FaultKind::storm};
  if (scenario_.nodes > 1) {
    possible.insert(possible.end(), {FaultKind::cut, FaultKind::partition, FaultKind::slow});
  }
  if (!protocol_.roles.empty()) {
    possible.push_back(FaultKind::kill);
  }
  for (const FaultKind kind : possible) {
    if (random_.chance(kind == FaultKind::crash ? 0.8 : 0.5)) {
      kinds_.push_back(kind);
    }
  }
  if (kinds_.empty()) {
    kinds_.push_back(FaultKind::crash);
  }
  rots_ = random_.chance(0.3);
}

Fault Swarm::draw_fault() {
  Fault fault;
  fault.kind = kinds_[random_.below(kinds_.size())];
  fault.at = random_.between(first_fault_at, first_fault_at + horizon_);
  fault.lasts = random_.between(milliseconds{5}, milliseconds{800});
  switch (fault.kind) {
    case FaultKind::crash:
      draw_crash(fault);
      break;
    case FaultKind::pause:
      fault.who = any_node();
      break;
    case FaultKind::clock:
      draw_clock(fault);
      break;
    case FaultKind::cut:
    case FaultKind::slow:
      fault.who = any_node();
      fault.to = any_node();
      fault.one_way = fault.kind == FaultKind::cut && random_.chance(0.5);
      fault.delay = fault.kind == FaultKind::slow
                        ? random_.between(milliseconds{1}, milliseconds{100})
                        : Duration{};
      break;
    case FaultKind::partition:
      draw_partition(fault);
      break;
    case FaultKind::storm:
      fault.weather = scenario_.weather;
      draw_weather(fault.weather);
      fault.weather.loss = {number(0, percent(50).ppm)};
      break;
    case FaultKind::disk:
      fault.who = any_node();
      fault.state = static_cast<DiskState>(number(1, 3));
      fault.factor = fault.state == DiskState::slow ? magnitude(2, 1000) : fault.factor;
      break;
    case FaultKind::kill:
      fault.who = any_node();
      fault.role = protocol_.roles[random_.below(protocol_.roles.size())];
      break;
  }
  return fault;
}

/// At any time, at the points where most can be lost, or at any of them.
CrashPoint Swarm::draw_point() {
  switch (random_.below(3)) {
    case 0:
      return CrashPoint::now;
    case 1:
      return random_.chance(0.5) ? CrashPoint::after_write : CrashPoint::sync_fails;
    default:
      return static_cast<CrashPoint>(number(1, static_cast<std::uint64_t>(last_of(CrashPoint{}))));
  }
}

void Swarm::draw_crash(Fault& fault) {
  fault.who = scenario_.nodes > 1 && random_.chance(0.3) ? "leader" : any_node();
  fault.point = draw_point();
  if (rots_ && !damaged_ && random_.chance(0.5)) {
    damaged_ = true;
    fault.point = CrashPoint::now;
    // Nobody else knows what one that is alone had on its disk.
    const bool may_be_wiped = protocol_.survives_wiped_disk && scenario_.nodes > 1;
    fault.damage = may_be_wiped && random_.chance(0.5) ? DiskDamage::wiped : DiskDamage::rot;
    if (fault.damage == DiskDamage::wiped) {
      fault.at = std::max(fault.at, wiped_at_least);
    }
  }
}

/// In a quarter of the seeds crashes come in pairs, both amid writes of many sectors: what one tore
/// is mended, and little is written before the next. Their chance is their own, so that the other
/// faults of a seed are what they would be without them.
void Swarm::draw_relapses() {
  Random random{wire::checksum("relapses", seed_)};
  if (!random.chance(0.25)) {
    return;
  }
  scenario_.load.value_bytes = std::max(scenario_.load.value_bytes, relapse_value_bytes);
  const std::vector<Fault> drawn = scenario_.faults;
  for (std::size_t i = 0; i < drawn.size(); ++i) {
    Fault& first = scenario_.faults[i];
    if (first.kind != FaultKind::crash || first.damage != DiskDamage::none ||
        first.who == "leader") {
      continue;  // who leads by then may be another
    }
    first.point = random.chance(0.5) ? CrashPoint::after_write : CrashPoint::sync_fails;
    Fault again = first;
    again.at += *first.lasts;
    again.lasts = random.between(milliseconds{5}, milliseconds{100});
    again.point = random.chance(0.5) ? CrashPoint::after_write : CrashPoint::after_sync;
    scenario_.faults.push_back(again);
  }
}

void Swarm::draw_clock(Fault& fault) {
  fault.who = any_node();
  if (const std::uint64_t off = protocol_.clock_off_max.ppm; off != 0) {
    const std::uint64_t whole = percent(100).ppm;
    fault.rate = {number(whole - off, whole + off)};
  } else if (random_.chance(0.5)) {
    fault.rate = {number(percent(50).ppm, percent(200).ppm)};
  } else {
    fault.jump = random_.between(milliseconds{1}, milliseconds{2000});
  }
}

void Swarm::draw_partition(Fault& fault) {
  fault.shape = static_cast<Shape>(number(1, static_cast<std::uint64_t>(last_of(Shape{}))));
  if (fault.shape != Shape::halves && fault.shape != Shape::ring && random_.chance(0.3)) {
    fault.who = "leader";
  }
  if (random_.chance(0.5)) {
    fault.healing = random_.between(milliseconds{1}, milliseconds{500});
  }
}

}  // namespace

Scenario draw_scenario(const ProtocolTraits& protocol, std::uint64_t seed) {
  return Swarm{protocol, seed}.draw();
}

}  // namespace kv::sim
