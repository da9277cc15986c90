// phase5_sim: the store on Raft in the simulator, with the paper's properties checked after every
// step.
#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/core/quorum.h"
#include "common/core/random.h"
#include "common/host/flags.h"
#include "common/host/standard_output.h"
#include "common/sim/runner.h"
#include "common/sim/runner_flags.h"
#include "phase5_raft/raft_properties.h"
#include "phase5_raft/raft_replica.h"

namespace kv::raft {
namespace {

using std::chrono::milliseconds;

/// Short times, and limits that are reached: a run lasts seconds.
RaftReplicaOptions options_for(std::uint64_t seed, Level note_level) {
  RaftReplicaOptions options;
  options.seed = seed;
  options.note_level = note_level;
  options.heartbeat_every = milliseconds{20};
  options.election_timeout = milliseconds{150};
  options.image_resend_after = milliseconds{100};
  options.image_patience = milliseconds{800};
  options.ask_again_after = milliseconds{40};
  options.request_patience = milliseconds{1500};
  options.append_bytes_max = 8 * 1024;
  options.in_flight_bytes_max = 32 * 1024;
  options.in_flight_max = 8;
  options.log_bytes_kept = 8 * 1024;
  options.sample_every = 16;
  return options;
}

/// A replica with an operator who changes things while it leads: who belongs to the cluster, and
/// who leads. All but one always vote: so a majority and one more can serve.
class OperatedReplica final : public RaftReplica {
 public:
  OperatedReplica(NodeId self, const std::vector<NodeId>& members,
                  const RaftReplicaOptions& options)
      : RaftReplica(self, members, options), members_(members), random_(~options.seed) {}

  void start(Instant now, Effects& out) override {
    RaftReplica::start(now, out);
    acts_at_ = now + pause();
  }
  void receive(Instant now, NodeId from, ByteView message, Effects& out) override {
    RaftReplica::receive(now, from, message, out);
    take_own_answers(out);
  }
  void tick(Instant now, Effects& out) override {
    if (now >= acts_at_) {
      acts_at_ = now + pause();
      act(now, out);
    }
    RaftReplica::tick(now, out);
    take_own_answers(out);
  }
  Instant wake_at() const override { return std::min(acts_at_, RaftReplica::wake_at()); }

 private:
  Duration pause() { return random_.between(milliseconds{50}, milliseconds{600}); }

  /// Whatever is refused now is tried again another time.
  void act(Instant now, Effects& out) {
    if (life() == nullptr || !life()->raft().leads()) {
      return;
    }
    const NodeId chosen = members_[random_.below(members_.size())];
    if (random_.chance(0.3)) {
      return ask(now, {.verb = MemberVerb::transfer, .node = chosen, .address = {}}, out);
    }
    const Membership& membership = life()->raft().membership();
    for (const NodeId node : members_) {
      if (!membership.votes(node)) {
        return ask(now, {.verb = MemberVerb::add, .node = node, .address = "anywhere"}, out);
      }
    }
    ask(now, {.verb = MemberVerb::remove, .node = chosen, .address = {}}, out);
  }

  void ask(Instant now, const MemberChange& change, Effects& out) {
    change_members(now, {own_ids_begin + ++asked_}, change, out);
  }
  static void take_own_answers(Effects& out) {
    std::erase_if(out.answers,
                  [](const Answer& answer) { return answer.request.value >= own_ids_begin; });
  }

  static constexpr std::uint64_t own_ids_begin = std::uint64_t{1} << 63;

  std::vector<NodeId> members_;
  Random random_;
  Instant acts_at_ = never;
  std::uint64_t asked_ = 0;
};

class RaftProtocol final : public sim::Protocol {
 public:
  RaftProtocol(Level note_level, bool operated) : note_level_(note_level), operated_(operated) {}

  std::unique_ptr<Replica> make(NodeId self, std::uint32_t nodes, std::uint64_t seed) override {
    std::vector<NodeId> members;
    for (std::uint32_t i = 1; i <= nodes; ++i) {
      members.push_back({i});
    }
    lives_.erase(self.value);
    silent_.resize(nodes);
    const RaftReplicaOptions options = options_for(seed, note_level_);
    if (operated_ && nodes > 1) {
      return std::make_unique<OperatedReplica>(self, members, options);
    }
    return std::make_unique<RaftReplica>(self, members, options);
  }

  std::optional<sim::Violation> check(std::span<const Replica* const> replicas,
                                      NodeId stepped) override {
    const auto* replica = static_cast<const RaftReplica*>(replicas[stepped.value - 1]);
    const RaftLife* life = replica == nullptr ? nullptr : replica->life();
    if (life == nullptr) {
      properties_.down(stepped);
      return std::nullopt;
    }
    silent_[stepped.value - 1] = !life->acquaintance().born();
    if (auto broken = check_disk(stepped, life->acquaintance())) {
      return broken;
    }
    const bool fresh = std::exchange(lives_[stepped.value], life) != life;
    if (auto broken =
            properties_.after_step(life->raft(), fresh, life->applied(), life->checksum())) {
      return sim::Violation{.invariant = broken->name, .detail = broken->detail};
    }
    return std::nullopt;
  }

  bool serves_with(std::uint32_t up, std::uint32_t nodes) const override {
    const auto silent = static_cast<std::uint32_t>(std::ranges::count(silent_, true));
    return up >= majority(nodes) + silent + (operated_ && nodes > 1 ? 1 : 0);
  }

 private:
  /// Thesis 3.8: who lost what it promised must not come back as who it was. All are founders here,
  /// who never take part on a second disk.
  std::optional<sim::Violation> check_disk(NodeId node, const Acquaintance& acquaintance) {
    if (!acquaintance.born() || silent_.size() == 1) {  // who is alone is born before it is durable
      return std::nullopt;
    }
    const auto [known, first] = disks_.try_emplace(node.value, acquaintance.mark());
    if (!first && known->second != acquaintance.mark()) {
      return sim::Violation{.invariant = "a_lost_disk_takes_no_part",
                            .detail = "node " + std::to_string(node.value) +
                                      " took part on a disk, and does so on another"};
    }
    return std::nullopt;
  }

  Level note_level_;
  bool operated_;
  std::map<std::uint32_t, const RaftLife*> lives_;
  std::vector<bool> silent_;  // may not take part yet, or never will on its new disk
  std::map<std::uint32_t, std::uint64_t> disks_;  // marks of those that took part, by node
  RaftProperties properties_;
};

}  // namespace
}  // namespace kv::raft

int main(int argc, char** argv) {
  kv::sim::RunnerOptions options{.program = argv[0]};
  kv::host::Flags flags{"phase5_sim", "Simulates the store on Raft, with faults."};
  kv::sim::add_runner_flags(flags, options);
  bool operated = false;
  flags.add_switch("--operated", operated,
                   "an operator changes who votes, and who leads, all the while");
  if (const auto exit_code = flags.parse(argc, argv)) {
    return *exit_code;
  }
  if (operated) {
    options.program += " --operated";  // as the command that repeats a failure must say
  }
  const kv::sim::ProtocolTraits traits{.name = "raft",
                                       .context = "phase=5",
                                       .cluster_sizes = {1, 3, 5, 5, 5, 7},
                                       .roles = {"raft"},
                                       .survives_wiped_disk = true};
  const kv::Level level = options.log.empty() ? kv::Level::info : kv::Level::debug;
  const int exit_code = kv::sim::run_simulations(
      traits, [=] { return std::make_unique<kv::raft::RaftProtocol>(level, operated); }, options);
  return kv::host::exit_when_printed("phase5_sim", exit_code, kv::sim::exit_wrong_use);
}
