// What must hold among the replicas of a cluster, by the paper's words: for whoever can see them
// all, after every step.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/core/ids.h"
#include "phase4_paxos/ballot.h"
#include "phase4_paxos/watched.h"

namespace kv::paxos {

struct Broken {
  std::string_view invariant;
  std::string detail;
};

/// Lives as long as the cluster. Its replicas watch_durability.
class Invariants {
 public:
  /// A new life of `node` begins: another object.
  void born(NodeId node);

  /// After a step of `stepped`; `replicas[i]` is that of node i + 1, null while it is down.
  std::optional<Broken> check(std::span<const Watched* const> replicas, NodeId stepped);

  /// Slots of which a value was seen to be chosen.
  std::size_t chosen() const { return chosen_.size(); }

 private:
  struct Votes {
    Ballot ballot;
    std::string value;                                        // its hash
    std::vector<std::pair<NodeId, std::uint64_t>> acceptors;  // with their incarnations
  };
  struct Seen {                 // of one node
    std::size_t witnessed = 0;  // in this life
    Slot applied;               // in this life
    std::uint64_t members = 0;  // the newest configuration it has known, in this life
  };

  std::optional<Broken> check_acceptor(const Watched& replica);
  std::optional<Broken> count(const Proposal& accepted, NodeId by, std::uint64_t incarnation);
  bool chosen_by(Slot slot, const Votes& votes) const;
  std::optional<Broken> check_members(const Watched& replica);
  std::optional<Broken> check_learner(const Watched& replica);
  std::optional<Broken> is_chosen(Slot slot, const std::string& value, std::string_view how);

  std::map<NodeId, Seen> seen_;
  std::map<std::pair<NodeId, std::uint64_t>, Ballot> promised_;  // durably, in all lives of a disk
  std::map<std::uint64_t, Configuration> configurations_;        // by number
  std::map<Slot, std::vector<Votes>> votes_;
  std::map<Slot, std::string> chosen_;
  std::map<Slot, std::uint64_t> checksums_;
};

}  // namespace kv::paxos
