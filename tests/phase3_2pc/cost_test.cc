// What a write costs, as the papers count it: messages, and forced writes that somebody waits for.
#include <boost/test/unit_test.hpp>

#include "tests/phase3_2pc/cluster.h"

namespace kv::two_phase {
namespace {

/// Until what waits for company has gone without.
constexpr Duration acknowledged = std::chrono::milliseconds{10};

std::size_t sum_of(const std::map<NodeId, std::size_t>& forces) {
  std::size_t sum = 0;
  for (const auto& [node, count] : forces) {
    sum += count;
  }
  return sum;
}

/// Delivers no acknowledgement's cause before the ok: counts what stood when the client had it.
struct UntilOk {
  std::size_t coordinator = 0;
  std::size_t participants = 0;
};

UntilOk forces_until_ok(Cluster& cluster, NodeId home) {
  UntilOk count;
  for (const auto& [node, kind] : cluster.log) {
    count.coordinator += node == home && kind == RecordKind::decided ? 1 : 0;
    count.participants += node != home && kind == RecordKind::prepared ? 1 : 0;
  }
  return count;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(phase3_cost)

BOOST_AUTO_TEST_CASE(a_write_with_five_replicas_is_sixteen_messages) {
  Cluster cluster{5};
  const std::string key = cluster.key_of_home(2);
  BOOST_TEST((cluster.told(2, put(key, "v")).status == Status::ok));
  cluster.pass(acknowledged);
  BOOST_TEST(cluster.messages[MessageKind::prepare] == 4);
  BOOST_TEST(cluster.messages[MessageKind::vote] == 4);
  BOOST_TEST(cluster.messages[MessageKind::decide] == 4);
  BOOST_TEST(cluster.messages[MessageKind::ack] == 4);
  BOOST_TEST(cluster.messages_sent() == 16);
}

BOOST_AUTO_TEST_CASE(four_parallel_forces_and_one_come_before_the_ok) {
  Cluster cluster{5};
  const std::string key = cluster.key_of_home(2);
  for (std::uint32_t peer : {1U, 3U, 4U, 5U}) {
    cluster.cut.insert({{2}, {peer}});
  }
  const RequestId request = cluster.ask(2, put(key, "v"));
  BOOST_TEST(sum_of(cluster.forces) == 0);  // Prepare waits for no disk
  BOOST_TEST(!cluster.answers.contains(request));

  Cluster whole{5};
  BOOST_TEST((whole.told(2, put(key, "v")).status == Status::ok));
  const UntilOk until = forces_until_ok(whole, {2});
  BOOST_TEST(until.participants == 4);
  BOOST_TEST(until.coordinator == 1);
  BOOST_TEST(sum_of(whole.forces) == 5);
  // Where nothing else comes, each participant forces its commit record in the end, before its ack.
  whole.pass(acknowledged);
  BOOST_TEST(sum_of(whole.forces) == 9);
  BOOST_TEST(whole.forces[{2}] == 1);
}

BOOST_AUTO_TEST_CASE(the_next_write_carries_the_commit_record_and_the_ack_of_the_one_before) {
  Cluster cluster{5};
  const std::string key = cluster.key_of_home(2);
  for (const char* value : {"a", "b", "c"}) {
    BOOST_TEST((cluster.told(2, put(key, value)).status == Status::ok));
  }
  BOOST_TEST(sum_of(cluster.forces) == 15);
  BOOST_TEST(cluster.messages[MessageKind::ack] == 8);
  BOOST_TEST(cluster.at(2).coordinator().unacknowledged() == 1);
}

BOOST_AUTO_TEST_CASE(what_comes_while_votes_are_under_way_shares_the_next_round) {
  Cluster cluster{5};
  std::vector<RequestId> requests{cluster.ask(2, put(cluster.key_of_home(2), "v"))};
  for (int i = 1; i < 100; ++i) {  // each in a turn of its own
    requests.push_back(cluster.ask(2, put(cluster.key_of_home(2, i), "v")));
  }
  BOOST_TEST(cluster.messages[MessageKind::prepare] == 4);
  cluster.settle();
  for (const RequestId request : requests) {
    BOOST_TEST((cluster.answers[request].status == Status::ok));
  }
  BOOST_TEST(cluster.messages[MessageKind::prepare] == 8);
  BOOST_TEST(sum_of(cluster.forces) == 10);
}

BOOST_AUTO_TEST_CASE(a_vote_that_does_not_come_holds_the_next_round_up_for_a_moment_only) {
  Cluster cluster{3};
  cluster.cut = {{{3}, {2}}};
  cluster.ask(2, put(cluster.key_of_home(2), "v"));
  cluster.settle();
  cluster.cut.clear();
  const RequestId next = cluster.ask(2, put(cluster.key_of_home(2, 1), "v"));
  cluster.settle();
  BOOST_TEST(!cluster.answers.contains(next));
  cluster.pass(std::chrono::milliseconds{10});  // the lost vote is asked for after 30
  BOOST_TEST((cluster.answers[next].status == Status::ok));
}

BOOST_AUTO_TEST_CASE(a_hundred_writes_of_one_turn_share_their_messages_and_forces) {
  Cluster cluster{5};
  std::vector<Command> commands;
  for (int i = 0; i < 100; ++i) {
    commands.push_back(put(cluster.key_of_home(2, i), "v"));
  }
  const auto requests = cluster.ask(2, commands);
  cluster.settle();
  for (const RequestId request : requests) {
    BOOST_TEST((cluster.answers[request].status == Status::ok));
  }
  BOOST_TEST(cluster.messages_sent() <= 28);  // votes that come one by one are still one commit
  BOOST_TEST(cluster.messages[MessageKind::prepare] == 4);
  const UntilOk until = forces_until_ok(cluster, {2});
  BOOST_TEST(until.participants == 4);
  BOOST_TEST(until.coordinator == 1);
}

BOOST_AUTO_TEST_CASE(an_abort_costs_its_coordinator_no_record_and_wants_no_acks) {
  Cluster cluster{3};
  const std::string key = cluster.key_of_home(1);
  cluster.crash({3});
  const RequestId request = cluster.ask(1, put(key, "v"));
  cluster.pass(std::chrono::seconds{2});
  BOOST_TEST((cluster.answers[request].status == Status::aborted));
  for (const auto& [node, kind] : cluster.log) {
    BOOST_TEST((node != NodeId{1}));
  }
  BOOST_TEST(cluster.messages[MessageKind::ack] == 0);
}

BOOST_AUTO_TEST_CASE(presumed_commit_saves_the_acks_and_forces_once_before_it_begins) {
  Cluster cluster{5, {.presumed = Presumed::commit}};
  const std::string key = cluster.key_of_home(2);
  BOOST_TEST((cluster.told(2, put(key, "v")).status == Status::ok));
  BOOST_TEST(cluster.messages[MessageKind::ack] == 0);
  BOOST_TEST(cluster.messages_sent() == 12);
  BOOST_TEST(cluster.forces[{2}] == 2);
  BOOST_TEST(sum_of(cluster.forces) == 6);
}

BOOST_AUTO_TEST_CASE(a_write_that_comes_elsewhere_costs_one_message_more) {
  Cluster cluster{5};
  const std::string key = cluster.key_of_home(2);
  BOOST_TEST((cluster.told(4, put(key, "v")).status == Status::ok));
  cluster.pass(acknowledged);
  BOOST_TEST(cluster.messages_sent() == 17);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::two_phase
