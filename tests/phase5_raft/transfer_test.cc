// Leadership handed over: Raft thesis 3.10.
#include <boost/test/unit_test.hpp>

#include "tests/phase5_raft/raft_group.h"

namespace kv::raft {

BOOST_AUTO_TEST_SUITE(phase5_transfer)

BOOST_AUTO_TEST_CASE(leadership_goes_to_whom_it_is_handed_and_at_once) {
  RaftGroup group{3};
  BOOST_REQUIRE(group.make_leader(1));
  const RequestId before = group.put(1, "k", "1");
  group.step(1, [](RaftReplica& replica, Instant now, Effects& out) {
    BOOST_TEST(replica.life()->transfer_leadership(now, {3}, out) == nullptr);
  });
  group.settle();  // no time passes
  BOOST_TEST(group.raft(3).leads());
  BOOST_TEST(group.is(before, Status::ok));
  const RequestId after = group.put(1, "k", "2");
  group.settle();
  BOOST_TEST(group.is(after, Status::ok));
}

BOOST_AUTO_TEST_CASE(a_transfer_to_one_that_is_silent_is_given_up_and_the_leader_goes_on) {
  RaftGroup group{3};
  BOOST_REQUIRE(group.make_leader(1));
  group.cut(3);
  group.step(1, [](RaftReplica& replica, Instant now, Effects& out) {
    BOOST_TEST(replica.life()->transfer_leadership(now, {3}, out) == nullptr);
  });
  const RequestId waits = group.put(1, "k", "1");
  group.settle();
  BOOST_TEST(group.answer(waits) == nullptr);
  group.run(2 * RaftReplicaOptions{}.election_timeout);
  BOOST_TEST(group.raft(1).leads());
  BOOST_TEST(group.is(waits, Status::ok));
}

BOOST_AUTO_TEST_CASE(leadership_is_not_handed_to_one_that_is_not_heard_and_that_is_said_at_once) {
  RaftGroup group{3};
  BOOST_REQUIRE(group.make_leader(1));
  group.cut(3);
  group.run(2 * RaftReplicaOptions{}.election_timeout);
  group.step(1, [](RaftReplica& replica, Instant now, Effects& out) {
    BOOST_TEST(replica.life()->transfer_leadership(now, {3}, out) ==
               std::string_view{"it has not been heard lately, so it cannot take over"});
  });
  BOOST_TEST(group.raft(1).may_propose());
}

BOOST_AUTO_TEST_CASE(leadership_goes_to_one_that_is_heard_though_another_has_as_long_a_log) {
  for (const std::uint32_t dead : {2U, 3U}) {
    RaftGroup group{3};
    BOOST_REQUIRE(group.make_leader(1));
    group.cut(dead);
    group.run(2 * RaftReplicaOptions{}.election_timeout);
    group.step(1, [](RaftReplica& replica, Instant now, Effects& out) {
      BOOST_TEST(replica.life()->transfer_leadership(now, {}, out) == nullptr);
    });
    group.settle();
    BOOST_TEST(group.raft(5 - dead).leads());
  }
}

BOOST_AUTO_TEST_CASE(after_a_transfer_in_vain_there_is_a_pause_and_then_another_is_tried) {
  RaftGroup group{5};
  BOOST_REQUIRE(group.make_leader(1));
  const auto hand_over = [&] {
    const char* why = nullptr;
    group.step(1, [&](RaftReplica& replica, Instant now, Effects& out) {
      why = replica.life()->transfer_leadership(now, {}, out);
    });
    return std::string{why == nullptr ? "" : why};
  };
  // Nobody hears that it is to take over: it may have died in this moment.
  BOOST_TEST(hand_over() == "");
  std::uint32_t first = 0;
  for (std::uint32_t node = 2; node <= 5; ++node) {
    first = group.take_mail<TimeoutNow>(1, node) ? node : first;
  }
  BOOST_REQUIRE(first != 0U);
  while (!group.raft(1).may_propose()) {
    group.run(std::chrono::milliseconds{10});
  }
  BOOST_TEST(hand_over() == "leadership was handed over in vain: somebody else is tried soon");
  const RequestId put = group.put(1, "k", "meanwhile");
  group.run(RaftReplicaOptions{}.election_timeout);
  BOOST_TEST(group.is(put, Status::ok));
  BOOST_TEST(hand_over() == "");
  group.settle();
  BOOST_TEST(!group.raft(1).leads());
  BOOST_TEST(!group.raft(first).leads());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::raft
