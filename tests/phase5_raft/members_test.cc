// An operator changes who belongs to the cluster: kv::Members, as Raft has it.
#include "common/kv/members.h"

#include <boost/test/unit_test.hpp>

#include "tests/phase5_raft/raft_group.h"

namespace kv::raft {
namespace {

using std::chrono::seconds;

constexpr std::uint64_t first_id = 1'000'000;

struct Operator {
  explicit Operator(RaftGroup& its_group) : group(its_group) {}

  /// Asked once; its answer comes with time.
  RequestId ask(std::uint32_t node, MemberVerb verb, std::uint32_t whom) {
    const RequestId id{first_id + ++asked};
    const MemberChange change{
        .verb = verb,
        .node = {whom},
        .address = verb == MemberVerb::add ? "10.0.0." + std::to_string(whom) + ":7111" : ""};
    group.step(node, [&](RaftReplica& replica, Instant now, Effects& out) {
      replica.change_members(now, id, change, out);
    });
    return id;
  }
  /// How it ended within some seconds.
  std::string outcome(RequestId id) {
    group.run(seconds{5});
    const Reply* const reply = group.answer(id);
    return reply == nullptr ? "no answer" : std::string{name_of(reply->status)} + " " + reply->why;
  }
  std::string change(std::uint32_t node, MemberVerb verb, std::uint32_t whom) {
    return outcome(ask(node, verb, whom));
  }

