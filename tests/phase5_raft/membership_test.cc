// Raft, section 6: changes of the cluster.
#include "phase5_raft/membership.h"

#include <boost/test/unit_test.hpp>

#include "tests/phase5_raft/raft_group.h"

namespace kv::raft {
namespace {

using std::chrono::seconds;

const char* change(RaftGroup& group, std::uint32_t leader, const Membership& next) {
  const char* why = nullptr;
  group.step(leader, [&](RaftReplica& replica, Instant now, Effects& out) {
    why = replica.life()->change_membership(now, next, out);
  });
  return why;
}

Membership voters(std::initializer_list<std::uint32_t> nodes) {
  Membership membership;
  for (const std::uint32_t node : nodes) {
    membership.voters.push_back({node});
  }
  return membership;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(phase5_membership)

BOOST_AUTO_TEST_CASE(a_joint_decision_needs_a_majority_of_the_old_and_one_of_the_new) {
  Membership joint = voters({1, 2, 3});
  joint.outgoing = {{3}, {4}, {5}};
  const auto has = [&](std::set<std::uint32_t> yes) {
    return joint.has_quorum([&](NodeId node) { return yes.contains(node.value); });
  };
  BOOST_TEST(!has({1, 2}));
  BOOST_TEST(!has({4, 5}));
  BOOST_TEST(!has({1, 2, 3}));
  BOOST_TEST(has({1, 3, 4}));
  BOOST_TEST(joint.quorum_value([](NodeId node) { return node.value; }) == 2U);
}

BOOST_AUTO_TEST_CASE(a_new_server_first_learns_and_then_votes) {
  RaftGroup group{4, {}, 3};
  BOOST_REQUIRE(group.make_leader(1));
  for (int i = 0; i < 20; ++i) {
    group.put(1, "k" + std::to_string(i), "v");
  }
  group.settle();
  BOOST_TEST(group.terms(4) == "");
  Membership next = voters({1, 2, 3});
  next.learners = {{4}};
  next.facts = {{.node = {4}, .mark = group.replica(4).life()->acquaintance().mark()}};
  BOOST_TEST(change(group, 1, next) == nullptr);
  group.run(seconds{1});
  BOOST_TEST(group.terms(4) == group.terms(1));
  BOOST_TEST(!group.raft(1).membership().votes({4}));
  BOOST_TEST(change(group, 1, voters({1, 2, 3, 4})) == nullptr);
  group.run(seconds{1});
  for (std::uint32_t node = 1; node <= 4; ++node) {
    BOOST_TEST(group.raft(node).membership().text() == "1,2,3,4");
  }
}

BOOST_AUTO_TEST_CASE(once_the_joint_configuration_is_committed_the_leader_appends_the_new_one) {
  RaftGroup group{5};
  BOOST_REQUIRE(group.make_leader(1));
  for (const std::uint32_t node : {2U, 3U, 4U, 5U}) {
    group.cut(node);
  }
  BOOST_TEST(change(group, 1, voters({1, 2, 3})) == nullptr);
  group.settle();
  BOOST_TEST(group.raft(1).membership().joint());  // used before it is committed
  BOOST_TEST(group.raft(1).membership().outgoing.size() == 5U);
  group.heal();
  group.run(seconds{1});
  BOOST_TEST((group.raft(1).membership() == voters({1, 2, 3})));
}

BOOST_AUTO_TEST_CASE(while_a_change_is_under_way_there_is_no_other) {
  RaftGroup group{3};
  BOOST_REQUIRE(group.make_leader(1));
  group.cut(2);
  group.cut(3);
  BOOST_TEST(change(group, 1, voters({1, 2})) == nullptr);
  BOOST_TEST(change(group, 1, voters({1, 3})) != nullptr);
}

BOOST_AUTO_TEST_CASE(no_change_before_an_entry_of_the_leaders_own_term_is_committed) {
  RaftGroup group{3};
  group.timeout(1);
  while (!group.raft(1).leads()) {
    group.deliver_one();
  }
  BOOST_TEST(change(group, 1, voters({1, 2})) != nullptr);
  group.settle();
  BOOST_TEST(change(group, 1, voters({1, 2})) == nullptr);
}

BOOST_AUTO_TEST_CASE(a_leader_that_is_not_part_of_the_new_configuration_steps_down) {
  RaftGroup group{4};
  BOOST_REQUIRE(group.make_leader(1));
  BOOST_TEST(change(group, 1, voters({2, 3, 4})) == nullptr);
  group.run(seconds{3});
  BOOST_TEST(!group.raft(1).leads());
  const std::uint32_t next = group.elect();
  BOOST_TEST(next > 1U);
  const RequestId put = group.put(next, "k", "v");
  group.settle();
  BOOST_TEST(group.is(put, Status::ok));
}

BOOST_AUTO_TEST_CASE(removed_servers_do_not_disrupt_the_cluster) {
  RaftGroup group{4};
  BOOST_REQUIRE(group.make_leader(1));
  BOOST_TEST(change(group, 1, voters({1, 2, 3})) == nullptr);
  group.run(seconds{1});
  const Term term = group.raft(1).term();
  group.run(seconds{20});
  BOOST_TEST(group.raft(1).leads());
  BOOST_TEST((group.raft(1).term() == term));
}

BOOST_AUTO_TEST_CASE(a_configuration_that_is_taken_away_with_its_entry_counts_no_more) {
  RaftGroup group{3};
  BOOST_REQUIRE(group.make_leader(1));
  group.cut(1);
  BOOST_TEST(change(group, 1, voters({1, 2})) == nullptr);
  group.settle();
  BOOST_TEST(group.raft(1).membership().joint());
  BOOST_REQUIRE(group.make_leader(2));
  group.heal();
  group.run(seconds{1});
  BOOST_TEST((group.raft(1).membership() == voters({1, 2, 3})));
}

BOOST_AUTO_TEST_CASE(the_configuration_outlives_a_restart_and_a_snapshot) {
  RaftGroup group{4};
  BOOST_REQUIRE(group.make_leader(1));
  BOOST_TEST(change(group, 1, voters({1, 2, 3})) == nullptr);
  group.run(seconds{1});
  group.restart(2);
  BOOST_TEST((group.raft(2).membership() == voters({1, 2, 3})));
  BOOST_REQUIRE(group.snapshot(3));
  group.restart(3);
  BOOST_TEST((group.raft(3).membership() == voters({1, 2, 3})));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::raft
