#include "phase2_rpc/replica_server.h"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <utility>

#include "common/core/random.h"
#include "common/host/clock.h"
#include "common/host/disk.h"
#include "common/host/log.h"
#include "common/host/server_process.h"
#include "common/kv/roles.h"
#include "common/wire/logfmt.h"
#include "phase1_sockets/front_door.h"
#include "phase1_sockets/listen.h"
#include "phase2_rpc/access_log.h"
#include "phase2_rpc/cluster_secret.h"
#include "phase2_rpc/kv_skeleton.h"
#include "phase2_rpc/member_methods.h"
#include "phase2_rpc/peer_transport.h"
#include "phase2_rpc/replica_figures.h"
#include "phase2_rpc/replica_recorder.h"
#include "phase2_rpc/rpc_metrics.h"
#include "phase2_rpc/rpc_server.h"
#include "phase2_rpc/server_methods.h"

namespace kv::rpc {
namespace {

using wire::LogFields;

constexpr Duration farewell_patience = std::chrono::milliseconds{500};

std::string why_no_role(const ReplicaProgram& program, const ReplicaFlags& flags) {
  for (const host::RoleFailure& failure : flags.server.failures) {
    if (failure.role != "all" &&
        std::ranges::find(program.roles, failure.role) == program.roles.end()) {
      std::string known;
      for (const std::string& role : program.roles) {
        known += role + ", ";
      }
      return "--fail: " + program.name + " has no role " + failure.role + ", but " + known + "all";
    }
  }
  return {};
}

/// What peers compare before they speak.
std::string alike(const ReplicaProgram& program) {
  const std::string choices = program.choices();
  const std::string manners = program.manners();
  return choices + (choices.empty() || manners.empty() ? "" : " ") + manners;
}

/// Who founds the cluster.
std::vector<NodeId> founders_of(const host::ServerFlags& server) {
  std::vector<NodeId> nodes;
  if (!server.joins) {
    nodes.push_back(server.node);
  }
  for (const host::Peer& peer : server.peers) {
    if (peer.node != server.node) {
      nodes.push_back(peer.node);
    }
  }
  std::ranges::sort(nodes);
  return nodes;
}

/// As it stands in the data directory.
std::string founders_text(const host::ServerFlags& server) {
  std::string text;
  for (const NodeId node : founders_of(server)) {
    text += (text.empty() ? "nodes " : ",") + std::to_string(node.value);
  }
  return server.joins ? "a cluster that this node joins" : text;
}

/// The node's own way to each; --routes before --peers.
std::vector<host::Peer> routes_of(const host::ServerFlags& server) {
  std::vector<host::Peer> routes = server.routes;
  for (const host::Peer& peer : server.peers) {
    if (std::ranges::find(routes, peer.node, &host::Peer::node) == routes.end()) {
      routes.push_back(peer);
    }
  }
  return routes;
}

std::string log_context(const ReplicaProgram& program, const host::ServerFlags& server) {
  return "phase=" + std::to_string(static_cast<int>(program.phase)) +
         " node=" + std::to_string(server.node.value);
}

/// /status also tells who leads: `quintet ctl kill leader` asks there.
ReplicaProgram with_roles(ReplicaProgram program) {
  program.gauges.push_back({.name = "plays_leader",
                            .help = "Whether this replica drives the others",
                            .read =
                                [](const Replica& replica) {
                                  const auto* const roles = dynamic_cast<const Roles*>(&replica);
                                  return roles != nullptr && roles->plays("leader") ? 1.0 : 0.0;
                                },
                            .always_fresh = true});
  return program;
}

}  // namespace

void declare(host::Flags& flags, const ReplicaProgram& program, ReplicaFlags& target) {
  host::add_server_flags(flags, program.phase, target.server, program.roles);
  flags.add("--cluster", target.cluster, "its name: replicas of another one are refused", "NAME");
  flags.add("--cluster-secret", target.secret_file,
            "what is in this file every replica must prove to know", "FILE");
  add_security_flags(flags, target.security);
  flags.add("--connections-max", target.connections_max, {.least = 1},
            "connections at once, of TCP and of RPC; more are refused");
  flags.add("--snapshot-every", target.snapshot_every, "bytes of journal between two snapshots");
  flags.finally([&]() -> std::string {
    return target.snapshot_every.value == 0
               ? "--snapshot-every: 0 would be a snapshot after each record; say 1MiB, 256MiB …"
               : "";
  });
  flags.add("--answer-timeout", target.answer_patience,
            "until a request that is not answered gets UNKNOWN or UNAVAILABLE");
  flags.add("--drain-timeout", target.drain_patience,
            "after SIGTERM: to answer what has arrived and send it");
  flags.add("--record", target.record, "write every input of the replica there, for quintet replay",
            "DIR");
  program.add_flags(flags);
  flags.finally([&] { return why_no_role(program, target); });
  flags.finally([&]() -> std::string {
    return target.server.joins && !program.members_change
               ? "--join: the members of " + program.name + " cannot change"
               : "";
  });
}

// --- the parts -----------------------------------------------------------------------------------

/// In the order in which they are made; they end the other way round.
struct ReplicaServer::Parts {
  Parts(const ReplicaProgram& its_program, const ReplicaFlags& its_flags)
      : program(with_roles(its_program)),
        flags(its_flags),
        dispatcher([] { return host::run_now(); }, [](auto&&) { return false; }) {}

