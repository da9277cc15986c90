#include "tools/check_command.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>

#include "common/host/flags.h"
#include "common/host/standard_output.h"
#include "common/sim/history.h"
#include "tools/client_log.h"

namespace kv::tools {
namespace {

constexpr int exit_linearizable = 0;
constexpr int exit_not_linearizable = 1;
constexpr int exit_cannot_tell = 2;

/// The operations of all files, which are of one kind: a history's clock is not a log's.
class Reader {
 public:
  /// False, and a reason, if it cannot be read, or says nothing.
  bool read(const std::string& path, std::string& why) {
    errno = 0;
    std::ifstream file{path, std::ios::binary};
    std::error_code unknown;
    if (std::filesystem::is_directory(path, unknown)) {
      why = "is a folder: name the history in it";
      return false;
    }
    const int first = file.peek();
    if (!file.is_open() || file.bad()) {
      why = errno != 0 ? std::strerror(errno) : "cannot be read";
      return false;
    }
    const bool log = first >= '0' && first <= '9';  // a time; a history begins with a brace
    if (files_++ > 0 && log != logs_) {
      why = "is a client's log, or a history, and the others are not: they have different clocks";
      return false;
    }
    logs_ = log;
    return log ? read_log(path, why) : read_history(file, why);
  }

  const std::vector<sim::Operation>& history() const { return history_; }

 private:
  bool read_history(std::ifstream& file, std::string& why) {
    file.clear();
    const std::string text{std::istreambuf_iterator<char>{file}, {}};
    if (file.bad()) {
      why = "cannot be read to its end";
      return false;
    }
    return sim::read_history(text, history_, why);
  }

  bool read_log(const std::string& path, std::string& why) {
    logs::FileTally tally;
    std::string wrong;
    const std::size_t before = history_.size();
    const bool read = logs::read_lines(
        path,
        [&](std::string_view text) {
          using Heard = logs::ClientLog::Heard;
          const auto line = logs::client_line(text, time_);
          const Heard heard =
              !line ? Heard::nothing
                    : client_log_.line(line->at, line->client, line->event, line->fields);
          if (heard == Heard::an_end) {
            add(client_log_.ended(), wrong);
          } else if (heard != Heard::nothing && wrong.empty()) {
            wrong = "line " + std::to_string(tally.lines) + ": an end of what nobody asked, or " +
                    "too many requests without one";
          }
        },
        tally, why);
    client_log_.end_file(
        [&](const std::string&, logs::ClientOperation& open) { add(open, wrong); });
    if (read && wrong.empty() && history_.size() == before) {
      wrong = "is a log without any operation of a client";
    }
    why = read ? wrong : why;
    return why.empty();
  }

  void add(logs::ClientOperation& logged, std::string& wrong) {
    if (logged.operation.verb == Verb::ping || logged.operation.verb == Verb::batch) {
      return;
    }
    if (!logged.known && wrong.empty()) {
      wrong = "holds long values by their length alone: judge the load's history instead";
    }
    logs::widen_to_clock_grain(logged.operation);
    history_.push_back(logged.operation);
  }

  std::vector<sim::Operation> history_;
  logs::ClientLog client_log_;
  logs::TimeReader time_;
  std::size_t files_ = 0;
  bool logs_ = false;
};

std::string summary(const sim::CheckResult& result) {
  return std::to_string(result.operations) + " operations on " + std::to_string(result.keys) +
         (result.keys == 1 ? " key" : " keys");
}

}  // namespace

int check_files(const std::vector<std::string>& files, const sim::CheckLimits& limits,
                std::string& output, std::string& error) {
  Reader reader;
  for (const std::string& path : files) {
    std::string why;
    if (!reader.read(path, why)) {
      error.append("quintet check: ").append(path).append(": ").append(why).append("\n");
      return exit_cannot_tell;
    }
  }
  const std::vector<sim::Operation>& history = reader.history();
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
      "Tells whether histories (a JSON object an operation) or clients' logs are linearizable: "
      "exits 0 if they are, 1 if not, with the smallest offending piece, 2 if it cannot tell."};
  flags.add("--steps", limits.steps_max, {.least = 1},
            "how long to search; a million takes about 0.1 s");
  flags.add_positional("FILE", first, "a history, or a client's log");
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
  return host::exit_when_printed("quintet check", exit_code, exit_cannot_tell);  // 1 would accuse
}

}  // namespace kv::tools
