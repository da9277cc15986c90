// What is asked of the leader through another replica, and messages that come twice or late.
#include <boost/test/unit_test.hpp>

#include "tests/phase5_raft/raft_group.h"

namespace kv::raft {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// 1 leads and takes a swap of `n` from 1 to 2 that 2 forwards, 3 alone hears of it, and leads
/// next.
struct SwapAtTwoLeaders {
  SwapAtTwoLeaders() {
    BOOST_REQUIRE(group.make_leader(1));
    group.put(1, "n", "1");
    group.settle();
    swap = group.ask(
        2,
        {.verb = Verb::compare_and_set, .origin = {}, .key = "n", .value = "2", .expected = "1"});
    group.timeout(2);
    forward = group.take_mail<Forward>(2, 1).value();
    group.drop_mail();
    group.post(2, 1, forward);
    group.deliver_one();
    group.nudge(1);
    const auto entries = group.take_mail<AppendEntries>(1, 3);
    BOOST_REQUIRE(entries.has_value());
    group.drop_mail();
    group.post(1, 3, *entries);
    group.deliver_one();
    group.cut(1, 2);  // what 1 says of it is lost
    BOOST_REQUIRE(group.win(3));
    group.run(milliseconds{200});
  }

  /// The network has one more copy of the message.
  void repeat_message() {
    group.heal();
    group.post(2, 1, forward);
    group.run(seconds{6});
  }

  /// Done, or nobody knows; but never said not to be done, and never tried again.
  bool is_honest() {
    const RequestId get = group.get(3, "n");
    group.run(seconds{1});
    return group.is(get, Status::ok, "2") &&
           (group.is(swap, Status::ok) || group.is(swap, Status::unknown));
  }

  RaftGroup group{3};
  RequestId swap;
  Forward forward;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(phase5_forward)

BOOST_AUTO_TEST_CASE(no_more_is_forwarded_than_arrives_soon_and_a_reply_makes_room) {
  RaftGroup group{3};
  BOOST_REQUIRE(group.make_leader(1));
  const std::string large(700'000, 'v');
  std::vector<RequestId> puts;
  for (int i = 0; i < 4; ++i) {
    puts.push_back(group.put(2, "k" + std::to_string(i), large));
  }
  group.timeout(2);
  BOOST_TEST(group.take_mail<Forward>(2, 1).has_value());
  BOOST_TEST(group.take_mail<Forward>(2, 1).has_value());
  BOOST_TEST(!group.take_mail<Forward>(2, 1).has_value());  // and these two are lost
  group.run(seconds{3});
  BOOST_TEST(group.is(puts[2], Status::ok));
  BOOST_TEST(group.is(puts[3], Status::ok));
}

BOOST_AUTO_TEST_CASE(what_may_be_lost_is_forwarded_again_only_when_it_would_have_arrived) {
  RaftGroup group{3};
  BOOST_REQUIRE(group.make_leader(1));
  group.run(milliseconds{300});
  group.cut(2, 1);  // all that 2 says is still on its way
  const std::size_t before = group.bytes_sent();
  const std::string large(700'000, 'v');
  for (int i = 0; i < 4; ++i) {
    group.ask(
        2,
        {.verb = Verb::put, .origin = {"c" + std::to_string(i), 1, 1}, .key = "k", .value = large});
  }
  group.run(milliseconds{950});
  BOOST_TEST(group.bytes_sent() - before < 3 * large.size());
}

BOOST_AUTO_TEST_CASE(a_forward_that_is_repeated_takes_one_place_at_the_leader) {
  RaftReplicaOptions options;
  options.requests_max = 4;
  RaftGroup group{3, options};
  BOOST_REQUIRE(group.make_leader(1));
  group.run(milliseconds{300});
  group.cut(1, 2);  // nothing is answered, and the leader hears of 3 that it leads
  for (std::uint32_t node : {1U, 2U, 3U}) {
    group.hang_disk(node);  // nor committed
  }
  group.ask(2, {.verb = Verb::put, .origin = {"c", 1, 1}, .key = "k", .value = "v"});
  group.run(milliseconds{390});  // three more
  const RequestId put = group.put(1, "k", "w");
  BOOST_TEST(group.answer(put) == nullptr);  // it waits, and is not refused
}

BOOST_AUTO_TEST_CASE(one_that_was_lost_takes_one_place_of_those_who_may_wait) {
  RaftReplicaOptions options;
  options.requests_max = 4;
  RaftGroup group{3, options};
  BOOST_REQUIRE(group.make_leader(1));
  group.run(milliseconds{300});
  group.put(2, "lost", "v");
  group.timeout(2);
  BOOST_REQUIRE(group.take_mail<Forward>(2, 1).has_value());
  for (int i = 0; i < 20; ++i) {
    const RequestId put = group.put(2, "k", "v");
    group.run(milliseconds{5});
    BOOST_TEST(group.is(put, Status::ok));
  }
}

BOOST_AUTO_TEST_CASE(a_change_asked_of_a_follower_is_done_once_though_its_message_comes_twice) {
  RaftGroup group{3};
  BOOST_REQUIRE(group.make_leader(1));
  const RequestId put = group.put(2, "k", "v");
  group.timeout(2);
  const auto forward = group.take_mail<Forward>(2, 1);
  BOOST_REQUIRE(forward.has_value());
  group.post(2, 1, *forward);
  group.post(2, 1, *forward);
  group.settle();
  BOOST_TEST(group.is(put, Status::ok));
  BOOST_TEST((group.raft(1).log().last() == Index{2}));
}

BOOST_AUTO_TEST_CASE(a_former_leader_does_not_deny_what_it_took) {
  SwapAtTwoLeaders world;
  world.repeat_message();
  BOOST_TEST(world.is_honest());
}

BOOST_AUTO_TEST_CASE(a_new_life_does_not_deny_what_its_former_took) {
  SwapAtTwoLeaders world;
  world.group.crash(1);
  world.group.restart(1);
  world.repeat_message();
  BOOST_TEST(world.is_honest());
}

BOOST_AUTO_TEST_CASE(a_leader_does_not_deny_what_it_took_in_an_earlier_term) {
  SwapAtTwoLeaders world;
  world.group.heal();
  BOOST_REQUIRE(world.group.make_leader(1));
  world.repeat_message();
  BOOST_TEST(world.is_honest());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::raft
