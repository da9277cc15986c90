#include "tools/bench_command.h"

#include <fmt/format.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <memory>
#include <optional>
#include <utility>

#include "common/host/flags.h"
#include "common/kv/command.h"
#include "tools/load_connections.h"
#include "tools/load_json.h"
#include "tools/load_process.h"
#include "tools/load_socket.h"
#include "tools/load_udp.h"

namespace kv::tools {
namespace {

using load::Dialect;
using load::Json;
using load::Outcome;
using load::Plan;
using load::Transport;

constexpr int exit_failed = 1;
constexpr double seconds_max = 1e6;
constexpr std::uint64_t keys_max = 1'000'000'000;
constexpr std::uint64_t rate_max = 100'000'000;
constexpr std::uint64_t connections_max = 10'000'000;
// memcached cuts longer answers into several datagrams.
constexpr std::size_t memcache_udp_value_bytes_max = 1300;
constexpr std::size_t request_frame_bytes_max = 512;

struct Settings {
  Plan plan;
  std::optional<std::uint64_t> requests_max;
  bool fill_only = false;
  bool no_fill = false;
  std::uint64_t idle = 0;     // connections to hold, instead of load
  std::uint64_t accepts = 0;  // connections to open and close, instead of load
  std::uint64_t watched_pid = 0;
  std::string progress = "auto";
  std::string skew = "even";
};

std::string read_seconds(std::string_view text, double& seconds) {
  double read = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), read);
  if (failure != std::errc{} || end != text.data() + text.size() || !(read >= 0) ||
      read > seconds_max) {
    return "'" + std::string{text} + "' is no number of seconds";
  }
  seconds = read;
  return {};
}

std::string record_error(Settings& settings) {
  Plan& plan = settings.plan;
  if (plan.history.empty()) {
    return plan.mix.deletes_percent + plan.mix.swaps_percent + plan.readers > 0 || plan.read_back
               ? "--deletes, --swaps, --readers and --read-back need --history"
               : "";
  }
  settings.no_fill = true;
  if (plan.mix.dialect != Dialect::line || plan.mix.transport == Transport::rpc) {
    return "--history: only over the line protocol";
  }
  if (plan.depth != 1) {
    return "--history: a client has one operation under way, --depth 1";
  }
  return plan.mix.gets_percent + plan.mix.deletes_percent + plan.mix.swaps_percent > 100
             ? "--gets, --deletes and --swaps are more than 100 together"
             : "";
}

std::string combination_error(Settings& settings) {
  Plan& plan = settings.plan;
  if (plan.target.endpoints.empty()) {
    return "--target is missing: say where, as in --target line://127.0.0.1:1111";
  }
  plan.mix.dialect = plan.target.dialect;
  plan.mix.transport = plan.target.transport;
  plan.requests_max = settings.requests_max.value_or(plan.requests_max);
  const bool line_like = plan.mix.dialect == Dialect::line || plan.mix.dialect == Dialect::echo;
  if (plan.mix.with_ids && !line_like) {
    return "--ids: only the line protocol has them";
  }
  if (plan.mix.transport == Transport::udp) {
    const std::size_t most = plan.mix.dialect == Dialect::memcache
                                 ? memcache_udp_value_bytes_max
                                 : load::datagram_bytes_max - request_frame_bytes_max;
    if (plan.mix.value_bytes > most) {
      return "--value: at most " + std::to_string(most) + " bytes fit into this target's datagrams";
    }
  }
  plan.mix.skew = settings.skew == "zipf" ? load::KeySkew::zipf : load::KeySkew::even;
  if (plan.mix.skew == load::KeySkew::zipf && plan.mix.keys > load::zipf_keys_max) {
    return "--skew zipf: at most " + std::to_string(load::zipf_keys_max) + " --keys";
  }
  if (std::string wrong = record_error(settings); !wrong.empty()) {
    return wrong;
  }
  if (settings.idle + settings.accepts > 0 && plan.mix.transport == Transport::udp) {
    return "--idle and --accepts: UDP has no connections";
  }
  if (settings.idle + settings.accepts > 0 && plan.mix.transport == Transport::rpc) {
    return "--idle and --accepts: not over RPC";
  }
  return settings.idle > 0 && settings.accepts > 0 ? "--idle or --accepts, not both" : "";
}

