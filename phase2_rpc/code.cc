#include "phase2_rpc/code.h"

#include <array>

#include "common/core/check.h"

namespace kv::rpc {

std::string_view name_of(Code code) {
  static constexpr std::array<std::string_view, 17> names{
      "ok",
      "cancelled",
      "unknown",
      "invalid_argument",
      "deadline_exceeded",
      "not_found",
      "already_exists",
      "permission_denied",
      "resource_exhausted",
      "failed_precondition",
      "aborted",
      "out_of_range",
      "unimplemented",
      "internal",
      "unavailable",
      "data_loss",
      "unauthenticated",
  };
  const auto number = static_cast<std::size_t>(code);
  check(number < names.size());
  return names[number];
}

}  // namespace kv::rpc
