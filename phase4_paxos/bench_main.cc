// bench_paxos: what the protocol alone costs: replicas in one process, driven by a loop in memory,
// with nothing between them. Processor time and effects a write, over all replicas, by batch size.
#include <chrono>
#include <cstdio>
#include <ctime>
#include <memory>
#include <string>
#include <vector>

#include "common/core/check.h"
#include "common/host/flags.h"
#include "phase4_paxos/paxos_replica.h"

namespace {

using namespace kv;

struct Costs {
  double seconds = 0;  // of processor time
  std::uint64_t writes = 0;
  std::uint64_t messages = 0;
  std::uint64_t message_bytes = 0;
  std::uint64_t records = 0;
};

/// Delivers everything at once and in order, each replica's input as one batch.
class Cluster {
 public:
  explicit Cluster(std::uint32_t nodes) : inboxes_(nodes) {
    std::vector<NodeId> members;
    for (std::uint32_t node = 1; node <= nodes; ++node) {
      members.push_back({node});
    }
    paxos::PaxosOptions options;
    options.note_level = Level::warn;
    for (const NodeId node : members) {
      options.seed = node.value;
      replicas_.push_back(std::make_unique<paxos::PaxosReplica>(node, members, options));
      replicas_.back()->start(now_, effects_);
      ship(node);
    }
    while (leader() == nullptr) {
      now_ += std::chrono::milliseconds{10};
      run();
    }
  }

  /// `batch` writes come in at once, spread over all replicas or at the leader's.
  void write(std::uint64_t batch, bool spread) {
    for (std::uint64_t i = 0; i < batch; ++i) {
      const std::size_t at = spread ? i % replicas_.size() : leader_place_;
      command_.key = "key" + std::to_string(++costs_.writes % 10'000);
      replicas_[at]->request(now_, {costs_.writes}, command_, effects_);
      ship({static_cast<std::uint32_t>(at + 1)});
    }
    while (answers_ < costs_.writes) {
      run();
    }
  }

  Costs& costs() { return costs_; }
  const paxos::PaxosReplica* leader() {
    for (std::size_t i = 0; i < replicas_.size(); ++i) {
      if (replicas_[i]->plays("leader")) {
        leader_place_ = i;
        return replicas_[i].get();
      }
    }
    return nullptr;
  }

 private:
  struct Letter {
    NodeId from;
    Bytes message;
  };

  void run() {
    now_ += std::chrono::microseconds{50};
    for (std::uint32_t i = 0; i < replicas_.size(); ++i) {
      std::vector<Letter> letters = std::move(inboxes_[i]);
      inboxes_[i].clear();
      for (const Letter& letter : letters) {
        replicas_[i]->receive(now_, letter.from, letter.message, effects_);
      }
      if (replicas_[i]->wake_at() <= now_) {
        replicas_[i]->tick(now_, effects_);
      }
      ship({i + 1});
    }
  }

  void ship(NodeId from) {
    for (Send& send : effects_.sends) {
      costs_.messages += send.to == from ? 0 : 1;
      costs_.message_bytes += send.to == from ? 0 : send.message.size();
      inboxes_[send.to.value - 1].push_back({from, std::move(send.message)});
    }
    costs_.records += effects_.records.size();
    answers_ += effects_.answers.size();
    effects_.clear();
  }

  Instant now_ = Instant{} + std::chrono::hours{1};
  std::vector<std::unique_ptr<paxos::PaxosReplica>> replicas_;
  std::vector<std::vector<Letter>> inboxes_;
  Effects effects_;
  Command command_{.verb = Verb::put, .value = std::string(64, 'v')};
  Costs costs_;
  std::uint64_t answers_ = 0;
  std::size_t leader_place_ = 0;
};

double processor_seconds() {
  return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
}

void measure(std::uint32_t nodes, std::uint64_t batch, bool spread, std::uint64_t writes) {
  Cluster cluster{nodes};
  cluster.write(batch, spread);
  cluster.costs().messages = cluster.costs().message_bytes = cluster.costs().records = 0;
  const std::uint64_t before = cluster.costs().writes;
  const double begun = processor_seconds();
  while (cluster.costs().writes < before + writes) {
    cluster.write(batch, spread);
  }
  const double seconds = processor_seconds() - begun;
  const Costs& costs = cluster.costs();
  const auto count = static_cast<double>(costs.writes - before);
  std::printf("batch=%-4llu at=%-6s us_a_write=%-7.3f messages=%-6.3f bytes=%-7.1f records=%.3f\n",
              static_cast<unsigned long long>(batch), spread ? "all" : "leader",
              seconds / count * 1e6, static_cast<double>(costs.messages) / count,
              static_cast<double>(costs.message_bytes) / count,
              static_cast<double>(costs.records) / count);
}

}  // namespace

int main(int argc, char** argv) {
  host::Flags flags{"bench_paxos", "What Multi-Paxos costs a write, over all replicas, in memory."};
  std::uint32_t nodes = 5;
  std::uint64_t writes = 200'000;
  flags.add("--nodes", nodes, {.least = 1, .most = 64}, "replicas");
  flags.add("--writes", writes, {.least = 1}, "how many of each kind");
  std::uint64_t only = 0;
  flags.add("--batch", only, {}, "this batch size alone; 0: 1, 8, 64 and 256");
  if (const auto exit_code = flags.parse(argc, argv)) {
    return *exit_code;
  }
  for (const std::uint64_t batch : {1ULL, 8ULL, 64ULL, 256ULL}) {
    if (only == 0 || batch == only) {
      measure(nodes, batch, false, writes);
      measure(nodes, batch, true, writes);
    }
  }
  return 0;
}