void declare_load(host::Flags& flags, Settings& settings) {
  Plan& plan = settings.plan;
  flags.add_value(
      "--target", "SCHEME://HOST:PORT[,...]", "",
      [&plan](std::string_view text) { return load::read_target(text, plan.target); },
      "whom to ask, and how: line, udp, rpc (Quintet); resp (Redis); memcache, memcache-udp; echo, "
      "echo-udp");
  flags.add("--clients", plan.clients, {1, load::clients_max}, "sockets, spread over the targets");
  flags.add("--depth", plan.depth, {1, load::depth_max},
            "requests a client sends at once; RPC: calls in flight");
  flags.add("--spin", plan.spin,
            "RPC: how long to look for the next answer before sleeping, at most; 0s: not at all");
  flags.add("--value", plan.mix.value_bytes, {1, value_bytes_max}, "bytes of each value");
  flags.add("--gets", plan.mix.gets_percent, {0, 100}, "percent of GETs; the rest are PUTs");
  flags.add("--keys", plan.mix.keys, {1, keys_max}, "different keys");
  flags.add_choice("--skew", settings.skew, {"even", "zipf"},
                   "how keys are drawn: all alike, or a few of them most of the time");
  flags.add_value(
      "--seconds", "SECONDS", "5",
      [&plan](std::string_view text) { return read_seconds(text, plan.seconds); },
      "how long to run");
  flags.add("--ops", settings.requests_max, "end after that many requests, if that is sooner");
  flags.add("--rate", plan.rate, {0, rate_max},
            "requests a second (open loop: latency counts from when a request was due); 0: as "
            "fast as they are answered");
  flags.add("--seed", plan.mix.seed, {}, "of the keys drawn");
  flags.add_switch("--ids", plan.mix.with_ids, "give each request an ID of its own");
}

void declare_record(host::Flags& flags, Settings& settings) {
  Plan& plan = settings.plan;
  flags.add("--history", plan.history,
            "record every operation for `quintet check`: unique values, keys of this run alone; "
            "goes on with the next target when a server dies (line, udp)",
            "FILE");
  flags.add("--deletes", plan.mix.deletes_percent, {0, 100}, "recorded: percent of DELETEs");
  flags.add("--swaps", plan.mix.swaps_percent, {0, 100}, "recorded: percent of CAS");
  flags.add("--readers", plan.readers, {0, load::clients_max},
            "recorded: so many of the clients only read, so that no write holds up a read");
  flags.add("--attempt-timeout", plan.attempt_patience,
            "recorded: then the operation is asked again elsewhere, until --timeout");
  flags.add_switch("--read-back", plan.read_back,
                   "recorded: at the end read every key from every target");
  flags.add_choice("--progress", settings.progress, {"auto", "always", "never"},
                   "a line that tells how it goes; auto: on a terminal");
}

void declare_rest(host::Flags& flags, Settings& settings) {
  flags.add("--timeout", settings.plan.patience,
            "how long to wait for answers after the end; UDP: for each");
  flags.add("--retransmit-after", settings.plan.retransmit_after,
            "UDP: when to ask again without an answer");
  flags.add_switch("--no-fill", settings.no_fill, "do not put every key once before");
  flags.add_switch("--fill-only", settings.fill_only, "put every key once, and end");
  flags.add("--idle", settings.idle, {0, connections_max},
            "instead: hold that many connections for --seconds");
  flags.add("--accepts", settings.accepts, {0, connections_max},
            "instead: open and close that many, --clients at a time, evenly over --seconds");
  flags.add("--watch", settings.watched_pid, {0, INT32_MAX},
            "the server's process: tell what memory it has and what processor time it uses");
  flags.finally([&settings] { return combination_error(settings); });
}

int fail(const std::string& why) {
  std::fprintf(stderr, "quintet bench: %s\n", why.c_str());
  return exit_failed;
}

void add_memory(Json& json, const Settings& settings, std::optional<std::uint64_t> before) {
  if (settings.watched_pid == 0) {
    return;
  }
  const auto after = load::resident_bytes(settings.watched_pid);
  json.add("resident_before_bytes", before.value_or(0));
  json.add("resident_after_bytes", after.value_or(0));
}

Json report(const Plan& plan, const Outcome& outcome) {
  Json json;
  json.add("target", to_text(plan.target));
  json.add("clients", plan.clients).add("depth", plan.depth).add("value", plan.mix.value_bytes);
  json.add("gets", plan.mix.gets_percent).add("keys", plan.mix.keys).add("rate", plan.rate);
  json.add("ids", plan.mix.with_ids).add("seconds", outcome.seconds).add("ops", outcome.ops);
  const double ops_per_s =
      outcome.seconds > 0 ? static_cast<double>(outcome.ops) / outcome.seconds : 0;
  json.add("ops_per_s", ops_per_s);
  const auto microseconds = [](load::Nanoseconds time) {
    return static_cast<double>(time.count()) * 1e-3;
  };
  json.add("mean_us", microseconds(outcome.latency.mean()));
  json.add("p50_us", microseconds(outcome.latency.quantile(0.5)));
  json.add("p99_us", microseconds(outcome.latency.quantile(0.99)));
  json.add("p999_us", microseconds(outcome.latency.quantile(0.999)));
  json.add("max_us", microseconds(outcome.latency.max()));
  json.add("errors", outcome.errors).add("unanswered", outcome.unanswered);
  json.add("not_started", outcome.not_started).add("unsolicited", outcome.unsolicited);
  json.add("retransmissions", outcome.retransmissions).add("reconnects", outcome.reconnects);
  json.add("aborted", outcome.aborted).add("unavailable", outcome.unavailable);
  json.add("unknown", outcome.unknown).add("read_back", outcome.read_back);
  json.add("read_back_failed", outcome.read_back_failed);
  return std::move(json.add("generator_busy", outcome.busy));
}

