// Multi-Paxos as the simulator's tests see it.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/sim/protocol.h"
#include "phase4_paxos/invariants.h"
#include "phase4_paxos/late_roles.h"
#include "phase4_paxos/paxos_replica.h"

namespace kv::paxos {

enum class RolesLive : std::uint8_t { together, apart };

class PaxosProtocol final : public sim::Protocol {
 public:
  explicit PaxosProtocol(PaxosOptions options = {}, RolesLive roles = RolesLive::together)
      : options_(options), roles_(roles) {
    options_.watch_durability = options.acceptor == AcceptorMemory::durable;
    options_.note_level = Level::error;
  }

  std::unique_ptr<Replica> make(NodeId self, std::uint32_t nodes, std::uint64_t seed) override {
    std::vector<NodeId> members;
    for (std::uint32_t node = 1; node <= nodes; ++node) {
      members.push_back({node});
    }
    options_.seed = seed;
    invariants_.born(self);
    silent_.resize(nodes);
    if (roles_ == RolesLive::apart) {
      return std::make_unique<LateRoles>(self, std::move(members), options_);
    }
    return std::make_unique<PaxosReplica>(self, std::move(members), options_);
  }

  std::optional<sim::Violation> check(std::span<const Replica* const> replicas,
                                      NodeId stepped) override {
    replicas_.assign(replicas.size(), nullptr);
    const auto i = stepped.value - 1;
    replicas_[i] = dynamic_cast<const Watched*>(replicas[i]);
    if (replicas_[i] != nullptr) {
      silent_[i] = !replicas_[i]->acquaintance().born();
    }
    if (const auto broken = invariants_.check(replicas_, stepped)) {
      return sim::Violation{std::string{broken->invariant}, broken->detail};
    }
    return std::nullopt;
  }

  bool serves_with(std::uint32_t up, std::uint32_t nodes) const override {
    return up >= nodes / 2 + 1 + static_cast<std::uint32_t>(std::ranges::count(silent_, true));
  }

  const Invariants& invariants() const { return invariants_; }

 private:
  PaxosOptions options_;
  Invariants invariants_;
  const RolesLive roles_;
  std::vector<const Watched*> replicas_;
  std::vector<bool> silent_;  // not born yet, or never to be on its new disk
};

inline sim::ProtocolTraits traits() {
  return {.name = "paxos",
          .context = "phase=4",
          .cluster_sizes = {3, 3, 5, 5, 4},
          .roles = {"proposer", "acceptor", "learner", "all"},
          .survives_wiped_disk = true};
}

}  // namespace kv::paxos
