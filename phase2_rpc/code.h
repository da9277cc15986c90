// How a call ended: gRPC's status codes, which people know, and one bit that they lack.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/core/bytes.h"

namespace kv::rpc {

enum class Code : std::uint8_t {
  ok = 0,
  cancelled = 1,
  unknown = 2,
  invalid_argument = 3,
  deadline_exceeded = 4,
  not_found = 5,
  already_exists = 6,
  permission_denied = 7,
  resource_exhausted = 8,
  failed_precondition = 9,
  aborted = 10,
  out_of_range = 11,
  unimplemented = 12,
  internal = 13,
  unavailable = 14,
  data_loss = 15,
  unauthenticated = 16,
};
constexpr Code last_of(Code) {
  return Code::unauthenticated;
}

std::string_view name_of(Code code);

/// What the caller may conclude about the handler: `no` means that it certainly did not run, so
/// that calling again is safe whatever the method does.
enum class Executed : std::uint8_t { maybe, no };

struct CallResult {
  Code code = Code::ok;
  Executed executed = Executed::maybe;
  Bytes body;       // code ok: the answer
  std::string why;  // else: one line

  bool operator==(const CallResult&) const = default;
};

inline CallResult failure(Code code, Executed executed, std::string_view why) {
  return {.code = code, .executed = executed, .body = {}, .why = std::string{why}};
}

}  // namespace kv::rpc
