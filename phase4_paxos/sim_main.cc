// phase4_sim: replicas under Multi-Paxos in the simulator.
#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/core/quorum.h"
#include "common/core/random.h"
#include "common/host/flags.h"
#include "common/host/standard_output.h"
#include "common/sim/protocol.h"
#include "common/sim/runner.h"
#include "common/sim/runner_flags.h"
#include "phase4_paxos/invariants.h"
#include "phase4_paxos/late_roles.h"
#include "phase4_paxos/paxos_replica.h"

namespace {

using namespace kv;

/// Answers to the operator bear ids from here on: no client's.
constexpr std::uint64_t operators_ids = std::uint64_t{1} << 63;

/// A replica with an operator who changes who is a member while it leads, and lets lost disks in.
template <typename Kind>
class Operated final : public Kind {
 public:
  Operated(NodeId self, std::vector<NodeId> members, std::uint32_t nodes,
           const paxos::PaxosOptions& options)
      : Kind(self, std::move(members), options), nodes_(nodes), random_(~options.seed) {}

  void start(Instant now, Effects& out) override {
    Kind::start(now, out);
    acts_at_ = now + pause();
  }
  void tick(Instant now, Effects& out) override {
    if (now >= acts_at_) {
      acts_at_ = now + pause();
      if (this->plays("leader")) {
        act(now, out);
      }
    }
    Kind::tick(now, out);
    std::erase_if(out.answers,
                  [](const Answer& answer) { return answer.request.value >= operators_ids; });
  }
  Instant wake_at() const override { return std::min(acts_at_, Kind::wake_at()); }

 private:
  Duration pause() {
    return random_.between(std::chrono::milliseconds{50}, std::chrono::milliseconds{600});
  }

  /// Whatever is refused now is tried again another time.
  void act(Instant now, Effects& out) {
    const paxos::Configuration& last = this->configurations().latest();
    const NodeId node{static_cast<std::uint32_t>(random_.between(1, nodes_))};
    const bool waits = this->acquaintance().knock(now, node) != nullptr;
    if (!waits && last.voters.size() <= std::min<std::size_t>(nodes_, 3)) {
      return;  // as few as stand a loss
    }
    this->change_members(now, {operators_ids + ++asked_},
                         {.verb = waits ? MemberVerb::add : MemberVerb::remove, .node = node}, out);
  }

  const std::uint32_t nodes_;
  Random random_;
  Instant acts_at_ = never;
  std::uint64_t asked_ = 0;
};

class PaxosProtocol final : public sim::Protocol {
 public:
  PaxosProtocol(const paxos::PaxosOptions& options, bool apart, bool operated)
      : options_(options), apart_(apart), operated_(operated) {}

  std::unique_ptr<Replica> make(NodeId self, std::uint32_t nodes, std::uint64_t seed) override {
    std::vector<NodeId> members;
    const std::uint32_t founders = operated_ ? std::min(nodes, 3U) : nodes;
    for (std::uint32_t node = 1; node <= founders; ++node) {
      members.push_back({node});
    }
    options_.seed = seed;
    invariants_.born(self);
    silent_.resize(nodes);
    seen_.resize(nodes);
    if (operated_ && apart_) {
      return std::make_unique<Operated<paxos::LateRoles>>(self, std::move(members), nodes,
                                                          options_);
    }
    if (operated_) {
      return std::make_unique<Operated<paxos::PaxosReplica>>(self, std::move(members), nodes,
                                                             options_);
    }
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
    seen_[i] = {.up = replicas_[i] != nullptr,
                .incarnation = replicas_[i] == nullptr || silent_[i]
                                   ? std::nullopt
                                   : std::optional{replicas_[i]->acquaintance().incarnation()}};
    const paxos::Learner* learner = seen_[i].incarnation ? replicas_[i]->learner() : nullptr;
    if (learner != nullptr && learner->applied() >= seen_applied_) {
      seen_applied_ = learner->applied();
      seen_members_ = learner->configurations();
    }
    if (const auto broken = invariants_.check(replicas_, stepped)) {
      return sim::Violation{std::string{broken->invariant}, broken->detail};
    }
    return std::nullopt;
  }

  /// Without stable storage a cluster may rightly have stopped: more died than it can stand.
  bool serves_with(std::uint32_t up, std::uint32_t nodes) const override {
    if (operated_) {
      return members_serve();
    }
    const auto silent = static_cast<std::uint32_t>(std::ranges::count(silent_, true));
    return options_.acceptor == paxos::AcceptorMemory::durable && up >= nodes / 2 + 1 + silent;
  }

 private:
  struct Seen {
    bool up = false;
    std::optional<std::uint64_t> incarnation;  // nothing: it may not speak
  };

  /// Whether a majority is up of all who decide what nobody has applied yet, and of those who have
  /// decided lately: not everybody need have heard of it.
  bool members_serve() const {
    const auto serves = [&](const paxos::Configuration& each) {
      const auto speak = std::ranges::count_if(each.voters, [&](const paxos::Voter& voter) {
        const Seen& seen = seen_[voter.node.value - 1];
        return seen.up && seen.incarnation == voter.incarnation;
      });
      return static_cast<std::size_t>(speak) >= majority(each.voters.size());
    };
    return seen_members_.known() && std::ranges::all_of(seen_members_.all(), serves);
  }

  paxos::PaxosOptions options_;
  std::vector<Seen> seen_;
  paxos::Slot seen_applied_;
  paxos::Configurations seen_members_;
  paxos::Invariants invariants_;
  const bool apart_;
  const bool operated_;
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
  bool operated = false;
  flags.add_switch("--operated", operated,
                   "an operator adds and removes members, and replaces lost disks, all the while");
  std::string leader = "one";
  flags.add_choice("--leader", leader, {"one", "none"},
                   "none: each replica proposes for its own clients");
  std::string reads = "majority";
  flags.add_choice("--reads", reads, {"majority", "lease"},
                   "lease: without asking a majority, while clocks are off by 5 % at most");
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
  if (reads == "lease") {
    paxos.reads = paxos::ReadsBy::lease;
    options.program += " --reads lease";
  }
  if (operated) {
    options.program += " --operated";
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
  paxos.window_slots = operated ? 16 : paxos.window_slots;
  paxos.note_level = options.log.empty() ? Level::error : Level::debug;
  const sim::ProtocolTraits traits{
      .name = "paxos",
      .context = "phase=4",
      .cluster_sizes = {3, 3, 5, 5, 4},
      .roles = {"proposer", "acceptor", "learner", "all"},
      .survives_wiped_disk = true,
      .clock_off_max = paxos.reads == paxos::ReadsBy::lease ? sim::percent(5) : sim::Share{}};
  const int exit_code = sim::run_simulations(
      traits, [&] { return std::make_unique<PaxosProtocol>(paxos, apart, operated); }, options);
  return host::exit_when_printed("phase4_sim", exit_code, sim::exit_wrong_use);
}
