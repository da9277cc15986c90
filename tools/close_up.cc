#include "tools/close_up.h"

#include <algorithm>

#include "tools/compare_group.h"
#include "tools/log_files.h"

namespace kv::logs {
namespace {

constexpr std::size_t slowest_shown = 4;
constexpr std::size_t failed_shown = 2;

/// The slowest first, then the fastest put and get of those that are kept: about the median, if
/// the run was short.
std::vector<Notable> choose(const Group& group) {
  std::vector<Notable> all = group.slow().all();
  std::vector<Notable> failed;
  std::erase_if(all, [&failed](const Notable& each) {
    const bool good = each.status <= Status::conflict;
    if (!good && !each.op.empty() && failed.size() < failed_shown) {
      failed.push_back(each);
    }
    return !good || each.op.empty();
  });
  std::ranges::stable_sort(all, std::ranges::greater{}, &Notable::latency_ns);
  std::vector<Notable> chosen(
      all.begin(), all.begin() + static_cast<std::ptrdiff_t>(std::min(slowest_shown, all.size())));
  chosen.insert(chosen.end(), failed.begin(), failed.end());
  for (const std::string_view verb : {"put ", "get "}) {
    const auto usual = std::find_if(all.rbegin(), all.rend(), [verb](const Notable& each) {
      return each.what.starts_with(verb);
    });
    if (usual != all.rend()) {
      chosen.push_back(*usual);
    }
  }
  return chosen;
}

bool trace_one(const Notable& operation, const Group& group, Micros zero,
               const std::vector<std::string>& files, std::vector<CloseUp>& close_ups,
               std::string& why) {
  Trace trace{operation.op};
  for (const std::string& file : files) {
    if (file.ends_with(".log") && !trace.read_own(file, why)) {
      return false;
    }
  }
  for (const std::string& file : files) {
    if (file.ends_with(".log") && !trace.read_tied(file, why)) {
      return false;
    }
  }
  CloseUp close_up{.op = operation.op,
                   .words = explain(operation, group.marks(), zero),
                   .nodes = group.nodes(),
                   .steps = trace.steps()};
  const auto deep = std::ranges::count_if(
      close_up.steps, [](const Step& step) { return step.node > 0 && step.who != "cluster"; });
  if (deep > 2) {  // more than a request and its answer
    close_ups.push_back(std::move(close_up));
  }
  return true;
}

}  // namespace

bool read_close_ups(const std::string& folder, std::vector<CloseUp>& close_ups, std::string& why) {
  const std::vector<std::string> files = files_in(folder);
  Group group{folder};
  for (const std::string& file : files) {
    if (!group.read(file, why)) {
      return false;
    }
  }
  group.finish();
  const std::vector<Interval> spans = group.operations().spans();
  return spans.empty() || std::ranges::all_of(choose(group), [&](const Notable& operation) {
           return trace_one(operation, group, spans.front().begin, files, close_ups, why);
         });
}

}  // namespace kv::logs
