// Which files of a folder are logs or histories of ours.
#pragma once

#include <string>
#include <vector>

namespace kv::logs {

/// Every *.log and *.jsonl in the folder, however deep, in the order of their names: the same logs
/// always make the same report.
std::vector<std::string> files_in(const std::string& folder);

}  // namespace kv::logs
