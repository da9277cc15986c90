#include "tools/cluster_command.h"

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <random>

#include "common/core/check.h"
#include "common/host/flags.h"
#include "common/host/log.h"
#include "common/host/server_process.h"
#include "common/wire/logfmt.h"
#include "tools/cluster.h"
#include "tools/control_desk.h"
#include "tools/control_server.h"
#include "tools/fault_player.h"
#include "tools/member_desk.h"
#include "tools/own_folder.h"
#include "tools/role_finder.h"

namespace kv::tools {
namespace {

using cluster::Cluster;
using cluster::ClusterOptions;

constexpr int exit_failed = 1;
constexpr Duration role_patience = std::chrono::milliseconds{500};
constexpr std::array own_switches{"--help", "--version", "-h"};
constexpr std::array own_values{"--phase", "--replicas", "--dir",   "--base-port",
                                "--seed",  "--server",   "--links", "--ready-within"};

/// The command line in two: our own flags, and the server's.
struct Arguments {
  std::vector<std::string> own;
  std::vector<std::string> server;
};

Arguments divide(int argc, const char* const* argv) {
  Arguments arguments;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const std::string name = word.substr(0, word.find('='));
    const bool takes_value = std::ranges::find(own_values, name) != own_values.end();
    if (!takes_value && std::ranges::find(own_switches, name) == own_switches.end()) {
      arguments.server.push_back(word);
      continue;
    }
    arguments.own.push_back(word);
    if (takes_value && name == word && i + 1 < argc) {
      arguments.own.emplace_back(argv[++i]);
    }
  }
  return arguments;
}

struct Settings {
  ClusterOptions options;
  std::uint32_t phase = 0;
  std::optional<std::uint64_t> seed;
};

std::string combination_error(Settings& settings) {
  cluster::Plan& plan = settings.options.plan;
  if (settings.phase == 0) {
    return "--phase is missing: say which, 1 to 5";
  }
  plan.phase = static_cast<host::Phase>(settings.phase);
  if (!cluster::has_peers(plan.phase)) {
    plan.replicas = 1;
  }
  if (plan.program.empty()) {
    plan.program = beside_us("phase" + std::to_string(settings.phase) + "_server");
  }
  std::random_device chance;
  plan.seed = settings.seed;
  settings.options.seed = settings.seed.value_or(std::uint64_t{chance()} << 32 | chance());
  return cluster::flags_error(plan.server_flags);
}

void declare(host::Flags& flags, Settings& settings) {
  cluster::Plan& plan = settings.options.plan;
  flags.add_value(
      "--phase", "1..5", "",
      [&settings](std::string_view text) {
        std::uint64_t phase = 0;
        std::string wrong = host::read_number(text, {.least = 1, .most = 5}, phase);
        settings.phase = static_cast<std::uint32_t>(phase);
        return wrong;
      },
      "which phase's server runs");
  flags.add("--replicas", plan.replicas, {.least = 1, .most = cluster::replicas_max},
            "how many; phases 1 and 2 are one process");
  flags.add("--dir", plan.dir, "holds logs/, data/ and the socket for `quintet ctl`", "DIR");
  flags.add_value(
      "--base-port", "PORT", std::to_string(plan.base_port),
      [&plan](std::string_view text) {
        std::uint64_t port = 0;
        std::string wrong =
            host::read_number(text, {.least = 0, .most = cluster::base_port_max}, port);
        plan.base_port = wrong.empty() ? static_cast<std::uint16_t>(port) : plan.base_port;
        return wrong;
      },
      "node i has tcp PORT+i, udp PORT+100+i, rpc PORT+200+i, http PORT+500+i; 0 finds free ones");
  flags.add("--seed", settings.seed, "of the links' chances; node i is given the seed SEED+i");
  flags.add("--server", plan.program, "the server to run, if not the phase's own", "PROGRAM");
  flags.add("--ready-within", settings.options.serve_patience,
            "says ready then, even if not every replica can serve yet");
  bool* const through_proxy = &settings.options.through_proxy;
  flags.add_value(
      "--links", "proxy|direct", "proxy",
      [through_proxy](std::string_view text) -> std::string {
        if (text != "proxy" && text != "direct") {
          return "'" + std::string{text} + "' is neither proxy nor direct";
        }
        *through_proxy = text == "proxy";
        return {};
      },
      "direct: replicas reach each other without our proxy, and no link can be cut");
  flags.finally([&settings] { return combination_error(settings); });
}

int fail(const std::string& why) {
  std::fprintf(stderr, "quintet cluster: %s\n", why.c_str());
  return exit_failed;
}

/// The loop, the cluster and its door, from start to end.
class Run {
 public:
  Run(sockets::EventLoop& loop, cluster::ProcessGuard& guard, host::Log& log)
      : loop_(loop), guard_(guard), log_(log) {}

  int play(const ClusterOptions& options);

 private:
  bool open(const ClusterOptions& options, std::string& why);
  void on_ready(const std::vector<NodeId>& silent);
  void on_failed(const Cluster::Failure& failure);
  void on_lost(NodeId node, const cluster::ReplicaProcess::End& end);
  void on_signal();
  void stop(std::function<void()> stopped);
  sockets::EventPointer watch_signal(int number);

