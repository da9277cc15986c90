// `quintet compare`: one table over the runs whose logs are in some folders, and the report.
#pragma once

#include <string>
#include <vector>

#include "tools/compare_group.h"

namespace kv::tools {

/// The runs in `folders`: a folder with sub-folders called phase… is a run for each of them, any
/// other is one run. Only *.log and *.jsonl are read, however deep. False, and a reason in `why`,
/// if there is nothing to read.
bool read_groups(const std::vector<std::string>& folders, std::vector<logs::Group>& groups,
                 std::string& why);

/// Exit codes: 0 there was something to compare; 1 there was not; 2 a wrong flag.
int compare_command(int argc, const char* const* argv);

}  // namespace kv::tools
