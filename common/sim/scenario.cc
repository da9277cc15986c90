#include "common/sim/scenario.h"

#include <algorithm>
#include <array>

namespace kv::sim {
namespace {

template <typename Enum, std::size_t count>
std::string_view pick(const std::array<std::string_view, count>& names, Enum value) {
  static_assert(count == static_cast<std::size_t>(last_of(Enum{})) + 1);
  return names.at(static_cast<std::size_t>(value));
}

}  // namespace

Duration calm_after(const Scenario& scenario) {
  Duration calm{};
  for (const Fault& fault : scenario.faults) {
    if (fault.lasts) {
      calm = std::max(calm, fault.at + *fault.lasts + fault.healing);
    } else {
      calm = std::max(calm, fault.at);
    }
  }
  return calm;
}

std::string_view name_of(FaultKind kind) {
  static constexpr std::array<std::string_view, 9> names{
      "crash", "pause", "clock", "cut", "partition", "slow", "storm", "disk", "kill"};
  return pick(names, kind);
}

std::string_view name_of(CrashPoint point) {
  static constexpr std::array<std::string_view, 12> names{
      "now",          "before_write",    "after_write",    "sync_fails",
      "after_sync",   "during_send",     "after_send",     "before_rename",
      "after_rename", "before_truncate", "after_truncate", "during_recovery"};
  return pick(names, point);
}

std::string_view name_of(DiskDamage damage) {
  static constexpr std::array<std::string_view, 3> names{"none", "rot", "wiped"};
  return pick(names, damage);
}

std::string_view name_of(DiskState state) {
  static constexpr std::array<std::string_view, 4> names{"healthy", "slow", "hung", "full"};
  return pick(names, state);
}

std::string_view name_of(Shape shape) {
  static constexpr std::array<std::string_view, 6> names{"groups", "alone",  "halves",
                                                         "ring",   "bridge", "one_way"};
  return pick(names, shape);
}

}  // namespace kv::sim