  bool open_log(std::string& why);
  bool take_ports(std::string& why);
  bool open_replica(std::string& why);
  bool open_doors(std::string& why);
  host::ReplicaHost::Options host_options(Random& chance) const;
  sockets::FrontDoorOptions door_options() const;
  std::vector<NodeId> peers_now() const;
  RpcServer::Options rpc_options() const;
  void note(const LogFields& fields) { access->write(Level::info, fields.text()); }

  const ReplicaProgram program;
  const ReplicaFlags flags;
  std::string secret;
  std::unique_ptr<host::Log> log;
  std::unique_ptr<AccessLog> access;
  host::SystemDisk disk;
  Dispatcher dispatcher;
  std::unique_ptr<RpcPeerTransport> transport;
  std::unique_ptr<host::ReplicaHost> host;
  std::unique_ptr<RpcServer> rpc;
  std::unique_ptr<sockets::FrontDoor> door;
};

bool ReplicaServer::Parts::open_log(std::string& why) {
  log = host::Log::open({.path = flags.server.log,
                         .context = log_context(program, flags.server),
                         .level = flags.server.log_level},
                        why);
  if (!log) {
    return false;
  }
  access = std::make_unique<AccessLog>(*log);
  return read_secret(flags.secret_file, secret, why);
}

/// Before anything is written: a replica that cannot be reached must not leave a data directory
/// behind, nor have told others of its disk. The front door's are given back: it opens behind the
/// replica.
bool ReplicaServer::Parts::take_ports(std::string& why) {
  rpc = std::make_unique<RpcServer>(
      rpc_options(), dispatcher,
      [this](Level level, std::string_view fields) { access->write(level, fields); });
  if (!flags.server.rpc.off) {
    why = rpc->bind();
  }
  for (const host::Endpoint& each : {flags.server.tcp, flags.server.http}) {
    if (why.empty() && !each.off) {
      sockets::listen_tcp(each, why);
    }
  }
  if (why.empty() && !flags.server.udp.off) {
    sockets::bind_udp(flags.server.udp, 1, why);
  }
  return why.empty();
}

bool ReplicaServer::Parts::open_replica(std::string& why) {
  const host::ServerFlags& server = flags.server;
  const std::uint64_t seed = host::seed_or_drawn(server.seed);
  Random chance{seed};
  for (std::uint32_t i = 0; i < server.node.value; ++i) {
    chance = Random{chance.next()};  // one --seed for a whole cluster is none for all its nodes
  }
  const std::vector<NodeId> nodes = founders_of(server);
  std::shared_ptr<boost::asio::ssl::context> tls;
  if (flags.security.tls.wanted() && !(tls = open_tls(flags.security.tls, TlsSide::client, why))) {
    return false;
  }
  note(LogFields{}
           .add("event", "started")
           .add("version", QUINTET_VERSION)
           .add("nodes", nodes.size())
           .add("cluster", flags.cluster)
           .add("secret", secret.empty() ? "none" : "given")
           .add("tls", tls ? "mutual" : "none")
           .add("sync", server.sync)
           .add("data", server.data)
           .add("seed", seed));
  transport = std::make_unique<RpcPeerTransport>(
      RpcPeerTransport::Options{.self = server.node,
                                .cluster = flags.cluster,
                                .founders = server.joins ? std::vector<NodeId>{} : nodes,
                                .choices = alike(program),
                                .routes = routes_of(server),
                                .secret = secret,
                                .tls = tls,
                                .seed = chance.next()},
      dispatcher, [this](Level level, std::string_view fields) { access->write(level, fields); });
  transport->know(server.peers);
  host = host::ReplicaHost::start(program.make({.self = server.node,
                                                .nodes = nodes,
                                                .seed = chance.next(),
                                                .note_level = server.log_level}),
                                  disk, *transport, *log, host_options(chance), why);
  return host != nullptr;
}

host::ReplicaHost::Options ReplicaServer::Parts::host_options(Random& chance) const {
  const host::ServerFlags& server = flags.server;
  return {.self = server.node,
          .owner = log_context(program, server) + " cluster=" + flags.cluster,
          .founders = founders_text(server),
          .choices = program.choices(),
          .directory = server.data,
          .journal_id = chance.next(),
          .sync = server.sync == "never" ? host::Journal::Sync::never : host::Journal::Sync::always,
          .segment_bytes = flags.segment_bytes,
          .patience = flags.answer_patience,
          .drain_patience = flags.drain_patience,
          .snapshot_every_bytes = flags.snapshot_every.value,
          .gauges = program.gauges,
          .serving = program.serving,
          .failures = server.failures,
          .roles = program.roles,
          .failure_seed = chance.next()};
}

RpcServer::Options ReplicaServer::Parts::rpc_options() const {
  RpcServer::Options options;
  options.listen = flags.server.rpc;
  options.connections_max = flags.connections_max;
  options.tls = flags.security.tls;
  options.insecure = flags.security.insecure;
  options.secret = secret;
  options.core.memory = flags.cluster;  // replicas remember operations for each other
  return options;
}

/// Whom it speaks to: the members, or, where they never change, the founders.
std::vector<NodeId> ReplicaServer::Parts::peers_now() const {
  std::vector<NodeId> peers;
  for (const Member& member : host->members().members) {
    peers.push_back(member.node);
  }
  if (peers.empty()) {
    peers = founders_of(flags.server);
  }
  std::erase(peers, flags.server.node);
  return peers;
}

sockets::FrontDoorOptions ReplicaServer::Parts::door_options() const {
  sockets::FrontDoorOptions options;
  options.tcp = flags.server.tcp;
  options.udp = flags.server.udp;
  options.http = flags.server.http;
  options.connections_max = flags.connections_max;
  options.drain_patience = flags.drain_patience;
  // The microsecond of this life's begin, and 4096 names for each until the next one's.
  options.names_from = static_cast<std::uint64_t>(host::wall_now().time_since_epoch().count())
                       << 12;
  options.more_figures = [this](std::vector<host::Figure>& figures) {
    append_replica_figures(*host, program.gauges, *transport, peers_now(), figures);
    append_figures(dispatcher, *rpc, figures);
  };
  return options;
}

bool ReplicaServer::Parts::open_doors(std::string& why) {
  serve_service(dispatcher, *host);
  serve_members(dispatcher, *host, secret.empty() ? Callers::all : Callers::trusted);
  serve_server_methods(dispatcher, [this] { return host->healthy(); });
  access->attach(dispatcher);
  door = sockets::FrontDoor::open(*host, *log, door_options(), why);
  if (!door) {
    return false;
  }
  if (!flags.server.rpc.off) {
    why = rpc->start();
  }
  if (!why.empty()) {
    return false;
  }
  door->start();
  return true;
}

// --- the server ----------------------------------------------------------------------------------

std::unique_ptr<ReplicaServer> ReplicaServer::start(const ReplicaProgram& program,
                                                    const ReplicaFlags& flags, std::string& why) {
  std::unique_ptr<ReplicaServer> server{new ReplicaServer{std::make_unique<Parts>(program, flags)}};
  Parts& parts = *server->parts_;
  if (!parts.open_log(why)) {
    return nullptr;
  }
  if (!parts.take_ports(why) || !parts.open_replica(why) || !parts.open_doors(why)) {
    parts.access->write(Level::error,
                        LogFields{}.add("event", "not_started").add("why", why).text());
    return nullptr;
  }
  parts.note(LogFields{}.add("event", "ready").add("at", server->ready_line()));
  return server;
}

ReplicaServer::ReplicaServer(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

ReplicaServer::~ReplicaServer() {
  stop();
}

/// The clients first, while peers still help to answer them.
void ReplicaServer::stop() {
  if (parts_->door) {
    parts_->door->stop();
  }
  if (parts_->host) {
    parts_->host->stop();
  }
  if (parts_->rpc) {
    parts_->rpc->stop(farewell_patience);
  }
}

std::string ReplicaServer::ready_line() const {
  return parts_->door->ready_line() +
         " rpc=" + (parts_->flags.server.rpc.off ? "off" : host::to_text(parts_->rpc->address()));
}

host::SocketAddress ReplicaServer::tcp() const {
  return parts_->door->tcp();
}

host::SocketAddress ReplicaServer::http() const {
  return parts_->door->http();
}

host::ReplicaHost& ReplicaServer::host() {
  return *parts_->host;
}

bool ReplicaServer::connected(NodeId peer) const {
  return parts_->transport->connected(peer);
}

int run_replica_server(const ReplicaProgram& program, int argc, char** argv) {
  ReplicaFlags settings;
  ReplayFlags again;
  host::Flags flags{program.name, program.purpose};
  declare(flags, program, settings);
  flags.add("--replay", again.file, "instead of serving: what quintet replay asks for", "FILE");
  flags.add("--until", again.until, "of a replay: its last request", "OP");
  flags.add_switch("--trap", again.trap, "of a replay: stop in the debugger before that");
  if (const auto exit_code = flags.parse(argc, argv)) {
    return *exit_code;
  }
  if (!again.file.empty()) {
    return replay_recording(program, again);
  }
  host::open_standard_descriptors();
  const host::EndSignals ends;
  host::raise_descriptor_limit();
  std::string why;
  const auto server = ReplicaServer::start(
      settings.record.empty()
          ? program
          : recording_program(program, settings.record, {argv + 1, argv + argc}),
      settings, why);
  if (!server) {
    std::fprintf(stderr, "%s: %s\n", program.name.c_str(), why.c_str());
    return 1;
  }
  const bool told = host::say_ready(server->ready_line(), why);
  if (told) {
    ends.wait();
  } else {
    std::fprintf(stderr, "%s: %s\n", program.name.c_str(), why.c_str());
  }
  server->stop();
  return told ? 0 : 1;
}

}  // namespace kv::rpc
