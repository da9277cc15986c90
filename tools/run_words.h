// What a run's figures mean, in words: what to trust it with, and why. The first screen of the
// report, and the last lines of the table.
#pragma once

#include <string>

#include "tools/compare_table.h"

namespace kv::logs {

struct Advice {
  std::string trust;    // "data that must not be lost, if writing may wait": behind "trust it with"
  std::string because;  // a sentence of what was seen in this run
};

/// From this run alone: whether answers were right, and whether one could write for most of the
/// time in which a replica or a link was down.
Advice advice_of(const Row& row);

/// The figures behind it, in one line.
std::string figures_of(const Row& row);

}  // namespace kv::logs
