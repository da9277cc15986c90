// Raft thesis, 3.8: whoever lost its persistent state must not come back as who it was.
#include "phase5_raft/acquaintance.h"

#include <boost/test/unit_test.hpp>

#include "tests/phase5_raft/raft_group.h"

namespace kv::raft {
namespace {

using std::chrono::seconds;

bool born(RaftGroup& group, std::uint32_t node) {
  return group.replica(node).life()->acquaintance().born();
}

/// How often `node` said so.
int noted(RaftGroup& group, std::uint32_t node, const std::string& words) {
  int count = 0;
  for (const NotedLine& line : group.notes()) {
    count += line.node.value == node && line.fields.find(words) != std::string::npos ? 1 : 0;
  }
  return count;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(phase5_acquaintance)

BOOST_AUTO_TEST_CASE(an_acknowledged_write_outlives_a_disk_that_comes_back_empty) {
  RaftGroup group{3};
  BOOST_REQUIRE(group.make_leader(1));
  group.cut(3);
  const RequestId put = group.put(1, "k", "acknowledged");
  group.settle();
  BOOST_TEST(group.is(put, Status::ok));  // by nodes 1 and 2
  group.crash(1);
  group.crash(2);
  group.wipe(2);
  group.start(2);
  group.heal();
  group.run(seconds{10});
  // 2 with its new disk and 3 would be a majority, and know nothing of it.
  BOOST_TEST(!group.raft(2).leads());
  BOOST_TEST(!group.raft(3).leads());
  group.start(1);
  const std::uint32_t leader = group.elect();
  BOOST_TEST(leader != 0U);
  BOOST_TEST(leader != 2U);
  const RequestId get = group.get(leader, "k");
  group.settle();
  BOOST_TEST(group.is(get, Status::ok, "acknowledged"));
}

// Else who was started with --seed would come back on an empty disk as who it was.
BOOST_AUTO_TEST_CASE(a_new_disk_has_a_mark_of_its_own_though_the_seed_is_the_same) {
  const auto mark_at = [](Instant start) {
    RaftReplicaOptions options;
    options.seed = 5;
    RaftReplica replica{NodeId{1}, {NodeId{1}, NodeId{2}, NodeId{3}}, options};
    Effects out;
    replica.start(start, out);
    BOOST_REQUIRE(!out.records.empty());
    return out.records.front();
  };
  const Instant first{seconds{1}};
  BOOST_TEST(mark_at(first) == mark_at(first));
  BOOST_TEST(mark_at(first) != mark_at(first + seconds{1}));
}

BOOST_AUTO_TEST_CASE(a_disk_that_came_back_empty_is_refused_with_one_line_that_says_what_to_do) {
  RaftGroup group{3};
  BOOST_REQUIRE(group.make_leader(1));
  group.crash(3);
  group.wipe(3);
  group.start(3);
  group.run(seconds{5});
  BOOST_TEST(group.replica(3).life()->acquaintance().refused());
  BOOST_TEST(noted(group, 3, "event=refused by=") == 1);
  BOOST_TEST(noted(group, 3, "quintet ctl remove, then add") == 1);
  const RequestId get = group.get(3, "k");
  BOOST_REQUIRE(group.answer(get) != nullptr);
  BOOST_TEST((group.answer(get)->status == Status::unavailable));
  BOOST_TEST(group.raft(1).leads());  // the others go on
}

BOOST_AUTO_TEST_CASE(a_new_cluster_begins_when_a_majority_of_the_others_has_met_each_disk) {
  RaftGroup group{5};
  group.crash(1);
  group.wipe(1);
  for (const std::uint32_t node : {2U, 3U, 4U, 5U}) {
    group.crash(node);
    group.wipe(node);
  }
  for (const std::uint32_t node : {1U, 2U, 3U}) {
    group.start(node);
  }
  group.run(seconds{3});
  BOOST_TEST(!born(group, 1));  // two of four others are no majority
  group.start(4);
  group.run(seconds{3});
  for (const std::uint32_t node : {1U, 2U, 3U, 4U}) {
    BOOST_TEST(born(group, node));
  }
  BOOST_TEST(group.elect() != 0U);
}

BOOST_AUTO_TEST_CASE(who_was_met_once_takes_part_after_a_restart_alone) {
  RaftGroup group{3};
  group.cut(2);
  group.restart(2);
  BOOST_TEST(born(group, 2));
  for (int i = 0; i < 2; ++i) {  // and after a snapshot took the place of its records
    BOOST_REQUIRE(group.snapshot(2));
    group.restart(2);
    BOOST_TEST(born(group, 2));
  }
}

BOOST_AUTO_TEST_CASE(whoever_wrote_a_mark_down_knows_it_after_its_snapshot) {
  RaftGroup group{3};
  for (const std::uint32_t node : {1U, 2U}) {
    BOOST_REQUIRE(group.snapshot(node));
    group.restart(node);
  }
  group.crash(3);
  group.wipe(3);
  group.start(3);
  group.run(seconds{1});
  BOOST_TEST(group.replica(3).life()->acquaintance().refused());
}

BOOST_AUTO_TEST_CASE(a_replica_that_may_not_take_part_neither_votes_nor_acknowledges) {
  RaftGroup group{3};
  BOOST_REQUIRE(group.make_leader(1));
  group.crash(3);
  group.wipe(3);
  group.cut(3);  // it hears nobody but us
  group.start(3);
  group.post(1, 3, RequestVote{.term = {99}, .last_index = {99}, .last_term = {99}});
  group.post(1, 3, AppendEntries{.term = {99}, .previous = {}, .previous_term = {}, .commit = {}});
  group.heal();
  for (int i = 0; i < 2; ++i) {
    group.deliver_one();
  }
  BOOST_TEST(group.raft(3).term().value == 0U);
  BOOST_TEST(!group.take_mail<Vote>(3, 1).has_value());
  BOOST_TEST(!group.take_mail<Appended>(3, 1).has_value());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::raft
