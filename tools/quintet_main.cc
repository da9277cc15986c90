// The `quintet` command: one program, many tools.
#include <array>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "common/host/standard_output.h"
#include "tools/bench_command.h"
#include "tools/check_command.h"
#include "tools/cluster_command.h"
#include "tools/compare_command.h"
#include "tools/ctl_command.h"
#include "tools/replay_command.h"
#include "tools/trace_command.h"

namespace {

struct Subcommand {
  std::string_view name;
  std::string_view purpose;
  int (*run)(int argc, const char* const* argv);  // argv[0] is the subcommand's name
};

constexpr std::array subcommands = {
    Subcommand{"cluster", "runs the replicas of a phase as processes", kv::tools::cluster_command},
    Subcommand{"ctl", "kills, pauses, parts and heals replicas of a running cluster",
               kv::tools::ctl_command},
    Subcommand{"bench", "puts load on a server and prints what came of it",
               kv::tools::bench_command},
    Subcommand{"compare", "one table over the logs of several runs", kv::tools::compare_command},
    Subcommand{"replay", "gives a recorded replica its inputs again", kv::tools::replay_command},
    Subcommand{"trace", "one operation's way through every node", kv::tools::trace_command},
    Subcommand{"check", "tells whether recorded histories are linearizable",
               kv::tools::check_command},
};

constexpr int exit_wrong_use = 2;

void print_help() {
  std::printf("usage: quintet SUBCOMMAND [FLAG...]\n\n");
  for (const Subcommand& subcommand : subcommands) {
    std::printf("  %-10.*s %.*s\n", static_cast<int>(subcommand.name.size()),
                subcommand.name.data(), static_cast<int>(subcommand.purpose.size()),
                subcommand.purpose.data());
  }
  std::printf("\n`quintet SUBCOMMAND --help` tells more. --version prints the version.\n");
}

int wrong_use(const std::string& why) {
  std::fprintf(stderr, "quintet: %s; try `quintet --help`\n", why.c_str());
  return exit_wrong_use;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view word = argc > 1 ? argv[1] : "";
  if (word.empty()) {
    return wrong_use("which subcommand?");
  }
  if (word == "--help" || word == "-h") {
    print_help();
    return kv::host::exit_when_printed("quintet", EXIT_SUCCESS);
  }
  if (word == "--version") {
    std::printf("quintet %s\n", QUINTET_VERSION);
    return kv::host::exit_when_printed("quintet", EXIT_SUCCESS);
  }
  for (const Subcommand& subcommand : subcommands) {
    if (subcommand.name == word) {
      return kv::host::exit_when_printed("quintet " + std::string{word},
                                         subcommand.run(argc - 1, argv + 1));
    }
  }
  return wrong_use("'" + std::string{word} + "' is no subcommand");
}
