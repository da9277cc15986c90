// phase5_server: the store on Raft, on real sockets and a real disk. Only wires.
#include <algorithm>
#include <memory>

#include "phase2_rpc/replica_server.h"
#include "phase5_raft/raft_replica.h"

namespace kv::raft {
namespace {

constexpr Duration election_timeout_min = std::chrono::milliseconds{20};

/// Some round trips and syncs of one machine or one rack; nothing where a round trip is long.
constexpr Duration gather_default = std::chrono::milliseconds{2};

void add_flags(host::Flags& flags, RaftReplicaOptions& options) {
  options.gather = gather_default;
  flags.add("--gather", options.gather,
            "how long commands wait at most for those before theirs to be committed; a lone one "
            "never does");
  flags.add("--election-timeout", options.election_timeout,
            "how long a follower hears no leader, to twice this long, before it asks for votes; "
            "heartbeats come eight times as often");
  flags.finally([&options]() -> std::string {
    return options.election_timeout < election_timeout_min ? "--election-timeout: 20ms is the least"
                                                           : "";
  });
}

std::unique_ptr<Replica> make(const rpc::ReplicaSettings& settings, RaftReplicaOptions options) {
  options.heartbeat_every = options.election_timeout / 8;
  options.seed = settings.seed;
  options.note_level = settings.note_level;
  return std::make_unique<RaftReplica>(settings.self, settings.nodes, options);
}

const RaftLife* life_of(const Replica& replica) {
  return dynamic_cast<const RaftReplica&>(replica).life();
}

/// A gauge of the role's life; 0 while it is dead.
template <typename Read>
std::function<double(const Replica&)> gauge(Read read) {
  return [read](const Replica& replica) {
    const RaftLife* life = life_of(replica);
    return life == nullptr ? 0.0 : static_cast<double>(read(*life));
  };
}

std::vector<host::ReplicaGauge> gauges() {
  return {
      {"raft_term", "The current term.",
       gauge([](const RaftLife& life) { return life.raft().term().value; }),
       true},  // by it `quintet ctl` knows which of two leaders is the new one
      {"raft_leader", "Who leads in it, as far as is known; 0: nobody.",
       gauge([](const RaftLife& life) { return life.raft().leader().value; })},
      {"raft_last_index", "The last place in the log.",
       gauge([](const RaftLife& life) { return life.raft().log().last().value; })},
      {"raft_commit_index", "How far it is committed, and applied.",
       gauge([](const RaftLife& life) { return life.raft().commit().value; })},
      {"raft_voters", "How many vote, by the last configuration in the log.",
       gauge([](const RaftLife& life) { return life.raft().membership().voters.size(); })},
      {"raft_log_bytes", "Of the log that is in memory.",
       gauge([](const RaftLife& life) { return life.raft().log().bytes(); })},
  };
}

/// A write could succeed: somebody leads, and this replica's state is the leader's.
bool serving(const Replica& replica) {
  const RaftLife* life = life_of(replica);
  return life != nullptr && life->raft().leader().value != 0 && !life->diverged();
}

}  // namespace
}  // namespace kv::raft

int main(int argc, char** argv) {
  namespace raft = kv::raft;
  raft::RaftReplicaOptions options;
  return kv::rpc::run_replica_server(
      {.name = "phase5_server",
       .purpose = "A replica of a key-value store, by Raft.",
       .phase = kv::host::Phase::raft,
       .add_flags = [&](kv::host::Flags& flags) { raft::add_flags(flags, options); },
       .make = [&](const kv::rpc::ReplicaSettings& each) { return raft::make(each, options); },
       .roles = {"raft"},
       .gauges = raft::gauges(),
       .serving = raft::serving,
       .members_change = true},
      argc, argv);
}
