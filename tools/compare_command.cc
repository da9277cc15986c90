#include "tools/compare_command.h"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <thread>

#include "common/host/flags.h"
#include "tools/compare_table.h"
#include "tools/log_files.h"
#include "tools/report.h"

namespace kv::tools {
namespace {

namespace fs = std::filesystem;

constexpr int exit_nothing = 1;
/// Runs that are read at once: each may hold logs::Group::judged_max operations.
constexpr std::size_t readers_max = 4;

std::vector<fs::path> runs_in(const std::string& folder) {
  std::vector<fs::path> runs;
  std::error_code failure;
  for (const auto& entry : fs::directory_iterator{folder, failure}) {
    if (entry.is_directory(failure) && entry.path().filename().string().starts_with("phase")) {
      runs.push_back(entry.path());
    }
  }
  std::ranges::sort(runs);
  if (runs.empty()) {
    runs.emplace_back(folder);
  }
  return runs;
}

std::string name_of(const fs::path& run) {
  const fs::path plain = run.lexically_normal();
  return plain.has_filename() ? plain.filename().string() : plain.parent_path().filename().string();
}

struct Run {
  logs::Group group;
  std::string why;  // not empty: a file of it cannot be read
};

void read_one(Run& run) {
  for (const std::string& file : logs::files_in(run.group.folder())) {
    if (!run.group.read(file, run.why)) {
      return;
    }
  }
  run.group.finish();
}

/// A thread for each of some runs, so that as many cores read: each run is one thread's alone.
void read_all(std::vector<Run>& runs) {
  std::atomic<std::size_t> next = 0;
  const auto work = [&runs, &next] {
    for (std::size_t mine = next++; mine < runs.size(); mine = next++) {
      read_one(runs[mine]);
    }
  };
  const std::size_t cores = std::max(1U, std::thread::hardware_concurrency());
  std::vector<std::jthread> others;
  for (std::size_t i = 1; i < std::min({runs.size(), cores, readers_max}); ++i) {
    others.emplace_back(work);
  }
  work();
}

/// A run from near has its logs beside the run's own folder: close_up/phase3_2pc beside phase3_2pc.
bool write_report(const std::string& path, const std::vector<logs::Group>& groups,
                  const std::vector<logs::Row>& rows, std::string& why) {
  std::vector<logs::ReportedRun> runs;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    runs.push_back({.group = &groups[i], .row = rows[i], .close_ups = {}});
    const fs::path run = fs::path{groups[i].folder()}.lexically_normal();
    const fs::path near = run.parent_path() / "close_up" / run.filename();
    if (!read_close_ups(near, runs.back().close_ups, why)) {
      return false;
    }
  }
  std::ofstream file{path, std::ios::binary};
  file << report_html(runs) << std::flush;
  if (!file) {
    why = path + ": cannot be written";
  }
  return static_cast<bool>(file);
}

int fail(const std::string& why) {
  std::fprintf(stderr, "quintet compare: %s\n", why.c_str());
  return exit_nothing;
}

}  // namespace

bool read_groups(const std::vector<std::string>& folders, std::vector<logs::Group>& groups,
                 std::string& why) {
  std::vector<Run> runs;
  for (const std::string& folder : folders) {
    std::error_code failure;
    if (!fs::is_directory(folder, failure)) {
      why = folder + " is no folder";
      return false;
    }
    for (const fs::path& run : runs_in(folder)) {
      runs.push_back({.group = logs::Group{name_of(run), run}, .why = {}});
    }
  }
  read_all(runs);
  for (Run& run : runs) {
    if (!run.why.empty()) {
      why = run.why;
      return false;
    }
    if (run.group.operations().asked() > 0) {
      groups.push_back(std::move(run.group));
    }
  }
  if (groups.empty()) {
    why = "no operations in the logs of " + folders.front() +
          (folders.size() > 1 ? " and the others" : "") + ": run make demo first";
  }
  return !groups.empty();
}

int compare_command(int argc, const char* const* argv) {
  std::vector<std::string> folders;
  host::Flags flags{"quintet compare",
                    "One table over the runs whose logs are in some folders, by default logs/: a "
                    "row for each sub-folder called phase…, or for the folder itself."};
  std::string html;
  flags.add("--html", html, "write the report there too: one file, to be opened in a browser",
            "FILE");
  flags.add_rest("DIR", folders, "folders of logs");
  if (const auto exit_code = flags.parse(argc, argv)) {
    return *exit_code;
  }
  if (folders.empty()) {
    folders.emplace_back("logs");
  }
  std::vector<logs::Group> groups;
  std::string why;
  if (!read_groups(folders, groups, why)) {
    return fail(why);
  }
  std::vector<logs::Row> rows;
  rows.reserve(groups.size());
  for (const logs::Group& group : groups) {
    rows.push_back(row_of(group));
  }
  std::printf("%s", to_text(rows).c_str());
  if (!html.empty()) {
    if (!write_report(html, groups, rows, why)) {
      return fail(why);
    }
    std::printf("the report: %s\n", html.c_str());
  }
  return 0;
}

}  // namespace kv::tools