/// One line that is written over again and again, for people.
void show_progress(const Outcome& outcome) {
  const auto milliseconds = [](load::Nanoseconds time) {
    return static_cast<double>(time.count()) * 1e-6;
  };
  const double rate = outcome.seconds > 0 ? static_cast<double>(outcome.ops) / outcome.seconds : 0;
  const std::string line =
      fmt::format("{:6.1f} s {:>10} operations {:>9.0f}/s  p50 {:.2f} ms  p99 {:.2f} ms  errors {}",
                  outcome.seconds, outcome.ops, rate, milliseconds(outcome.latency.quantile(0.5)),
                  milliseconds(outcome.latency.quantile(0.99)), outcome.errors);
  std::fprintf(stderr, "\r%-100s", line.c_str());
}

int play(Settings& settings) {
  std::string why;
  const bool shown = settings.progress == "always" ||
                     (settings.progress == "auto" && ::isatty(STDERR_FILENO) == 1);
  if (shown) {
    settings.plan.progress = show_progress;
  }
  const auto before = load::resident_bytes(settings.watched_pid);
  const std::unique_ptr<load::Load> load = load::Load::connect(settings.plan, why);
  if (!load) {
    return fail(why);
  }
  Outcome outcome;
  if (!settings.no_fill) {
    outcome = load->fill();
    if (outcome.ops < settings.plan.mix.keys) {
      return fail(fmt::format("put only {} of {} keys: {}", outcome.ops, settings.plan.mix.keys,
                              outcome.first_error));
    }
  }
  const auto used_before = load::processor_time(settings.watched_pid);
  if (!settings.fill_only) {
    outcome = load->run();
  }
  if (shown) {
    std::fprintf(stderr, "\r%100s\r", "");
  }
  const auto used_after = load::processor_time(settings.watched_pid);
  if (!outcome.first_error.empty()) {
    std::fprintf(stderr, "quintet bench: first error: %s\n", outcome.first_error.c_str());
  }
  Json json = report(settings.plan, outcome);
  add_memory(json, settings, before);
  if (used_before && used_after && !settings.fill_only && outcome.ops > 0) {
    const double used = static_cast<double>((*used_after - *used_before).count()) * 1e-3;
    json.add("server_us_per_op", used / static_cast<double>(outcome.ops));
  }
  std::printf("%s\n", json.text().c_str());
  return outcome.history_lost
             ? fail(settings.plan.history + ": not all of the history could be written")
             : 0;
}

int play_connections(const Settings& settings) {
  std::string why;
  const auto before = load::resident_bytes(settings.watched_pid);
  const load::ConnectionPlan plan{.target = settings.plan.target,
                                  .connections = std::max(settings.idle, settings.accepts),
                                  .at_once = settings.plan.clients,
                                  .seconds = settings.plan.seconds,
                                  .patience = settings.plan.patience};
  Json json;
  json.add("target", to_text(plan.target)).add("connections", plan.connections);
  const auto measured = [&] { add_memory(json, settings, before); };
  const auto outcome = settings.idle > 0 ? load::hold_connections(plan, measured, why)
                                         : load::churn_connections(plan, why);
  if (!outcome) {
    return fail(why);
  }
  if (settings.accepts > 0) {
    measured();
  }
  json.add("served", outcome->served).add("errors", outcome->errors).add("lost", outcome->lost);
  json.add("seconds", outcome->seconds);
  if (!outcome->first_error.empty()) {
    std::fprintf(stderr, "quintet bench: first error: %s\n", outcome->first_error.c_str());
  }
  std::printf("%s\n", json.text().c_str());
  return 0;
}

}  // namespace

std::string to_json(const Plan& plan, const Outcome& outcome) {
  return report(plan, outcome).text();
}

int bench_command(int argc, const char* const* argv) {
  Settings settings;
  host::Flags flags{"quintet bench", "Puts load on a server and prints what came of it as JSON."};
  declare_load(flags, settings);
  declare_record(flags, settings);
  declare_rest(flags, settings);
  if (const auto exit_code = flags.parse(argc, argv)) {
    return *exit_code;
  }
  load::raise_file_limit();
  return settings.idle + settings.accepts > 0 ? play_connections(settings) : play(settings);
}

}  // namespace kv::tools
