// phase3_sim: two-phase commit in the simulator, with what must hold among its replicas.
//
//   atomicity                            no two replicas decide a transaction differently
//   durability                           a key that a new life does not have in doubt holds what
//                                        was committed on it last
//   key_history_agrees                   likewise, at every replica, at every moment
//   no_lock_outlives_its_transaction     what all have acknowledged holds no key anywhere
//   no_disk_is_called_lost               for in here none is
//   checksums_agree                      replicas that applied the same hold the same
// beside the replica's own check_invariants(), and the history of all clients.
#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>

#include "common/core/hash.h"
#include "common/host/flags.h"
#include "common/host/standard_output.h"
#include "common/sim/protocol.h"
#include "common/sim/runner.h"
#include "common/sim/runner_flags.h"
#include "phase3_2pc/choices.h"
#include "phase3_2pc/two_phase_replica.h"

namespace kv {
namespace {

using two_phase::Change;
using two_phase::Part;
using two_phase::Transaction;
using two_phase::TwoPhaseOptions;
using two_phase::TwoPhaseReplica;
using two_phase::TxnId;

/// What CommittedState::print_of() says of a key once `part`, a change, is applied.
std::uint64_t print_after(const Part& part) {
  return part.change == Change::put ? hash_of(part.value) | 1 : 0;
}

class TwoPhaseProtocol final : public sim::Protocol, public two_phase::Witness {
 public:
  explicit TwoPhaseProtocol(TwoPhaseOptions options) : options_(options) {
    options_.witness = this;
  }

  static sim::ProtocolTraits traits() {
    return {.name = "two_phase",
            .context = "phase=3",
            .cluster_sizes = {1, 3, 5},
            .roles = {"coordinator", "participant"},
            .survives_wiped_disk = false,
            .tells_the_certain = true};
  }

  std::unique_ptr<Replica> make(NodeId self, std::uint32_t nodes, std::uint64_t seed) override {
    std::vector<NodeId> members;
    for (std::uint32_t i = 1; i <= nodes; ++i) {
      members.push_back({i});
    }
    options_.seed = seed;
    reborn_.insert(self);
    return std::make_unique<TwoPhaseReplica>(self, std::move(members), options_);
  }

  bool serves_with(std::uint32_t up, std::uint32_t nodes) const override { return up == nodes; }

  std::optional<sim::Violation> check(std::span<const Replica* const> replicas,
                                      NodeId stepped) override;

  void decided(NodeId at, const TxnId& txn, bool commit) override;
  void begun(const Transaction& transaction) override {
    open_.emplace(transaction.id, transaction);
  }
  void committed(const TxnId& txn) override;
  void ended(const TxnId& txn) override { ended_.push_back(txn); }
  void touched(NodeId at, std::string_view key) override {
    touched_.insert({at, std::string{key}});
  }

 private:
  using Found = std::optional<sim::Violation>;

  Found check_key(const TwoPhaseReplica& replica, NodeId node, const std::string& key,
                  const char* invariant) const;
  Found check_reborn(const TwoPhaseReplica& replica, NodeId node);
  void learn_from_snapshot(const TwoPhaseReplica& replica, NodeId node);
  Found check_touched(const TwoPhaseReplica& replica, NodeId node);
  Found check_ended(std::span<const Replica* const> replicas);
  Found check_checksums(std::span<const Replica* const> replicas, NodeId stepped);

