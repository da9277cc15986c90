// The one server of phases 3 to 5: a replica on its journal, its peers and RPC clients behind the
// RPC server, every other client behind the front door of phase 1.
//
//   int main(int argc, char** argv) {
//     raft::Options options;
//     return rpc::run_replica_server(
//         {.name = "phase5_server",
//          .purpose = "A replica of a key-value store, by Raft.",
//          .phase = host::Phase::raft,
//          .add_flags = [&](host::Flags& flags) { raft::add_flags(flags, options); },
//          .make = [&](const rpc::ReplicaSettings& settings) { return …; },
//          .roles = {"raft"}},
//         argc, argv);
//   }
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/core/ids.h"
#include "common/core/level.h"
#include "common/host/address.h"
#include "common/host/replica_host.h"
#include "common/host/server_flags.h"
#include "common/kv/replica.h"
#include "phase2_rpc/tls.h"

namespace kv::rpc {

/// What a phase's replica is made of.
struct ReplicaSettings {
  NodeId self;
  std::vector<NodeId> nodes;  // who founds the cluster, in order; whoever is not among them joins
  std::uint64_t seed = 0;     // this life's and this node's own
  Level note_level = Level::info;
  bool recorded = false;  // --record, or a replay: the same calls must give the same effects
};

struct ReplicaProgram {
  std::string name;
  std::string purpose;
  host::Phase phase = host::Phase::two_phase;
  std::function<void(host::Flags&)> add_flags = [](host::Flags&) {};  // the phase's own
  std::function<std::unique_ptr<Replica>(const ReplicaSettings&)> make;
  std::vector<std::string> roles;               // that --fail may name, besides `all`
  std::vector<host::ReplicaGauge> gauges;       // for /metrics and /status
  std::function<bool(const Replica&)> serving;  // see ReplicaHost::Options
  bool members_change = false;                  // its Replica is a kv::Members
  /// What all replicas must have alike for the life of their disks, as on a command line; once it
  /// is parsed.
  std::function<std::string()> choices = [] { return std::string{}; };
  /// Likewise, but only while they run together.
  std::function<std::string()> manners = [] { return std::string{}; };
};

/// What the command line of a replica's server says.
struct ReplicaFlags {
  host::ServerFlags server;
  std::string cluster = "quintet";
  std::string secret_file;
  Security security;  // of RPC, for clients and peers alike
  std::uint64_t connections_max = 10'000;
  host::ByteCount snapshot_every{256 * 1024 * 1024};
  std::uint64_t segment_bytes = 32 * 1024 * 1024;  // of the journal's files; tests have less
  Duration answer_patience = std::chrono::seconds{5};
  Duration drain_patience = std::chrono::seconds{5};
  std::string record;  // a folder for recordings; empty: none
};

/// Declares them, and the program's own. Parsing refuses a role that the program does not have.
void declare(host::Flags& flags, const ReplicaProgram& program, ReplicaFlags& target);

/// Used from one thread.
class ReplicaServer {
 public:
  /// Serves when it returns. Nothing, and one line in `why`, if that is not possible: a port or the
  /// data directory is in use, the journal is damaged, the directory is another replica's ….
  static std::unique_ptr<ReplicaServer> start(const ReplicaProgram& program,
                                              const ReplicaFlags& flags, std::string& why);
  ReplicaServer(const ReplicaServer&) = delete;
  ReplicaServer& operator=(const ReplicaServer&) = delete;
  ~ReplicaServer();  // as stop()

  /// Takes in nothing more, answers what was taken in, and closes.
  void stop();

  /// `ready tcp=HOST:PORT udp=… http=… rpc=…`.
  std::string ready_line() const;
  host::SocketAddress tcp() const;
  host::SocketAddress http() const;
  host::ReplicaHost& host();
  bool connected(NodeId peer) const;

 private:
  struct Parts;
  explicit ReplicaServer(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

/// main(): reads the flags, serves until SIGTERM or SIGINT, drains. What the process exits with.
int run_replica_server(const ReplicaProgram& program, int argc, char** argv);

}  // namespace kv::rpc
