// What common/kv/replica.h promises a protocol beyond records and answers, as the simulator keeps
// it: messages to itself, and a snapshot that it may put off.
#include <functional>
#include <string>

#include <boost/test/unit_test.hpp>

#include "common/core/check.h"
#include "common/sim/journaling_replica.h"
#include "common/sim/scenario_text.h"
#include "common/sim/simulator.h"

namespace kv {
namespace {

/// Answers a change when its own message says that the record is durable; shares a record and a
/// message among all that came in one run, by a tick of no delay.
class SelfTold final : public Replica {
 public:
  SelfTold(NodeId self, bool refuses) : self_(self), refuses_(refuses) {}

  void restore(ByteView piece) override { inner_.restore(piece); }
  void recover(ByteView record) override { inner_.recover(record); }
  void start(Instant now, Effects& out) override { inner_.start(now, out); }

  void request(Instant now, RequestId id, const Command& command, Effects& out) override {
    const std::size_t records = out.records.size();
    inner_.request(now, id, command, out);
    if (out.records.size() > records) {
      waiting_.push_back(std::move(out.answers.back()));
      out.answers.pop_back();
      tell_at_ = now;
    }
  }
  void tick(Instant, Effects& out) override {
    tell_at_ = never;
    told_ = waiting_.size();
    out.sends.push_back({.to = self_, .message = std::to_string(told_)});
    ++on_their_way_;
  }
  void receive(Instant, NodeId from, ByteView message, Effects& out) override {
    check(from == self_ && on_their_way_ > 0);  // once each, and only in the life that sent it
    --on_their_way_;
    const std::size_t durable = std::stoul(Bytes{message});
    check(durable >= heard_);  // in order
    for (; heard_ < durable; ++heard_) {
      out.answers.push_back(waiting_[heard_]);
    }
  }
  Instant wake_at() const override { return tell_at_; }

  bool begin_snapshot() override {
    return !refuses_ && ++asked_ % 3 == 0 && inner_.begin_snapshot();
  }
  Bytes next_snapshot_piece() override { return inner_.next_snapshot_piece(); }
  void check_invariants() const override { inner_.check_invariants(); }

 private:
  const NodeId self_;
  const bool refuses_;
  sim::JournalingReplica inner_;
  std::vector<Answer> waiting_;
  std::size_t told_ = 0;
  std::size_t heard_ = 0;
  std::size_t on_their_way_ = 0;
  std::uint64_t asked_ = 0;
  Instant tell_at_ = never;
};

class SelfToldProtocol final : public sim::Protocol {
 public:
  explicit SelfToldProtocol(bool refuses) : refuses_(refuses) {}
  std::unique_ptr<Replica> make(NodeId self, std::uint32_t, std::uint64_t) override {
    return std::make_unique<SelfTold>(self, refuses_);
  }
  std::optional<sim::Violation> check(std::span<const Replica* const>, NodeId) override {
    return std::nullopt;
  }
  bool serves_with(std::uint32_t up, std::uint32_t nodes) const override { return up == nodes; }

 private:
  const bool refuses_;
};

struct Lines final : sim::NoteSink {
  void line(Instant, NodeId, Level, std::string_view fields) override {
    late += fields.starts_with("event=snapshot_late") ? 1 : 0;
  }
  int late = 0;
};

sim::Outcome run(const std::string& scenario, std::uint64_t seed, bool refuses,
                 sim::NoteSink* notes = nullptr) {
  SelfToldProtocol protocol{refuses};
  const auto parsed = sim::parse_scenario(scenario);
  sim::Simulator simulator{protocol, std::get<sim::Scenario>(parsed), seed, notes};
  const sim::Outcome outcome = simulator.run();
  BOOST_TEST(!outcome.violation.has_value(), "seed " << seed << ": " << outcome.violation->detail);
  return outcome;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(sim_boundary)

BOOST_AUTO_TEST_CASE(messages_to_itself_survive_loss_and_partition_and_die_with_the_process) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    const auto outcome =
        run("nodes 2\nload operations=3000 think=0s..1ms timeout=20ms\n"
            "disk snapshot_after=0 sync=1ms..3ms\n"
            "at 40ms for 500ms storm loss=20% repeat=20% flip=10%\n"
            "at 50ms for 400ms cut 1 2\n"
            "at 60ms for 20ms crash 1\nat 150ms for 100ms crash 2 point=before_write\n"
            "at 300ms for 100ms crash 1 point=after_sync\n"
            "expect answers within=1s\n",
            seed, true);
    BOOST_TEST(outcome.counts.crashes >= 3);
    BOOST_TEST(outcome.counts.messages == 0);  // none of them is the network's
  }
}

BOOST_AUTO_TEST_CASE(a_snapshot_that_was_put_off_is_asked_for_again) {
  const auto outcome =
      run("nodes 1\nload operations=2000 think=0s..1ms value_bytes=100\n"
          "disk snapshot_after=20000\nexpect linearizable\nexpect answers within=1s\n",
          1, false);
  BOOST_TEST(outcome.counts.snapshots > 0);
  BOOST_TEST(outcome.counts.snapshots_put_off >= 2 * outcome.counts.snapshots);
}

BOOST_AUTO_TEST_CASE(a_replica_that_for_ever_says_not_now_is_seen) {
  Lines lines;
  const auto outcome =
      run("nodes 1\nload operations=3000 clients=1 think=1ms..2ms value_bytes=100\n"
          "disk snapshot_after=20000\nexpect answers within=1s\n",
          1, true, &lines);
  BOOST_TEST(outcome.counts.snapshots == 0);
  BOOST_TEST(outcome.counts.snapshots_put_off > 50);
  BOOST_TEST(lines.late >= 2);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv
