// A few operations of a run from near: chosen from its history, traced through its servers' logs.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tools/trace.h"

namespace kv::logs {

struct CloseUp {
  std::string op;     // its ID
  std::string words;  // why it took as long as it did
  std::uint32_t nodes = 1;
  std::vector<Step> steps;
};

/// The slowest operations of the run in `folder`, one or two that were refused or ended unknown,
/// and a put and a get as they usually are. Empty
/// if there is no such folder, or its servers did not log at debug. False, and a reason in `why`,
/// if a file cannot be read.
bool read_close_ups(const std::string& folder, std::vector<CloseUp>& close_ups, std::string& why);

}  // namespace kv::logs
