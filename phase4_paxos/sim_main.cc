// phase4_sim: replicas under Multi-Paxos in the simulator.
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "common/host/flags.h"
#include "common/sim/protocol.h"
#include "common/sim/runner.h"
#include "common/sim/runner_flags.h"
#include "phase4_paxos/invariants.h"
#include "phase4_paxos/late_roles.h"
#include "phase4_paxos/paxos_replica.h"

namespace {

using namespace kv;

class PaxosProtocol final : public sim::Protocol {
 public:
  PaxosProtocol(const paxos::PaxosOptions& options, bool apart)
      : options_(options), apart_(apart) {}

  std::unique_ptr<Replica> make(NodeId self, std::uint32_t nodes, std::uint64_t seed) override {
    std::vector<NodeId> members;
    for (std::uint32_t node = 1; node <= nodes; ++node) {
      members.push_back({node});
    }
    options_.seed = seed;
    invariants_.born(self);
    silent_.resize(nodes);
    if (apart_) {
      return std::make_unique<paxos::LateRoles>(self, std::move(members), options_);
    }
    return std::make_unique<paxos::PaxosReplica>(self, std::move(members), options_);
  }

  std::optional<sim::Violation> check(std::span<const Replica* const> replicas,
                                      NodeId stepped) override {
    replicas_.assign(replicas.size(), nullptr);
    const auto i = stepped.value - 1;
    replicas_[i] = dynamic_cast<const paxos::Watched*>(replicas[i]);
    if (replicas_[i] != nullptr) {
      silent_[i] = !replicas_[i]->acquaintance().born();
    }
    if (const auto broken = invariants_.check(replicas_, stepped)) {
      return sim::Violation{std::string{broken->invariant}, broken->detail};
    }
    return std::nullopt;
  }

  /// Without stable storage a cluster may rightly have stopped: more died than it can stand.
  bool serves_with(std::uint32_t up, std::uint32_t nodes) const override {
    const auto silent = static_cast<std::uint32_t>(std::ranges::count(silent_, true));
    return options_.acceptor == paxos::AcceptorMemory::durable && up >= nodes / 2 + 1 + silent;
  }

 private:
  paxos::PaxosOptions options_;
  paxos::Invariants invariants_;
  const bool apart_;
  std::vector<const paxos::Watched*> replicas_;
  std::vector<bool> silent_;  // not born yet, or never to be on its new disk
};

}  // namespace

int main(int argc, char** argv) {
  host::Flags flags{"phase4_sim", "Runs replicas under Multi-Paxos in the simulator."};
  sim::RunnerOptions options{.program = argv[0]};
  sim::add_runner_flags(flags, options);
  std::string memory = "durable";
  flags.add_choice("--acceptor", memory, {"durable", "diskless", "amnesia", "ask-majority"},
                   "what an acceptor knows after a crash; amnesia and ask-majority are UNSAFE, and "
                   "here to be shown failing");
  bool hasty = false;
  flags.add_switch("--hasty", hasty, "time-outs as short as the network's delays: proposers duel");
  bool apart = false;
  flags.add_switch("--apart", apart,
                   "the roles of a replica hear each other late, as on threads of their own");
  std::string leader = "one";
  flags.add_choice("--leader", leader, {"one", "none"},
                   "none: each replica proposes for its own clients");
  if (const auto exit_code = flags.parse(argc, argv)) {
    return *exit_code;
  }
  paxos::PaxosOptions paxos;
  paxos.acceptor = memory == "durable"    ? paxos::AcceptorMemory::durable
                   : memory == "diskless" ? paxos::AcceptorMemory::diskless
                   : memory == "amnesia"  ? paxos::AcceptorMemory::amnesia
                                          : paxos::AcceptorMemory::ask_majority;
  paxos.watch_durability = paxos.acceptor == paxos::AcceptorMemory::durable;
  if (leader == "none") {
    paxos.leadership = paxos::Leadership::none;
    options.program += " --leader none";
  }
  if (hasty) {
    paxos.election_min = std::chrono::milliseconds{20};
    paxos.election_max = std::chrono::milliseconds{90};
    paxos.beat_every = std::chrono::milliseconds{16};
    paxos.resend_after = std::chrono::milliseconds{10};
    options.program += " --hasty";
  }
  options.program += apart ? " --apart" : "";
  options.program += memory == "durable" ? "" : " --acceptor " + memory;
  // Little is kept, so that images are lent in every other run.
  paxos.log_slots_max = 64;
  paxos.note_level = options.log.empty() ? Level::error : Level::debug;
  const sim::ProtocolTraits traits{.name = "paxos",
                                   .context = "phase=4",
                                   .cluster_sizes = {3, 3, 5, 5, 4},
                                   .roles = {"proposer", "acceptor", "learner", "all"},
                                   .survives_wiped_disk = true};
  return sim::run_simulations(
      traits, [&] { return std::make_unique<PaxosProtocol>(paxos, apart); }, options);
}
