// check() states what only we can get wrong; it stays on in every build. What peers, clients,
// disks and time can do to us is a Status, never a check.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <source_location>

namespace kv {

inline void check(bool truth, std::source_location at = std::source_location::current()) {
  if (truth) [[likely]] {
    return;
  }
  std::fprintf(stderr, "check failed: %s:%u in %s\n", at.file_name(), at.line(),
               at.function_name());
  std::abort();
}

}  // namespace kv
