#include "tools/trace_command.h"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include "common/host/flags.h"
#include "tools/log_files.h"
#include "tools/trace.h"
#include "tools/trace_page.h"

namespace kv::tools {
namespace {

constexpr int exit_not_found = 1;

int fail(const std::string& why) {
  std::fprintf(stderr, "quintet trace: %s\n", why.c_str());
  return exit_not_found;
}

bool read_all(const std::vector<std::string>& folders, logs::Trace& trace, std::string& why) {
  std::vector<std::string> files;
  for (const std::string& folder : folders) {
    for (const std::string& file : logs::files_in(folder)) {
      if (file.ends_with(".log")) {
        files.push_back(file);
      }
    }
  }
  if (files.empty()) {
    why = "no logs in " + folders.front();
    return false;
  }
  return std::ranges::all_of(files, [&](const auto& file) { return trace.read_own(file, why); }) &&
         std::ranges::all_of(files, [&](const auto& file) { return trace.read_tied(file, why); });
}

}  // namespace

int trace_command(int argc, const char* const* argv) {
  std::vector<std::string> folders;
  std::string op;
  std::string html;
  host::Flags flags{"quintet trace",
                    "One operation's way through every node, from the logs of its run. Servers "
                    "tell of each step at --log-level debug."};
  flags.add("--op", op, "the operation's ID, as in op=ID of the logs and @ID of a request", "ID");
  flags.add("--html", html, "draw it as a space-time diagram, to be opened in a browser", "FILE");
  flags.add_rest("DIR", folders, "folders of logs");
  flags.finally([&] {
    return std::string{op.empty()        ? "--op is missing: say which operation"
                       : folders.empty() ? "say in which folder the logs are"
                                         : ""};
  });
  if (const auto exit_code = flags.parse(argc, argv)) {
    return *exit_code;
  }
  logs::Trace trace{op};
  std::string why;
  if (!read_all(folders, trace, why)) {
    return fail(why);
  }
  const std::vector<logs::Step> steps = trace.steps();
  if (steps.empty()) {
    return fail("no line tells of " + op);
  }
  std::uint32_t nodes = 1;
  for (const logs::Step& step : steps) {
    nodes = std::max({nodes, step.node, step.from});
  }
  std::printf("%s\n%s", op.c_str(), to_text(steps, nodes).c_str());
  if (!html.empty()) {
    std::ofstream file{html, std::ios::binary};
    file << logs::trace_html(op, steps, nodes) << std::flush;
    if (!file) {
      return fail(html + ": cannot be written");
    }
    std::printf("the diagram: %s\n", html.c_str());
  }
  return 0;
}

}  // namespace kv::tools
