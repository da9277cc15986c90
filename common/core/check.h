// check() states what only we can get wrong; it stays on in every build. What peers, clients,
// disks and time can do to us is a Status, never a check.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace kv {

/// Where a call stands. As std::source_location, which the clang of Debian 12 does not have, and
/// with it neither the linter nor the fuzzer.
struct CallPlace {
  const char* file;
  int line;
  const char* function;

  static constexpr CallPlace current(const char* file = __builtin_FILE(),
                                     int line = __builtin_LINE(),
                                     const char* function = __builtin_FUNCTION()) {
    return {file, line, function};
  }
};

inline void check(bool truth, CallPlace at = CallPlace::current()) {
  if (truth) [[likely]] {
    return;
  }
  std::fprintf(stderr, "check failed: %s:%d in %s\n", at.file, at.line, at.function);
  std::abort();
}

}  // namespace kv
