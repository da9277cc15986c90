// phase2_server: one store behind RPC, and behind the front door of phase 1 as well. Only wires.
#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "common/host/clock.h"
#include "common/host/log.h"
#include "common/host/server_flags.h"
#include "common/host/server_process.h"
#include "common/wire/logfmt.h"
#include "phase1_sockets/front_door.h"
#include "phase1_sockets/once_service.h"
#include "phase1_sockets/store_service.h"
#include "phase2_rpc/access_log.h"
#include "phase2_rpc/kv_skeleton.h"
#include "phase2_rpc/rpc_metrics.h"
#include "phase2_rpc/rpc_server.h"
#include "phase2_rpc/server_methods.h"
#include "phase2_rpc/spin.h"
#include "phase2_rpc/work_pool.h"

namespace kv::rpc {
namespace {

struct Settings {
  host::ServerFlags server;
  Security security;
  std::string handlers = "reading-thread";
  Duration spin = SpinHabit::spin_default;
  std::uint64_t queue_max = 100'000;
  std::uint64_t connections_max = 10'000;
  Duration drain_patience = std::chrono::seconds{5};
};

void declare(host::Flags& flags, Settings& settings) {
  host::add_server_flags(flags, host::Phase::rpc, settings.server);
  add_security_flags(flags, settings.security);
  flags.add_choice("--handlers", settings.handlers, {"reading-thread", "pool"},
                   "where the store's methods run: at once, or on --threads threads of a pool");
  flags.add("--spin", settings.spin,
            "how long, at most, an RPC thread looks for its next call before it sleeps, where that "
            "pays: quicker, at the price of processor time; 0s: not at all");
  flags.add("--queue-max", settings.queue_max, {.least = 1},
            "calls that may wait for the pool; more are refused");
  flags.add("--connections-max", settings.connections_max, {.least = 1},
            "connections at once, of TCP and of RPC; more are refused");
  flags.add("--drain-timeout", settings.drain_patience,
            "after SIGTERM: to answer what has arrived and send it");
}

/// The store, and what makes an operation with an ID happen once, over whatever it comes.
struct Backend {
  Backend(std::size_t threads, std::uint64_t seed)
      : store(std::clamp<std::size_t>(16 * threads, 16, ShardedStore::shards_max), seed),
        service(store),
        once(service, {.seed = ~seed}) {}

  std::vector<sockets::Gauge> gauges() const {
    return {{"items", "Keys in the store", [this] { return static_cast<double>(store.size()); }},
            {"store_bytes", "Memory of the store",
             [this] { return static_cast<double>(store.memory_bytes()); }},
            {"remembered_ids", "Operations whose ID and answer are kept",
             [this] { return static_cast<double>(once.entries()); }}};
  }

  ShardedStore store;
  sockets::ShardedStoreService service;
  sockets::OnceService once;
};

/// The RPC side: what a call passes through, the last first.
struct RpcSide {
  RpcSide(const Settings& settings, Service& service, host::Log& log)
      : access(log),
        dispatcher([] { return host::run_now(); },
                   [this](WorkPool::Work work) { return pool.offer(std::move(work)); }),
        pool(settings.server.threads, settings.queue_max),
        server({.listen = settings.server.rpc,
                .threads = settings.server.threads,
                .spin = settings.spin,
                .connections_max = settings.connections_max,
                .tls = settings.security.tls,
                .insecure = settings.security.insecure},
               dispatcher,
               [this](Level level, std::string_view fields) { access.write(level, fields); }) {
    serve_service(dispatcher, service,
                  settings.handlers == "pool" ? Where::pool : Where::reading_thread);
    serve_server_methods(dispatcher, [&service] { return service.healthy(); });
    access.attach(dispatcher);
  }

  std::string start(const host::Endpoint& where) {
    return where.off ? std::string{} : server.start();
  }
  std::string address(const host::Endpoint& where) const {
    return where.off ? "off" : host::to_text(server.address());
  }

  AccessLog access;
  Dispatcher dispatcher;
  WorkPool pool;  // finishes what it has taken before the dispatcher goes
  RpcServer server;
};

int fail(const std::string& why) {
  std::fprintf(stderr, "phase2_server: %s\n", why.c_str());
  return 1;
}

sockets::FrontDoorOptions door_options(const Settings& settings, const Backend& backend,
                                       const RpcSide& rpc) {
  sockets::FrontDoorOptions door;
  door.tcp = settings.server.tcp;
  door.udp = settings.server.udp;
  door.http = settings.server.http;
  door.threads = settings.server.threads;
  door.connections_max = settings.connections_max;
  door.drain_patience = settings.drain_patience;
  door.gauges = backend.gauges();
  door.more_figures = [&rpc](std::vector<host::Figure>& figures) {
    append_figures(rpc.dispatcher, rpc.server, figures);
  };
  return door;
}

int run(const Settings& settings) {
  host::open_standard_descriptors();
  const host::EndSignals ends;
  host::raise_descriptor_limit();
  std::string why;
  const std::unique_ptr<host::Log> log = host::Log::open(
      {.path = settings.server.log, .context = "phase=2", .level = settings.server.log_level}, why);
  if (!log) {
    return fail(why);
  }
  const std::uint64_t seed = host::seed_or_drawn(settings.server.seed);
  Backend backend{settings.server.threads, seed};
  RpcSide rpc{settings, backend.once, *log};
  rpc.access.write(Level::info, wire::LogFields{}
                                    .add("event", "started")
                                    .add("version", QUINTET_VERSION)
                                    .add("threads", settings.server.threads)
                                    .add("handlers", settings.handlers)
                                    .add("seed", seed)
                                    .text());
  const auto door =
      sockets::FrontDoor::open(backend.once, *log, door_options(settings, backend, rpc), why);
  if (!door) {
    return fail(why);
  }
  why = rpc.start(settings.server.rpc);
  if (!why.empty()) {
    return fail(why);
  }
  door->start();
  const std::string address = rpc.address(settings.server.rpc);
  rpc.access.write(Level::info, wire::LogFields{}
                                    .add("event", "listening")
                                    .add("rpc", address)
                                    .add("tls", settings.security.tls.wanted() ? "mutual" : "none")
                                    .text());
  const bool told = host::say_ready(door->ready_line() + " rpc=" + address, why);
  if (told) {
    ends.wait();
  }
  rpc.server.stop(settings.drain_patience);
  door->stop();
  return told ? 0 : fail(why);
}

}  // namespace
}  // namespace kv::rpc

int main(int argc, char** argv) {
  using namespace kv;
  rpc::Settings settings;
  host::Flags flags{"phase2_server", "A key-value store over RPC, TCP and UDP, multi-threaded."};
  rpc::declare(flags, settings);
  if (const auto exit_code = flags.parse(argc, argv)) {
    return *exit_code;
  }
  return rpc::run(settings);
}
