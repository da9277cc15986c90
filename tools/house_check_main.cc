// house_check: holds the tree to its rules (house_check.h); exit 0 if it keeps them, 1 if not.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "common/host/flags.h"
#include "tools/house_check.h"

namespace {

namespace fs = std::filesystem;

bool is_source(const fs::path& path) {
  const std::string ending = path.extension();
  return ending == ".h" || ending == ".cc" || ending == ".sh" || path.filename() == "run";
}

bool is_source_folder(const std::string& name) {
  return name == "common" || name == "tools" || name == "tests" || name == "deploy" ||
         name.starts_with("phase");
}

std::vector<kv::tools::SourceFile> read_tree(const fs::path& root) {
  std::vector<kv::tools::SourceFile> files;
  for (const auto& folder : fs::directory_iterator{root}) {
    if (!folder.is_directory() || !is_source_folder(folder.path().filename())) {
      continue;
    }
    for (const auto& entry : fs::recursive_directory_iterator{folder}) {
      if (entry.is_regular_file() && is_source(entry.path())) {
        std::ifstream stream{entry.path(), std::ios::binary};
        files.push_back({entry.path().lexically_relative(root).string(),
                         std::string{std::istreambuf_iterator<char>{stream}, {}}});
      }
    }
  }
  std::ranges::sort(files, {}, &kv::tools::SourceFile::path);
  return files;
}

}  // namespace

int main(int argc, char** argv) {
  kv::host::Flags flags{"house_check", "Holds the source tree to its rules."};
  std::string root = ".";
  flags.add("--root", root, "the root of the tree", "DIR");
  if (const auto exit_code = flags.parse(argc, argv)) {
    return *exit_code;
  }
  const auto files = read_tree(root);
  const auto findings = kv::tools::check_house(files);
  for (const auto& finding : findings) {
    std::printf("%s\n", to_text(finding).c_str());
  }
  std::printf("house_check: %zu files, %zu findings\n", files.size(), findings.size());
  return findings.empty() && !files.empty() ? 0 : 1;
}
