#include "tools/log_files.h"

#include <algorithm>
#include <filesystem>

namespace kv::logs {
namespace {

namespace fs = std::filesystem;

bool is_ours(const fs::path& path) {
  return path.extension() == ".log" || path.extension() == ".jsonl";
}

}  // namespace

std::vector<std::string> files_in(const std::string& folder) {
  std::vector<std::string> files;
  std::error_code failure;
  for (fs::recursive_directory_iterator entry{folder, failure}; !failure && entry != fs::end(entry);
       entry.increment(failure)) {
    if (entry->is_regular_file(failure) && is_ours(entry->path())) {
      files.push_back(entry->path());
    }
  }
  std::ranges::sort(files);
  return files;
}

}  // namespace kv::logs
