#include "common/sim/runner.h"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>

#include "common/core/check.h"
#include "common/sim/history.h"
#include "common/sim/note_files.h"
#include "common/sim/scenario_text.h"
#include "common/sim/shrink.h"
#include "common/sim/simulator.h"
#include "common/sim/swarm.h"

namespace kv::sim {
namespace {

constexpr unsigned run_seconds_max = 600;  // of real time: then a run is taken to be endless

/// What a child tells its parent: memory that both share, so that it outlives an abort().
struct Report {
  Progress progress;
  bool ended = false;
  bool broken = false;
  bool log_lost = false;  // its folder does not take it, or not all of it
  Counts counts;
  std::uint64_t fingerprint = 0;
  char invariant[128] = {};
  char detail[8192] = {};  // may be a history
};

template <std::size_t size>
void put_text(char (&to)[size], std::string_view text) {
  const std::size_t length = std::min(text.size(), size - 1);
  std::memcpy(to, text.data(), length);
  to[length] = '\0';
}

class SharedReport {
 public:
  SharedReport() {
    void* memory =
        ::mmap(nullptr, sizeof(Report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    check(memory != MAP_FAILED);
    report_ = new (memory) Report{};
  }
  SharedReport(const SharedReport&) = delete;
  SharedReport& operator=(const SharedReport&) = delete;
  ~SharedReport() { ::munmap(report_, sizeof(Report)); }

  Report& operator*() { return *report_; }
  Report* operator->() { return report_; }

 private:
  Report* report_;
};

std::string seconds(Instant at) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6f s",
                static_cast<double>(at.time_since_epoch().count()) / 1e6);
  return text;
}

class Runner {
 public:
  Runner(const ProtocolTraits& traits, const MakeProtocol& make, const RunnerOptions& options)
      : traits_(traits), make_(make), options_(options) {}

  int run() {
    if (!options_.scenario.empty() && !load_scenario()) {
      return exit_wrong_use;
    }
    for (std::uint64_t i = 0; i < options_.seeds; ++i) {
      const std::uint64_t seed = options_.seed + i;
      const Scenario scenario = scenario_ ? *scenario_ : draw_scenario(traits_, seed);
      const Report report = run_one(scenario, seed, log_folder(seed));
      add(report);
      if (report.log_lost) {
        std::fprintf(stderr, "%s: the log cannot be written there: is it a folder, with room?\n",
                     log_folder(seed).c_str());
      }
      if (report.broken) {
        tell_broken(scenario, seed, report);
        return exit_broken;
      }
      if (report.log_lost) {
        return exit_wrong_use;
      }
    }
    tell_good();
    return exit_all_hold;
  }

 private:
  bool load_scenario();
  Report run_one(const Scenario& scenario, std::uint64_t seed, const std::string& log);
  [[noreturn]] void be_child(const Scenario& scenario, std::uint64_t seed, const std::string& log,
                             int errors, Report& report);
  static void judge_death(int status, const std::string& errors, Report& report);
  void tell_broken(const Scenario& scenario, std::uint64_t seed, const Report& report);
  void tell_shrunk(const Scenario& scenario, std::uint64_t seed, const Report& report);
  void tell_good() const;
  void add(const Report& report);
  std::string log_folder(std::uint64_t seed) const;

  const ProtocolTraits& traits_;
  const MakeProtocol& make_;
  const RunnerOptions& options_;
  std::optional<Scenario> scenario_;
  Counts sum_;
  std::uint64_t fingerprint_ = 0;
};

bool Runner::load_scenario() {
  std::ifstream file{options_.scenario};
  std::stringstream text;
  text << file.rdbuf();
  if (!file) {
    std::fprintf(stderr, "%s: cannot be read\n", options_.scenario.c_str());
    return false;
  }
  auto parsed = parse_scenario(text.str());
  if (const auto* error = std::get_if<ScenarioError>(&parsed)) {
    std::fprintf(stderr, "%s:%u: %s\n", options_.scenario.c_str(), error->line, error->why.c_str());
    return false;
  }
  scenario_ = std::move(std::get<Scenario>(parsed));
  return true;
}

std::string read_all(int descriptor) {
  std::string text;
  char buffer[4096];
  while (true) {
    const ssize_t count = ::read(descriptor, buffer, sizeof buffer);
    if (count > 0) {
      text.append(buffer, static_cast<std::size_t>(count));
    } else if (count == 0 || errno != EINTR) {
      return text;
    }
  }
}

/// Runs in a child of its own.
Report Runner::run_one(const Scenario& scenario, std::uint64_t seed, const std::string& log) {
  SharedReport report;
  int errors[2];
  check(::pipe(errors) == 0);
  std::fflush(nullptr);  // else the child would print what waits here a second time
  const pid_t child = ::fork();
  check(child >= 0);
  if (child == 0) {
    ::close(errors[0]);
    be_child(scenario, seed, log, errors[1], *report);
  }
  ::close(errors[1]);
  const std::string said = read_all(errors[0]);
  ::close(errors[0]);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    check(errno == EINTR);
  }
  if (!report->ended) {
    judge_death(status, said, *report);
  }
  return *report;
}

/// For `quintet check`. False if the file does not take it.
bool write_history(const std::string& folder, const std::vector<Operation>& history) {
  Bytes lines;
  for (const Operation& operation : history) {
    append_json(lines, operation);
  }
  std::ofstream file{folder + "/history.jsonl"};
  file << lines << std::flush;
  return file.good();
}

void Runner::be_child(const Scenario& scenario, std::uint64_t seed, const std::string& log,
                      int errors, Report& report) {
  for (const int signal : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGALRM}) {
    std::signal(signal, SIG_DFL);  // whoever called us may have caught them: let them end this run
  }
  ::dup2(errors, STDERR_FILENO);
  ::close(errors);
  ::alarm(run_seconds_max);
  {
    std::unique_ptr<NoteFiles> notes;
    if (!log.empty()) {
      notes = std::make_unique<NoteFiles>(log, traits_.context, scenario.nodes);
    }
    report.log_lost = notes != nullptr && !notes->good();
    const std::unique_ptr<Protocol> protocol = make_();
    Simulator simulator{*protocol, scenario, seed, notes.get(), &report.progress};
    const Outcome outcome = simulator.run();
    report.counts = outcome.counts;
    report.fingerprint = outcome.fingerprint;
    report.broken = outcome.violation.has_value();
    if (outcome.violation) {
      put_text(report.invariant, outcome.violation->invariant);
      put_text(report.detail, outcome.violation->detail);
    }
    report.ended = true;
    report.log_lost =
        notes != nullptr && !(write_history(log, simulator.history()) && notes->good());
  }
  ::_exit(0);  // the parent's buffers are not this process's to flush
}

