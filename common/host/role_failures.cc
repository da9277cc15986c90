#include "common/host/role_failures.h"

#include <algorithm>
#include <cmath>

#include "common/wire/checksum.h"

namespace kv::host {
namespace {

Duration exponential(Random& random, Duration mean) {
  const double share = -std::log(1.0 - random.unit());  // at most 37: 53 bits of chance
  return Duration{static_cast<Duration::rep>(share * static_cast<double>(mean.count()))};
}

}  // namespace

RoleFailures::RoleFailures(const std::vector<RoleFailure>& failures, std::uint64_t seed,
                           Instant start) {
  for (const RoleFailure& failure : failures) {
    Course course{.failure = failure,
                  .random = Random{wire::checksum(failure.role, seed)},
                  .next = {.at = start, .role = failure.role}};
    plan(course, true);
    courses_.push_back(std::move(course));
  }
}

void RoleFailures::plan(Course& course, bool dies) {
  course.next.at += exponential(course.random, dies ? course.failure.up : course.failure.down);
  course.next.dies = dies;
}

std::optional<RoleFailures::Event> RoleFailures::next() {
  const auto first =
      std::ranges::min_element(courses_, {}, [](const Course& course) { return course.next.at; });
  if (first == courses_.end()) {
    return std::nullopt;
  }
  const Event event = first->next;
  plan(*first, !event.dies);
  return event;
}

}  // namespace kv::host
