// phase1_server: one store behind the front door. Only wires.
#include <algorithm>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/host/log.h"
#include "common/host/server_flags.h"
#include "common/host/server_process.h"
#include "common/wire/logfmt.h"
#include "phase1_sockets/front_door.h"
#include "phase1_sockets/once_service.h"
#include "phase1_sockets/store_service.h"

namespace kv::sockets {
namespace {

struct Settings {
  host::ServerFlags server;
  FrontDoorOptions door;
  std::uint64_t connections_max = 0;
  std::uint64_t udp_answer_bytes_max = 0;
  host::ByteCount output_bytes_max;
};

void declare(host::Flags& flags, Settings& settings) {
  FrontDoorOptions& door = settings.door;
  settings.connections_max = door.connections_max;
  settings.output_bytes_max.value = door.tcp_limits.output_bytes_max;
  host::add_server_flags(flags, host::Phase::sockets, settings.server);
  flags.add_switch("--legacy", door.udp_legacy,
                   "UDP requests without an @ID are the original course's bare text");
  flags.add("--connections-max", settings.connections_max, {.least = 1},
            "TCP connections at once; more are refused");
  flags.add("--output-max", settings.output_bytes_max,
            "output that may wait for one client before its requests are left unread");
  flags.add("--udp-answer-max", settings.udp_answer_bytes_max,
            {.least = 0, .most = datagram_bytes_max},
            "bytes of a UDP answer, more become an ERROR; 0: 65507 on loopback, else 1400");
  flags.add("--request-timeout", door.request_patience,
            "from a request's first byte to its last; 0s: for ever");
  flags.add("--write-timeout", door.progress_patience,
            "until a client takes some of its answers; 0s: for ever");
  flags.add("--idle-timeout", door.idle_patience, "between requests; 0s: for ever");
  flags.add("--drain-timeout", door.drain_patience,
            "after SIGTERM: to answer what has arrived and send it");
}

/// The store and the services before it, in the form that the number of threads asks for.
struct Backend {
  Backend(std::size_t threads, std::uint64_t seed) {
    if (threads == 1) {
      single = std::make_unique<Store>(seed);
      service = std::make_unique<StoreService>(*single);
    } else {
      sharded =
          std::make_unique<ShardedStore>(std::min(16 * threads, ShardedStore::shards_max), seed);
      service = std::make_unique<ShardedStoreService>(*sharded);
    }
    OnceService::Options options;
    options.seed = ~seed;
    once = std::make_unique<OnceService>(*service, options);
  }

  std::vector<Gauge> gauges() const {
    return {{"items", "Keys in the store", [this] { return items(); }},
            {"store_bytes", "Memory of the store", [this] { return bytes(); }},
            {"remembered_ids", "Operations whose ID and answer are kept",
             [this] { return static_cast<double>(once->entries()); }}};
  }
  double items() const { return static_cast<double>(single ? single->size() : sharded->size()); }
  double bytes() const {
    return static_cast<double>(single ? single->memory_bytes() : sharded->memory_bytes());
  }

  std::unique_ptr<Store> single;  // lane 0 is the only thread then, and the gauges' too
  std::unique_ptr<ShardedStore> sharded;
  std::unique_ptr<Service> service;
  std::unique_ptr<OnceService> once;
};

int fail(const std::string& why) {
  std::fprintf(stderr, "phase1_server: %s\n", why.c_str());
  return 1;
}

int run(Settings& settings) {
  host::open_standard_descriptors();
  const host::EndSignals ends;
  host::raise_descriptor_limit();
  std::string why;
  const std::unique_ptr<host::Log> log = host::Log::open(
      {.path = settings.server.log, .context = "phase=1", .level = settings.server.log_level}, why);
  if (!log) {
    return fail(why);
  }
  const std::uint64_t seed = host::seed_or_drawn(settings.server.seed);
  const Backend backend{settings.server.threads, seed};
  {
    wire::LogFields line;
    line.add("event", "started").add("version", QUINTET_VERSION);
    line.add("threads", settings.server.threads).add("seed", seed);
    host::LogWriter{*log}.write(Level::info, line.text());
  }
  settings.door.gauges = backend.gauges();
  const std::unique_ptr<FrontDoor> door = FrontDoor::open(*backend.once, *log, settings.door, why);
  if (!door) {
    return fail(why);
  }
  door->start();
  const bool told = host::say_ready(door->ready_line(), why);
  if (told) {
    ends.wait();
  }
  door->stop();
  return told ? 0 : fail(why);
}

}  // namespace
}  // namespace kv::sockets

int main(int argc, char** argv) {
  using namespace kv;
  sockets::Settings settings;
  host::Flags flags{"phase1_server", "A key-value store over TCP and UDP."};
  sockets::declare(flags, settings);
  if (const auto exit_code = flags.parse(argc, argv)) {
    return *exit_code;
  }
  settings.door.tcp = settings.server.tcp;
  settings.door.udp = settings.server.udp;
  settings.door.http = settings.server.http;
  settings.door.threads = settings.server.threads;
  settings.door.connections_max = settings.connections_max;
  settings.door.udp_answer_bytes_max = settings.udp_answer_bytes_max;
  settings.door.tcp_limits.output_bytes_max = settings.output_bytes_max.value;
  return sockets::run(settings);
}