void Runner::judge_death(int status, const std::string& errors, Report& report) {
  report.broken = true;
  report.counts.steps = report.progress.steps;
  const int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  put_text(report.invariant, signal == SIGABRT   ? "check"
                             : signal == SIGALRM ? "a_run_ends"
                                                 : "a_run_does_not_crash");
  const std::string cause = errors.empty() ? "ended by signal " + std::to_string(signal) : errors;
  put_text(report.detail, std::string_view{cause}.substr(0, cause.find('\n')));
}

void Runner::tell_broken(const Scenario& scenario, std::uint64_t seed, const Report& report) {
  std::fprintf(options_.out, "broken: %s\n  seed %llu, at %s, after %llu steps\n  %s\n",
               report.invariant, static_cast<unsigned long long>(seed),
               seconds(report.progress.now).c_str(),
               static_cast<unsigned long long>(report.progress.steps), report.detail);
  std::fprintf(options_.out, "repeat: %s --seed %llu%s%s\n", options_.program.c_str(),
               static_cast<unsigned long long>(seed),
               options_.scenario.empty() ? "" : " --scenario ", options_.scenario.c_str());
  if (options_.shrink_runs_max > 0) {
    tell_shrunk(scenario, seed, report);
  }
}

/// The same invariant, and for a check() the same line: another failure is another story.
bool same_failure(const Report& one, const Report& other) {
  return other.broken && std::string_view{one.invariant} == other.invariant &&
         (std::string_view{one.invariant} != "check" ||
          std::string_view{one.detail} == other.detail);
}

void Runner::tell_shrunk(const Scenario& scenario, std::uint64_t seed, const Report& report) {
  const Shrunk shrunk = shrink(
      scenario,
      [&](const Scenario& candidate) { return same_failure(report, run_one(candidate, seed, "")); },
      options_.shrink_runs_max);
  const std::string path = options_.failures + "/" + std::string{traits_.name} + "-seed-" +
                           std::to_string(seed) + ".scn";
  std::error_code error;
  std::filesystem::create_directories(options_.failures, error);
  std::ofstream file{path};
  file << format_scenario(shrunk.scenario);
  file.close();
  std::fprintf(options_.out, "shrunk in %u runs from %zu faults and %u operations to %zu and %u:\n",
               shrunk.runs, scenario.faults.size(), scenario.load.operations,
               shrunk.scenario.faults.size(), shrunk.scenario.load.operations);
  std::fprintf(options_.out, "%s", format_scenario(shrunk.scenario).c_str());
  if (file) {
    std::fprintf(options_.out, "repeat: %s --seed %llu --scenario %s\n", options_.program.c_str(),
                 static_cast<unsigned long long>(seed), path.c_str());
  } else {
    std::fprintf(options_.out, "%s could not be written\n", path.c_str());
  }
}

void Runner::tell_good() const {
  std::fprintf(options_.out, "%s: %llu seed%s from %llu hold;", std::string{traits_.name}.c_str(),
               static_cast<unsigned long long>(options_.seeds), options_.seeds == 1 ? "" : "s",
               static_cast<unsigned long long>(options_.seed));
  const auto print = [this](std::string_view name, std::uint64_t count) {
    std::fprintf(options_.out, " %s=%llu", std::string{name}.c_str(),
                 static_cast<unsigned long long>(count));
  };
  Counts::fields(sum_, print);
  std::fprintf(options_.out, " fingerprint=%016llx\n",
               static_cast<unsigned long long>(fingerprint_));
}

void Runner::add(const Report& report) {
  std::vector<std::uint64_t> counts;
  const auto take = [&counts](std::string_view, std::uint64_t count) { counts.push_back(count); };
  Counts::fields(report.counts, take);
  std::size_t next = 0;
  const auto sum = [&](std::string_view, std::uint64_t& count) { count += counts[next++]; };
  Counts::fields(sum_, sum);
  fingerprint_ = (fingerprint_ ^ report.fingerprint) * 0x9e3779b97f4a7c15;
}

std::string Runner::log_folder(std::uint64_t seed) const {
  const bool many = options_.seeds > 1;
  return options_.log.empty() || !many ? options_.log
                                       : options_.log + "/seed-" + std::to_string(seed);
}

}  // namespace

int run_simulations(const ProtocolTraits& traits, const MakeProtocol& make,
                    const RunnerOptions& options) {
  return Runner{traits, make, options}.run();
}

}  // namespace kv::sim
