// Whether a history is linearizable: whether its operations could have happened one at a time,
// each at some moment between its call and its return.
//
// A history is linearizable if and only if it is so for each key (Herlihy and Wing 1990, theorem
// 1), so each key is searched alone: key_search.h. A failure is cut down to the least that still
// proves it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "common/sim/history.h"
#include "common/sim/key_search.h"

namespace kv::sim {

struct CheckLimits {
  /// For all keys together; each is about 100 ns.
  std::uint64_t steps_max = 100'000'000;
  /// Held at once, each of about 100 bytes.
  std::size_t configurations_max = 1'000'000;
};

struct CheckResult {
  Verdict verdict = Verdict::linearizable;
  std::size_t operations = 0;  // that say something
  std::size_t keys = 0;
  std::string why;               // cannot_tell: which key, and which limit
  std::vector<Operation> piece;  // not_linearizable: operations on one key, by their calls
};

/// Checks all keys; one that is not linearizable outweighs others that cannot be told.
///
/// `piece` is such that nobody can explain it, whatever else is in the history: it comes from the
/// history only by leaving out what could not have made it worse (reads, refusals, unknown
/// operations that nobody can have noticed), and by taking writes as unknown. No single one can be
/// left out or taken so any more, unless cutting it down ran into the limits.
CheckResult check_history(const std::vector<Operation>& history, const CheckLimits& limits = {});

/// One operation a line, for people, with times from the first call on.
std::string describe(const std::vector<Operation>& piece);

}  // namespace kv::sim