  TwoPhaseOptions options_;
  std::unordered_map<TxnId, bool> decisions_;
  std::unordered_map<TxnId, Transaction> open_;            // begun, and not known to be committed
  std::unordered_map<std::string, std::uint64_t> prints_;  // of what was committed last, by key
  std::set<std::pair<NodeId, std::string>> touched_;
  std::set<NodeId> reborn_;
  std::map<NodeId, std::uint64_t> boots_;  // the life of each coordinator that was seen last
  std::vector<TxnId> ended_;
  Found broken_;
};

void TwoPhaseProtocol::decided(NodeId at, const TxnId& txn, bool commit) {
  if (!commit) {
    open_.erase(txn);
  }
  const auto [known, fresh] = decisions_.try_emplace(txn, commit);
  if (!fresh && known->second != commit && !broken_) {
    broken_ = {.invariant = "atomicity",
               .detail = "node " + std::to_string(at.value) + " decides transaction " +
                         text_of(txn) + " to " + (commit ? "commit" : "abort") +
                         ", another decided otherwise"};
  }
}

void TwoPhaseProtocol::committed(const TxnId& txn) {
  const auto begun = open_.find(txn);
  if (begun == open_.end()) {
    return;  // known already
  }
  for (const Part& part : begun->second.parts) {
    if (part.change != Change::none) {
      prints_[part.key] = print_after(part);
    }
  }
  open_.erase(begun);
}

std::optional<sim::Violation> TwoPhaseProtocol::check(std::span<const Replica* const> replicas,
                                                      NodeId stepped) {
  if (broken_) {
    return broken_;
  }
  if (Found found = check_ended(replicas)) {
    return found;
  }
  const auto* replica = static_cast<const TwoPhaseReplica*>(replicas[stepped.value - 1]);
  if (replica == nullptr || !replica->participant_lives()) {
    return std::nullopt;
  }
  if (replica->membership().standing() == two_phase::Membership::Standing::lost) {
    return sim::Violation{.invariant = "no_disk_is_called_lost",
                          .detail = "node " + std::to_string(stepped.value)};
  }
  const std::uint64_t boot = replica->coordinator().boot();
  if (replica->coordinator_lives() && std::exchange(boots_[stepped], boot) != boot &&
      options_.presumed == two_phase::Presumed::commit) {
    learn_from_snapshot(*replica, stepped);
  }
  Found found = reborn_.contains(stepped) ? check_reborn(*replica, stepped)
                                          : check_touched(*replica, stepped);
  return found ? found : check_checksums(replicas, stepped);
}

TwoPhaseProtocol::Found TwoPhaseProtocol::check_key(const TwoPhaseReplica& replica, NodeId node,
                                                    const std::string& key,
                                                    const char* invariant) const {
  if (replica.participant().locks().holder_of(key) != nullptr) {
    return std::nullopt;
  }
  const auto print = prints_.find(key);
  if (replica.participant().state().print_of(key) == (print == prints_.end() ? 0 : print->second)) {
    return std::nullopt;
  }
  return sim::Violation{.invariant = invariant,
                        .detail = "at node " + std::to_string(node.value) + " nothing holds key " +
                                  key + ", and it is not what was committed last"};
}

TwoPhaseProtocol::Found TwoPhaseProtocol::check_reborn(const TwoPhaseReplica& replica,
                                                       NodeId node) {
  reborn_.erase(node);
  for (const auto& [key, print] : prints_) {
    if (Found found = check_key(replica, node, key, "durability")) {
      return found;
    }
  }
  return std::nullopt;
}

/// Under presumed commit a snapshot has what a commit changed and does not name it. If it took the
/// place of the commit's record, and the coordinator died before it heard that the record is on
/// disk, then what stands there is all that tells of the commit.
void TwoPhaseProtocol::learn_from_snapshot(const TwoPhaseReplica& replica, NodeId node) {
  const auto stands = [&](const Part& part) {
    return part.change == Change::none ||
           replica.participant().state().print_of(part.key) == print_after(part);
  };
  const auto is_news = [&](const Part& part) {
    const auto last = prints_.find(part.key);
    return part.change != Change::none &&
           print_after(part) != (last == prints_.end() ? 0 : last->second);
  };
  std::vector<TxnId> learned;
  for (const auto& [txn, transaction] : open_) {
    const std::vector<Part>& parts = transaction.parts;
    if (txn.coordinator == node && std::ranges::all_of(parts, stands) &&
        std::ranges::any_of(parts, is_news)) {
      learned.push_back(txn);
    }
  }
  for (const TxnId& txn : learned) {
    committed(txn);
    decided(node, txn, true);
  }
}

TwoPhaseProtocol::Found TwoPhaseProtocol::check_touched(const TwoPhaseReplica& replica,
                                                        NodeId node) {
  const auto begin = touched_.lower_bound({node, {}});
  const auto end = touched_.lower_bound({NodeId{node.value + 1}, {}});
  for (auto each = begin; each != end; ++each) {
    if (Found found = check_key(replica, node, each->second, "key_history_agrees")) {
      return found;
    }
  }
  touched_.erase(begin, end);
  return std::nullopt;
}

TwoPhaseProtocol::Found TwoPhaseProtocol::check_ended(std::span<const Replica* const> replicas) {
  for (const TxnId& txn : ended_) {
    for (const Replica* each : replicas) {
      const auto* replica = static_cast<const TwoPhaseReplica*>(each);
      if (replica != nullptr && replica->participant().holds(txn)) {
        return sim::Violation{.invariant = "no_lock_outlives_its_transaction",
                              .detail = "transaction " + text_of(txn) + " is over"};
      }
    }
  }
  ended_.clear();
  return std::nullopt;
}

TwoPhaseProtocol::Found TwoPhaseProtocol::check_checksums(std::span<const Replica* const> replicas,
                                                          NodeId stepped) {
  const auto& mine = *static_cast<const TwoPhaseReplica*>(replicas[stepped.value - 1]);
  if (mine.participant().locks().locked() > 0) {
    return std::nullopt;
  }
  for (const Replica* each : replicas) {
    const auto* other = static_cast<const TwoPhaseReplica*>(each);
    if (other == nullptr || !other->participant_lives() ||
        other->participant().locks().locked() > 0 ||
        other->participant().state().applied() != mine.participant().state().applied()) {
      continue;
    }
    if (other->participant().state().checksum() != mine.participant().state().checksum()) {
      return sim::Violation{.invariant = "checksums_agree",
                            .detail = "node " + std::to_string(stepped.value) +
                                      " and another applied as many and hold something else"};
    }
  }
  return std::nullopt;
}

}  // namespace
}  // namespace kv

int main(int argc, char** argv) {
  kv::sim::RunnerOptions options{.program = argv[0]};
  kv::two_phase::Choices choices;
  kv::host::Flags flags{"phase3_sim", "Simulates two-phase commit under faults."};
  kv::sim::add_runner_flags(flags, options);
  kv::two_phase::add_choices(flags, choices);
  if (const auto exit_code = flags.parse(argc, argv)) {
    return *exit_code;
  }
  // As the command that repeats a failure must say.
  options.program += choices.conflict == "home" ? "" : " --conflict " + choices.conflict;
  options.program += choices.presumed == "abort" ? "" : " --presumed " + choices.presumed;
  kv::two_phase::TwoPhaseOptions protocol = kv::two_phase::options_of(choices);
  protocol.note_level = options.log.empty() ? kv::Level::info : kv::Level::debug;
  const int exit_code = kv::sim::run_simulations(
      kv::TwoPhaseProtocol::traits(),
      [&] { return std::make_unique<kv::TwoPhaseProtocol>(protocol); }, options);
  return kv::host::exit_when_printed("phase3_sim", exit_code, kv::sim::exit_wrong_use);
}
