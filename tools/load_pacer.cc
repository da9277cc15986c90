#include "tools/load_pacer.h"

#include <algorithm>

namespace kv::load {

std::uint64_t Pacer::due(Moment now) const {
  const std::uint64_t left = plan_.requests_max - taken_;
  if (!is_open_loop()) {
    return now >= plan_.end ? 0 : left;
  }
  const Moment until = std::min(now, plan_.end);
  if (until < plan_.begin) {
    return 0;
  }
  const double elapsed = std::chrono::duration<double>(until - plan_.begin).count();
  const auto scheduled =
      static_cast<std::uint64_t>(elapsed * static_cast<double>(plan_.rate)) + (now < plan_.end);
  return std::min(left, scheduled > taken_ ? scheduled - taken_ : 0);
}

Pacer::Leave Pacer::take(Moment now, std::uint64_t wanted) {
  const std::uint64_t count = std::min(wanted, now >= plan_.end ? 0 : due(now));
  Leave leave{taken_, count, now, Nanoseconds{0}};
  if (is_open_loop()) {
    leave.due = due_at(taken_);
    leave.step = Nanoseconds{std::chrono::seconds{1}} / plan_.rate;
  }
  taken_ += count;
  return leave;
}

Moment Pacer::due_at(std::uint64_t request) const {
  return plan_.begin + std::chrono::duration_cast<Nanoseconds>(std::chrono::duration<double>(
                           static_cast<double>(request) / static_cast<double>(plan_.rate)));
}

}  // namespace kv::load
