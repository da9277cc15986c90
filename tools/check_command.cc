#include "tools/check_command.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>

#include "common/host/flags.h"
#include "common/sim/history.h"

namespace kv::tools {
namespace {

constexpr int exit_linearizable = 0;
constexpr int exit_not_linearizable = 1;
constexpr int exit_cannot_tell = 2;

bool read_file(const std::string& path, std::vector<sim::Operation>& history, std::string& error) {
  errno = 0;
  std::ifstream file{path, std::ios::binary};
  std::error_code unknown;
  const bool folder = std::filesystem::is_directory(path, unknown);
  const std::string text = folder ? "" : std::string{std::istreambuf_iterator<char>{file}, {}};
  std::string why;
  if (folder) {
    why = "is a folder: name the history in it";
  } else if (!file || file.bad()) {
    why = errno != 0 ? std::strerror(errno) : "cannot be read";
  } else if (sim::read_history(text, history, why)) {
    return true;
  }
  error.append("quintet check: ").append(path).append(": ").append(why).append("\n");
  return false;
}

std::string summary(const sim::CheckResult& result) {
  return std::to_string(result.operations) + " operations on " + std::to_string(result.keys) +
         (result.keys == 1 ? " key" : " keys");
}

}  // namespace

int check_files(const std::vector<std::string>& files, const sim::CheckLimits& limits,
                std::string& output, std::string& error) {
  std::vector<sim::Operation> history;
  for (const std::string& path : files) {
    if (!read_file(path, history, error)) {
      return exit_cannot_tell;
    }
  }
  if (history.empty()) {
    output += "cannot tell: there are no operations\n";
    return exit_cannot_tell;
  }
  const sim::CheckResult result = sim::check_history(history, limits);
  switch (result.verdict) {
    case sim::Verdict::linearizable:
      output += "linearizable: " + summary(result) + "\n";
      return exit_linearizable;
    case sim::Verdict::not_linearizable:
      output += "not linearizable: of " + summary(result) + ", nothing explains these " +
                std::to_string(result.piece.size()) + ":\n" + sim::describe(result.piece);
      return exit_not_linearizable;
    case sim::Verdict::cannot_tell:
      break;
  }
  output += "cannot tell: " + summary(result) + "; " + result.why + "; --steps allows more\n";
  return exit_cannot_tell;
}

int check_command(int argc, const char* const* argv) {
  sim::CheckLimits limits;
  std::string first;
  std::vector<std::string> files;
  host::Flags flags{
      "quintet check",
      "Tells whether histories (a JSON object an operation) are linearizable: exits 0 "
      "if they are, 1 if not, with the smallest offending piece, 2 if it cannot "
      "tell."};
  flags.add("--steps", limits.steps_max, {.least = 1},
            "how long to search; a million takes about 0.1 s");
  flags.add_positional("FILE", first, "a history");
  flags.add_rest("FILE", files, "more of the same history, with times of the same clock");
  if (const auto exit_code = flags.parse(argc, argv)) {
    return *exit_code;
  }
  files.insert(files.begin(), first);
  std::string output;
  std::string error;
  const int exit_code = check_files(files, limits, output, error);
  std::fputs(output.c_str(), stdout);
  std::fputs(error.c_str(), stderr);
  return exit_code;
}

}  // namespace kv::tools
