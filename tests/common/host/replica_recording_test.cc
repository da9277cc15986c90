// What a replica was told, told again to another one, gives the same to the byte: for every
// protocol, through crashes, dead roles and snapshots.
#include "common/host/replica_recording.h"

#include <functional>
#include <memory>

#include <boost/test/unit_test.hpp>

#include "common/sim/protocol.h"
#include "common/sim/scenario_text.h"
#include "common/sim/simulator.h"
#include "phase3_2pc/two_phase_replica.h"
#include "phase4_paxos/paxos_replica.h"
#include "phase5_raft/raft_replica.h"

namespace kv::host {
namespace {

using Make = std::function<std::unique_ptr<Replica>(NodeId, std::vector<NodeId>, std::uint64_t)>;

template <typename Kind, typename Options>
Make made_of(Options options) {
  return [options](NodeId self, std::vector<NodeId> nodes, std::uint64_t seed) mutable {
    options.seed = seed;
    options.note_level = Level::debug;
    return std::make_unique<Kind>(self, std::move(nodes), options);
  };
}

/// One life of one replica.
struct Recorded {
  RecordingHead head;
  std::shared_ptr<Bytes> bytes = std::make_shared<Bytes>();
};

/// A protocol whose replicas are recorded, and of which nothing else is asked.
class RecordedProtocol final : public sim::Protocol {
 public:
  explicit RecordedProtocol(Make make) : make_(std::move(make)) {}

  std::unique_ptr<Replica> make(NodeId self, std::uint32_t nodes, std::uint64_t seed) override {
    Recorded& life = lives_.emplace_back();
    life.head = {.program = "test", .arguments = {"--flag"}, .self = self, .seed = seed};
    for (std::uint32_t i = 1; i <= nodes; ++i) {
      life.head.nodes.push_back({i});
    }
    const RecordingSink sink = [bytes = life.bytes](ByteView piece) { *bytes += piece; };
    write_head(life.head, sink);
    return std::make_unique<RecordingReplica>(make_(self, life.head.nodes, seed), sink);
  }
  std::optional<sim::Violation> check(std::span<const Replica* const>, NodeId) override {
    return std::nullopt;
  }
  bool serves_with(std::uint32_t, std::uint32_t) const override { return true; }

  const std::vector<Recorded>& lives() const { return lives_; }

 private:
  Make make_;
  std::vector<Recorded> lives_;
};

std::vector<Recorded> run(const Make& make, const std::string& faults) {
  const auto parsed = sim::parse_scenario(
      "nodes 3\nload clients=4 operations=600 keys=3 think=0s..2ms\n"
      "network delay=50us..1ms loss=2% repeat=2%\n"
      "disk snapshot_after=8192 segment_bytes=4096\nexpect answers within=10s\n" +
      faults);
  RecordedProtocol protocol{make};
  sim::Simulator simulator{protocol, std::get<sim::Scenario>(parsed), 7};
  const sim::Outcome outcome = simulator.run();
  BOOST_TEST(!outcome.violation.has_value());
  return protocol.lives();
}

ReplayOutcome replay_of(const Recorded& life, const Make& make, std::uint64_t other_seed = 0,
                        const ReplayOptions& options = {}) {
  ByteView bytes = *life.bytes;
  const auto head = read_head(bytes);
  BOOST_TEST_REQUIRE(head.has_value());
  BOOST_TEST((*head == life.head));
  const auto replica = make(head->self, head->nodes, head->seed + other_seed);
  return replay(bytes, *replica, options);
}

void every_life_replays(const Make& make, const std::string& role) {
  const std::vector<Recorded> lives =
      run(make, "at 100ms for 80ms crash 1\nat 250ms for 80ms kill " + role +
                    " of 2\nat 300ms for 100ms partition alone of 3\nat 450ms for 50ms crash 2 "
                    "point=after_sync\nat 550ms for 50ms disk 2 full\n");
  BOOST_TEST(lives.size() == 5U);
  std::uint64_t calls = 0;
  for (const Recorded& life : lives) {
    const ReplayOutcome outcome = replay_of(life, make);
    BOOST_TEST(outcome.divergence == "");
    BOOST_TEST(!outcome.cut_short);
    calls += outcome.calls;
  }
  BOOST_TEST(calls > 2000U);
}

const Make raft = made_of<raft::RaftReplica>(raft::RaftReplicaOptions{});

}  // namespace

BOOST_AUTO_TEST_SUITE(host_replica_recording)

BOOST_AUTO_TEST_CASE(every_life_of_two_phase_commit_replays_to_the_byte) {
  every_life_replays(made_of<two_phase::TwoPhaseReplica>(two_phase::TwoPhaseOptions{}),
                     "participant");
}

BOOST_AUTO_TEST_CASE(every_life_of_paxos_replays_to_the_byte) {
  every_life_replays(made_of<paxos::PaxosReplica>(paxos::PaxosOptions{}), "acceptor");
}

BOOST_AUTO_TEST_CASE(every_life_of_raft_replays_to_the_byte) {
  every_life_replays(raft, "raft");
}

BOOST_AUTO_TEST_CASE(another_replica_than_was_recorded_is_found_out) {
  const Recorded life = run(raft, "").at(0);
  const ReplayOutcome outcome = replay_of(life, raft, /*other_seed=*/1);
  BOOST_TEST(outcome.divergence.find("is answered otherwise") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_recording_that_ends_within_a_call_makes_that_call_last) {
  Recorded life = run(raft, "").at(0);
  const std::uint64_t all = replay_of(life, raft).calls;
  life.bytes->resize(life.bytes->size() - 8);  // the outcome of the last call
  const ReplayOutcome outcome = replay_of(life, raft);
  BOOST_TEST(outcome.calls == all);
  BOOST_TEST(outcome.cut_short);
  BOOST_TEST(outcome.divergence == "");
}

BOOST_AUTO_TEST_CASE(a_replay_stops_at_the_operation_that_is_named) {
  const Recorded life = run(raft, "").at(0);
  std::string op;
  ReplayOptions options;
  options.on_note = [&op](Instant, const Note& note) {
    const std::size_t at = note.fields.find("op=");
    if (op.empty() && at != std::string::npos) {
      op = note.fields.substr(at + 3, note.fields.find(' ', at) - at - 3);
    }
  };
  const std::uint64_t all = replay_of(life, raft, 0, options).calls;
  bool told = false;
  const ReplayOutcome outcome =
      replay_of(life, raft, 0, {.until = op, .before_last = [&told] { told = true; }});
  if (outcome.reached) {  // asked here, or at another replica
    BOOST_TEST(told);
    BOOST_TEST(outcome.calls < all);
  }
  BOOST_TEST(!replay_of(life, raft, 0, {.until = "nobody.1"}).reached);
}

BOOST_AUTO_TEST_CASE(what_is_no_recording_has_no_head) {
  for (const std::string_view text : {"", "x", "\x05hello", "{\"client\":7}"}) {
    ByteView bytes = text;
    BOOST_TEST(!read_head(bytes).has_value());
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::host