  RaftGroup& group;
  std::uint64_t asked = 0;
};

std::string listed(RaftGroup& group, std::uint32_t node) {
  std::string text;
  for (const Member& member : group.replica(node).members().members) {
    text += (text.empty() ? "" : " ") + std::to_string(member.node.value) + "=" +
            std::string{name_of(member.standing)};
  }
  return text;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(phase5_members)

BOOST_AUTO_TEST_CASE(a_node_that_is_added_learns_first_and_then_votes) {
  RaftGroup group{4, {}, 3};
  Operator op{group};
  BOOST_REQUIRE(group.make_leader(1));
  for (int i = 0; i < 50; ++i) {
    group.put(1, "k" + std::to_string(i), "v");
  }
  group.settle();
  BOOST_TEST(op.change(1, MemberVerb::add, 4) == "ok ");
  for (std::uint32_t node = 1; node <= 4; ++node) {
    BOOST_TEST(group.raft(node).membership().text() == "1,2,3,4");
    BOOST_TEST(listed(group, node) == "1=voter 2=voter 3=voter 4=voter");
  }
  // Where it is, everyone has from the log.
  BOOST_TEST(group.replica(2).members().members.back().address == "10.0.0.4:7111");
  BOOST_TEST(op.change(1, MemberVerb::add, 4) == "ok ");  // done already
  // Two of four others may be away now: three of them with the newcomer are a majority.
  group.crash(2);
  const RequestId put = group.put(1, "k", "with the newcomer");
  group.run(seconds{1});
  BOOST_TEST(group.is(put, Status::ok));
}

BOOST_AUTO_TEST_CASE(a_learner_that_is_silent_is_given_no_vote_however_much_it_has) {
  RaftGroup group{4, {}, 3};
  Operator op{group};
  BOOST_REQUIRE(group.make_leader(1));
  group.run(seconds{1});
  op.ask(1, MemberVerb::add, 4);
  BOOST_TEST(group.run_until([&] { return group.raft(1).membership().has_learner({4}); }));
  group.cut(4);  // the first try ends here
  group.run(seconds{5});
  group.heal();
  group.run(seconds{5});
  group.crash(4);
  group.run(seconds{5});
  group.crash(3);
  group.run(seconds{5});
  BOOST_TEST(op.change(1, MemberVerb::add, 4) == "unknown node 4 is being brought up to date");
  BOOST_TEST(group.raft(1).membership().text() == "1,2,3 learners 4");
  const RequestId put = group.put(1, "k", "v");  // two of three are there
  group.run(seconds{1});
  BOOST_TEST(group.is(put, Status::ok));
}

BOOST_AUTO_TEST_CASE(a_change_is_the_leaders_and_whoever_else_is_asked_says_who_leads) {
  RaftGroup group{3};
  Operator op{group};
  BOOST_REQUIRE(group.make_leader(2));
  BOOST_TEST(op.change(1, MemberVerb::remove, 3) == "unavailable node 2 leads: ask it");
}

BOOST_AUTO_TEST_CASE(a_leader_that_is_removed_hands_over_first) {
  RaftGroup group{3};
  Operator op{group};
  BOOST_REQUIRE(group.make_leader(1));
  const std::string first = op.change(1, MemberVerb::remove, 1);
  const std::uint32_t next = group.elect();
  BOOST_TEST(next != 1U);
  BOOST_TEST(first == "unknown node " + std::to_string(next) + " leads now: ask it");
  BOOST_TEST(op.change(next, MemberVerb::remove, 1) == "ok ");
  BOOST_TEST(group.raft(next).membership().text() == "2,3");
  BOOST_TEST(listed(group, next) == "2=voter 3=voter");
}

BOOST_AUTO_TEST_CASE(leadership_goes_to_whom_it_is_transferred) {
  RaftGroup group{3};
  Operator op{group};
  BOOST_REQUIRE(group.make_leader(1));
  const RequestId transfer = op.ask(1, MemberVerb::transfer, 3);
  group.settle();
  BOOST_TEST(group.raft(3).leads());
  BOOST_TEST(op.outcome(transfer) == "ok ");
  BOOST_TEST(op.change(3, MemberVerb::transfer, 7) ==
             "bad_request node 7 has no vote, so it cannot lead");
  group.cut(2);
  BOOST_TEST(op.change(3, MemberVerb::transfer, 2) == "aborted node 2 did not take over in time");
  BOOST_TEST(op.change(3, MemberVerb::transfer, 2) ==
             "aborted node 2: it has not been heard lately, so it cannot take over");
  BOOST_TEST(group.raft(3).leads());
}

BOOST_AUTO_TEST_CASE(a_leader_that_cannot_be_removed_says_so_before_it_hands_over) {
  RaftGroup group{3};
  Operator op{group};
  BOOST_REQUIRE(group.make_leader(1));
  group.crash(3);
  for (const std::uint32_t node : {1U, 2U}) {
    group.restart(node);  // in this life it has not heard of that disk
  }
  const std::uint32_t leader = group.elect();
  BOOST_REQUIRE(leader != 0U);
  BOOST_TEST(op.change(leader, MemberVerb::remove, leader) ==
             "unknown without node " + std::to_string(leader) +
                 " too few of those that are heard would be left");
  BOOST_TEST(group.raft(leader).leads());
}

BOOST_AUTO_TEST_CASE(a_founder_whose_disk_is_not_known_is_named_before_the_leader_hands_over) {
  RaftGroup group{5};
  Operator op{group};
  BOOST_REQUIRE(group.make_leader(1));
  group.crash(5);
  for (const std::uint32_t node : {1U, 2U, 3U, 4U}) {
    group.restart(node);  // in this life it has not heard of that disk
  }
  const std::uint32_t leader = group.elect();
  BOOST_REQUIRE(leader != 0U);
  BOOST_TEST(op.change(leader, MemberVerb::remove, leader) ==
             "aborted node 5 was not heard, so its disk is not known: wait for it, or remove it");
  BOOST_TEST(group.raft(leader).leads());
  BOOST_TEST(op.change(leader, MemberVerb::remove, 5) == "ok ");
}

BOOST_AUTO_TEST_CASE(a_disk_that_was_lost_returns_as_a_new_member_and_not_before) {
  RaftGroup group{4, {}, 3};
  Operator op{group};
  BOOST_REQUIRE(group.make_leader(1));
  BOOST_REQUIRE(op.change(1, MemberVerb::add, 4) == "ok ");
  group.crash(4);
  group.wipe(4);
  group.start(4);
  group.run(seconds{2});
  BOOST_TEST(!group.replica(4).life()->acquaintance().born());
  BOOST_TEST(group.raft(4).log().last().value == 0U);
  BOOST_TEST(op.change(1, MemberVerb::remove, 4) == "ok ");
  BOOST_TEST(op.change(1, MemberVerb::add, 4) == "ok ");
  BOOST_TEST(group.replica(4).life()->acquaintance().born());
  BOOST_TEST(group.terms(4) == group.terms(1));
}

BOOST_AUTO_TEST_CASE(a_learner_that_died_is_removed_and_its_number_comes_back_on_another_disk) {
  RaftGroup group{4, {}, 3};
  Operator op{group};
  BOOST_REQUIRE(group.make_leader(1));
  const RequestId added = op.ask(1, MemberVerb::add, 4);
  while (!group.raft(1).membership().has_learner({4})) {
    if (group.mail().empty()) {
      group.nudge(1);
    } else {
      group.deliver_one();
    }
  }
  group.crash(4);
  group.wipe(4);
  BOOST_TEST(op.outcome(added).starts_with("unknown node 4 is being brought up to date"));
  BOOST_TEST(op.change(1, MemberVerb::remove, 4) == "ok ");
  BOOST_TEST(listed(group, 1) == "1=voter 2=voter 3=voter");
  group.start(4);
  BOOST_TEST(op.change(1, MemberVerb::add, 4) == "ok ");
  BOOST_TEST(group.replica(4).life()->acquaintance().born());
}

BOOST_AUTO_TEST_CASE(nobody_is_removed_whom_the_rest_cannot_do_without) {
  RaftGroup group{3};
  Operator op{group};
  BOOST_REQUIRE(group.make_leader(1));
  group.cut(3);
  group.run(seconds{1});
  BOOST_TEST(op.change(1, MemberVerb::remove, 2) ==
             "unknown without node 2 too few of those that are heard would be left");
  BOOST_TEST(op.change(1, MemberVerb::remove, 3) == "ok ");
  BOOST_TEST(op.change(1, MemberVerb::remove, 2).starts_with("ok"));
  BOOST_TEST(op.change(1, MemberVerb::remove, 1) == "bad_request the last voter cannot leave");
}

BOOST_AUTO_TEST_CASE(who_was_added_or_removed_is_known_after_snapshots_and_restarts) {
  RaftGroup group{4, {}, 3};
  Operator op{group};
  BOOST_REQUIRE(group.make_leader(1));
  BOOST_REQUIRE(op.change(1, MemberVerb::add, 4) == "ok ");
  BOOST_REQUIRE(op.change(1, MemberVerb::remove, 3) == "ok ");
  for (const std::uint32_t node : {1U, 2U, 4U}) {
    BOOST_REQUIRE(group.snapshot(node));
    group.restart(node);
    BOOST_TEST(listed(group, node) == "1=voter 2=voter 4=voter");
  }
  BOOST_TEST(group.elect() != 0U);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::raft