  sockets::EventLoop& loop_;
  cluster::ProcessGuard& guard_;
  host::Log& log_;
  std::unique_ptr<Cluster> cluster_;
  std::unique_ptr<cluster::FaultPlayer> player_;
  std::unique_ptr<cluster::MemberDesk> members_;
  std::unique_ptr<cluster::ControlDesk> desk_;
  std::unique_ptr<cluster::ControlServer> control_;
  std::vector<std::function<void()>> when_stopped_;
  bool stopping_ = false;
  int exit_code_ = 0;
};

int Run::play(const ClusterOptions& options) {
  std::string why;
  if (!open(options, why)) {
    return fail(why);
  }
  const sockets::EventPointer signals[] = {watch_signal(SIGINT), watch_signal(SIGTERM),
                                           watch_signal(SIGHUP)};
  cluster_->start();
  loop_.run();
  return exit_code_;
}

bool Run::open(const ClusterOptions& options, std::string& why) {
  cluster_ = Cluster::open(
      loop_, guard_, log_, options,
      {.ready = [this](const std::vector<NodeId>& silent) { on_ready(silent); },
       .failed = [this](const Cluster::Failure& failure) { on_failed(failure); },
       .up = {},
       .lost = [this](NodeId node,
                      const cluster::ReplicaProcess::End& end) { on_lost(node, end); }},
      why);
  if (!cluster_) {
    return false;
  }
  const auto find = [this](const std::string& role, std::function<void(NodeId)> found) {
    find_role(loop_, *cluster_, role, role_patience, std::move(found));
  };
  player_ = std::make_unique<cluster::FaultPlayer>(loop_, *cluster_, find, options.seed);
  members_ = std::make_unique<cluster::MemberDesk>(
      loop_, *cluster_, find, [this](const std::string& role, std::function<void(NodeId)> found) {
        player_->await_role(role, std::move(found));
      });
  desk_ = std::make_unique<cluster::ControlDesk>(
      *cluster_, *player_, *members_,
      [this](std::function<void()> stopped) { stop(std::move(stopped)); });
  control_ = cluster::ControlServer::open(
      loop_, options.plan.dir,
      [this](const std::shared_ptr<cluster::ControlCall>& call,
             const cluster::ControlRequest& request) { desk_->handle(call, request); },
      why);
  return control_ != nullptr;
}

sockets::EventPointer Run::watch_signal(int number) {
  sockets::EventPointer event{evsignal_new(
      loop_.base(), number,
      [](evutil_socket_t, short, void* self) { static_cast<Run*>(self)->on_signal(); }, this)};
  check(event != nullptr && event_add(event.get(), nullptr) == 0);
  return event;
}

void Run::on_ready(const std::vector<NodeId>& silent) {
  for (const NodeId node : silent) {
    std::fprintf(stderr, "quintet cluster: node %u cannot serve yet; see %s\n", node.value,
                 cluster::log_file(cluster_->plan(), node).c_str());
  }
  std::string text;
  for (const NodeId node : cluster_->members()) {
    text += address_line(*cluster_, node) + "\n";
  }
  if (std::string why; !host::say_ready(text + "ready", why)) {
    on_failed({.why = why});
  }
}

void Run::on_failed(const Cluster::Failure& failure) {
  static_cast<void>(fail(failure.why));
  exit_code_ = failure.wrong_flag ? host::Flags::exit_wrong_flag : exit_failed;
  stop([] {});
}

void Run::on_lost(NodeId node, const cluster::ReplicaProcess::End& end) {
  std::fprintf(stderr,
               "quintet cluster: node %u ended by itself (%s)%s%s; `quintet ctl --dir %s restart "
               "%u` starts it again\n",
               node.value, end.how.c_str(), end.last_words.empty() ? "" : ": ",
               end.last_words.c_str(), cluster_->plan().dir.c_str(), node.value);
}

/// Politely the first time; whoever asks again does not want to wait.
void Run::on_signal() {
  if (stopping_) {
    return cluster_->kill_all();
  }
  stop([] {});
}

void Run::stop(std::function<void()> stopped) {
  when_stopped_.push_back(std::move(stopped));
  if (stopping_) {
    return;
  }
  stopping_ = true;
  cluster_->stop([this] {
    for (const auto& tell : when_stopped_) {
      tell();
    }
    loop_.post([this] { loop_.stop(); });  // a turn later: what was told now is sent
  });
}

int run(const Settings& settings) {
  std::signal(SIGPIPE, SIG_IGN);
  host::raise_descriptor_limit();  // for the links, and for the replicas that inherit it
  const std::string& dir = settings.options.plan.dir;
  std::string why;
  std::error_code failure;
  std::filesystem::create_directories(dir, failure);
  if (failure) {
    return fail(dir + ": " + failure.message());
  }
  if (cluster::connect_control(dir, why).open()) {
    return fail("a cluster runs in " + dir + " already");
  }
  const auto guard =
      cluster::ProcessGuard::start(dir + "/" + std::string{cluster::control_socket_name}, why);
  const auto loop = sockets::EventLoop::open(why);
  if (!guard || !loop) {
    return fail(why);
  }
  const auto log =
      host::Log::open({.path = dir + "/logs/cluster.log",
                       .context = "phase=" + std::to_string(settings.phase) + " process=cluster"},
                      why);
  if (!log) {
    return fail(why);
  }
  return Run{*loop, *guard, *log}.play(settings.options);
}

}  // namespace

int cluster_command(int argc, const char* const* argv) {
  Arguments arguments = divide(argc, argv);
  Settings settings;
  settings.options.plan.server_flags = std::move(arguments.server);
  host::Flags flags{"quintet cluster",
                    "Runs the replicas of a phase as processes, in the foreground. Flags that are "
                    "not its own are handed on to each server."};
  declare(flags, settings);
  std::vector<const char*> own{"cluster"};
  for (const std::string& word : arguments.own) {
    own.push_back(word.c_str());
  }
  if (const auto exit_code = flags.parse(static_cast<int>(own.size()), own.data())) {
    return *exit_code;
  }
  return run(settings);
}

}  // namespace kv::tools
