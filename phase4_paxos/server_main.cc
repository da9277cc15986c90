// phase4_server: a replica of the store under Multi-Paxos, behind the front door and RPC.
#include <chrono>
#include <memory>
#include <string>

#include "phase2_rpc/replica_server.h"
#include "phase4_paxos/paxos_replica.h"
#include "phase4_paxos/role_threads.h"

namespace {

using namespace kv;

/// What is asked of a replica, wherever its roles live.
template <typename Ask>
auto ask(const Replica& replica, Ask&& question) {
  if (const auto* const apart = dynamic_cast<const paxos::RolesApart*>(&replica)) {
    return question(*apart);
  }
  return question(static_cast<const paxos::PaxosReplica&>(replica));
}

/// Some round trips and syncs of one machine or one rack; nothing where a round trip is long.
constexpr Duration gather_default = std::chrono::milliseconds{2};

struct Settings {
  paxos::PaxosOptions paxos;
  std::string memory = "durable";
  std::string leader = "one";
  std::string reads = "majority";
  bool colocate = false;
};

void add_flags(host::Flags& flags, Settings& settings) {
  flags.add_choice("--acceptor", settings.memory, {"durable", "diskless"},
                   "what an acceptor knows after a crash: what it wrote down before it spoke, or "
                   "what a majority of the others tells it (crash vectors); the same at all "
                   "replicas, for the life of their disks");
  flags.add_switch("--colocate", settings.colocate,
                   "all roles of this replica on one thread; else each has its own. So it is also "
                   "with --record");
  flags.add_choice("--leader", settings.leader, {"one", "none"},
                   "none: each replica proposes for its own clients, and proposers duel; "
                   "at all replicas the same");
  flags.add_choice(
      "--reads", settings.reads, {"majority", "lease"},
      "lease: the leader answers reads without asking a majority, for as long as they "
      "have promised to follow nobody else. TRUSTS THE CLOCKS: none may be off by more "
      "than 5 % of what passes, or jump. At all replicas the same");
  flags.add("--back-off", settings.paxos.back_off,
            "with --leader none: how long a proposer that lost waits before its next ballot, at "
            "first; 0 shows the live-lock");
  flags.add("--election-min", settings.paxos.election_min,
            "a proposer that heard no leader for this long, or a little longer, runs for it");
  flags.add("--election-max", settings.paxos.election_max, "how much longer at most, in all");
  flags.add("--beat", settings.paxos.beat_every, "how often a leader that is idle says so");
  flags.add("--pipeline", settings.paxos.pipeline_slots, {.least = 1, .most = 1024},
            "slots that are proposed and not yet chosen; commands gather meanwhile");
  settings.paxos.gather = gather_default;
  flags.add("--gather", settings.paxos.gather,
            "how long commands wait at most for the slot before theirs; a lone one never does");
  flags.finally([&settings]() -> std::string {
    settings.paxos.acceptor = settings.memory == "durable" ? paxos::AcceptorMemory::durable
                                                           : paxos::AcceptorMemory::diskless;
    settings.paxos.leadership =
        settings.leader == "one" ? paxos::Leadership::one : paxos::Leadership::none;
    settings.paxos.reads =
        settings.reads == "lease" ? paxos::ReadsBy::lease : paxos::ReadsBy::majority;
    if (settings.paxos.reads == paxos::ReadsBy::lease &&
        settings.paxos.leadership == paxos::Leadership::none) {
      return "--reads lease is for a leader: it cannot be had with --leader none";
    }
    if (settings.paxos.election_max < settings.paxos.election_min ||
        settings.paxos.election_min <= 2 * settings.paxos.beat_every) {
      return "--election-min must be more than two --beat and not above --election-max";
    }
    return {};
  });
}

std::unique_ptr<Replica> make(const rpc::ReplicaSettings& given, const Settings& settings) {
  paxos::PaxosOptions options = settings.paxos;
  options.seed = given.seed;
  options.note_level = given.note_level;
  if (settings.colocate || given.recorded) {
    return std::make_unique<paxos::PaxosReplica>(given.self, given.nodes, options);
  }
  return std::make_unique<paxos::RoleThreads>(given.self, given.nodes, options);
}

}  // namespace

int main(int argc, char** argv) {
  Settings settings;
  return rpc::run_replica_server(
      {.name = "phase4_server",
       .purpose = "A replica of a key-value store, by Multi-Paxos.",
       .phase = host::Phase::paxos,
       .add_flags = [&](host::Flags& flags) { add_flags(flags, settings); },
       .make = [&](const rpc::ReplicaSettings& given) { return make(given, settings); },
       .roles = {"proposer", "acceptor", "learner"},
       .gauges = {{"paxos_leads", "1 if a majority has promised this replica's ballot",
                   [](const Replica& replica) {
                     return ask(replica, [](const auto& paxos) { return paxos.plays("leader"); });
                   }},
                  {"paxos_round", "the round of the greatest leader's ballot that was heard here",
                   [](const Replica& replica) {
                     return static_cast<double>(
                         ask(replica, [](const auto& paxos) { return paxos.round(); }));
                   },
                   /*always_fresh=*/true},
                  {"paxos_slot_applied", "the last slot that this replica has applied",
                   [](const Replica& replica) {
                     return static_cast<double>(
                         ask(replica, [](const auto& paxos) { return paxos.applied().value; }));
                   }}},
       .serving =
           [](const Replica& replica) {
             return ask(replica, [](const auto& paxos) { return paxos.serves(); });
           },
       .members_change = true,
       .choices = [&settings] { return "--acceptor " + settings.memory; },
       .manners = [&settings] { return "--leader " + settings.leader; }},
      argc, argv);
}
