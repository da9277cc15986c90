#include "phase1_sockets/client_program.h"

#include <pthread.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <chrono>
#include <clocale>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <optional>
#include <random>

#include "common/client/console.h"
#include "common/client/standard_terminal.h"
#include "common/core/random.h"
#include "common/host/clock.h"
#include "common/host/log.h"
#include "common/host/server_process.h"
#include "common/host/standard_output.h"
#include "common/wire/logfmt.h"
#include "phase1_sockets/client_socket.h"

namespace kv::sockets {
namespace {

/// A person reads the log beside the answers: each line is handed over at once.
class LogEvents final : public client::EventSink {
 public:
  explicit LogEvents(host::Log& log) : writer_(log) {}
  void event(Level level, std::string_view fields) override {
    writer_.write(level, fields);
    writer_.flush();
  }

 private:
  host::LogWriter writer_;
};

/// Ctrl-C, a closed terminal and a polite kill as something that can be waited for. Before any
/// thread starts, for threads inherit what is blocked.
class StopSignal {
 public:
  StopSignal() {
    signal(SIGPIPE, SIG_IGN);  // a closed output is told by write()
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
    descriptor_ = Descriptor{signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK)};
  }
  int descriptor() const { return descriptor_.number(); }

 private:
  Descriptor descriptor_;
};

/// Time of day and chance: a person finds the run in the log, and no other run has its IDs.
std::string draw_run() {
  static constexpr char letters[] = "abcdefghijklmnopqrstuvwxyz234567";
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm utc{};
  gmtime_r(&now, &utc);
  char time[8];
  const std::size_t length = std::strftime(time, sizeof time, "%H%M%S", &utc);
  std::string run{time, length};
  run += '-';
  std::random_device device;
  Random random{std::uint64_t{device()} << 32 | device()};
  for (int i = 0; i < 5; ++i) {
    run += letters[random.below(sizeof letters - 1)];
  }
  return run;
}

struct ClientFlags {
  client::Console::Options console;
  std::string log;
  bool no_demo = false;
  bool ping = false;
};

void add_client_flags(host::Flags& flags, ClientFlags& target) {
  flags.add_value(
      "--name", "NAME", "differs each time",
      [&target](std::string_view text) -> std::string {
        if (!client::is_client_name(text)) {
          return "'" + std::string{text} + "' is no name: 1 to " +
                 std::to_string(client::name_bytes_max) + " of A-Z a-z 0-9 _ -";
        }
        target.console.name = text;
        return {};
      },
      "who this is, in the IDs of its operations and in the logs");
  flags.add("--timeout", target.console.timeout, "how long to wait for each answer");
  flags.add("--log", target.log, "where its log goes; - is standard error", "FILE");
  flags.add_switch("--no-demo", target.no_demo, "begins with the prompt");
  flags.add_switch("--ping", target.ping, "sends one PING and ends: 0 if it was answered OK");
  flags.finally([&target] {
    return target.console.timeout > Duration::zero() ? std::string{}
                                                     : std::string{"--timeout: must be above 0"};
  });
}

int fail(const ClientProgram& program, std::string_view why) {
  std::fprintf(stderr, "%s: %.*s\n", program.name.c_str(), static_cast<int>(why.size()),
               why.data());
  return 1;
}

int run_console(const ClientProgram& program, const ClientFlags& flags, client::EventSink& events,
                int stop) {
  std::string why;
  const auto transport = program.connect(events, why);
  if (!transport) {
    events.event(Level::error,
                 wire::LogFields{}.add("event", "start_failed").add("why", why).text());
    return fail(program, why);
  }
  client::StandardTerminal terminal{STDIN_FILENO, STDOUT_FILENO, stop};
  client::Console console{flags.console, *transport, terminal, events, host::run_now};
  if (flags.ping) {
    return console.ping() ? 0 : 1;
  }
  terminal.print(flags.console.name + " talks to " + transport->server() +
                 "; its log: " + (flags.log == "-" ? "standard error" : flags.log) + "\n");
  const bool all_well = console.run();
  if (terminal.output_error() != 0) {
    return fail(program, host::why_output_lost(terminal.output_error()));
  }
  return all_well ? 0 : 1;
}

}  // namespace

int run_client(const ClientProgram& program, int argc, char** argv) {
  host::open_standard_descriptors();  // or a log would get what is printed
  if (std::setlocale(LC_CTYPE, "") == nullptr ||
      std::strcmp(std::setlocale(LC_CTYPE, nullptr), "C") == 0) {
    std::setlocale(LC_CTYPE, "C.UTF-8");  // so that libedit takes what people type
  }
  ClientFlags flags;
  flags.log = program.log;
  flags.console.name = program.name_prefix + "-" + std::to_string(getpid());
  flags.console.run = draw_run();
  host::Flags parser{program.name, program.purpose};
  program.add_arguments(parser);
  add_client_flags(parser, flags);
  if (const auto exit_code = parser.parse(argc, argv)) {
    return *exit_code;
  }
  flags.console.demo = !flags.no_demo;
  const StopSignal stop;
  std::string why;
  const auto log = host::Log::open(
      {.path = flags.log, .context = program.context + " client=" + flags.console.name}, why);
  if (!log) {
    return fail(program, why);
  }
  LogEvents events{*log};
  return run_console(program, flags, events, stop.descriptor());
}

}  // namespace kv::sockets
