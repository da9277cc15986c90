// When which role dies and is born again, as --fail asks for it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/core/random.h"
#include "common/core/time.h"
#include "common/host/flags.h"

namespace kv::host {

/// Exponential times with the means of --fail, drawn from one seed, so that a schedule can be
/// repeated. Pure.
class RoleFailures {
 public:
  struct Event {
    Instant at;
    std::string role;
    bool dies = false;  // else: is born again

    bool operator==(const Event&) const = default;
  };

  /// All roles are alive at `start`. Each has draws of its own: another role more or less shifts
  /// none of the others' times.
  RoleFailures(const std::vector<RoleFailure>& failures, std::uint64_t seed, Instant start);

  /// The events in their order, without end. Nothing if there are no failures.
  std::optional<Event> next();

 private:
  struct Course {
    RoleFailure failure;
    Random random;
    Event next;
  };

  static void plan(Course& course, bool dies);

  std::vector<Course> courses_;
};

}  // namespace kv::host
