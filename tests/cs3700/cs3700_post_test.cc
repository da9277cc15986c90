#include "phase5_raft/cs3700_post.h"

#include <boost/test/unit_test.hpp>

#include "phase5_raft/cs3700_message.h"
#include "phase5_raft/messages.h"

namespace kv::raft {
BOOST_AUTO_TEST_SUITE(cs3700_post)

namespace {

constexpr NodeId leader{1};
constexpr NodeId first{2};
constexpr NodeId second{3};

Cs3700Letter letter(NodeId from, NodeId to, const Message& message) {
  return {.from = from, .to = to, .message = encode_message(message)};
}

Cs3700Letter question(NodeId to) {
  return letter(leader, to, AppendEntries{.term = {1}, .round = 7});
}

Cs3700Letter reply(NodeId from) {
  return letter(from, leader, Appended{.term = {1}, .round = 7, .matched = true});
}

bool everyone_answers(NodeId) {
  return true;
}

}  // namespace

BOOST_AUTO_TEST_CASE(two_questions_go_round_and_both_answers_come_back_in_one_bag) {
  const auto out = bags_of({}, {question(first), question(second)}, everyone_answers);
  BOOST_REQUIRE(out.size() == 1);
  BOOST_TEST((out[0].letters.front().to == first));

  const auto on = bags_of({out[0].letters[1]}, {reply(first)}, everyone_answers);
  BOOST_REQUIRE(on.size() == 1);
  BOOST_TEST((on[0].letters.front().to == second));

  const auto back = bags_of({on[0].letters[1]}, {reply(second)}, everyone_answers);
  BOOST_REQUIRE(back.size() == 1);
  BOOST_TEST((back[0] == Cs3700Bag{{reply(first), reply(second)}}));
}

BOOST_AUTO_TEST_CASE(nothing_goes_by_way_of_one_that_does_not_answer) {
  const auto only_first = [](NodeId node) { return node == first; };
  BOOST_TEST(bags_of({}, {question(first), question(second)}, only_first).size() == 2U);
}

BOOST_AUTO_TEST_CASE(what_wants_no_answer_goes_straight) {
  const Cs3700Letter notice = letter(leader, second, AppendEntries{.term = {1}, .round = 0});
  BOOST_TEST(bags_of({}, {question(first), notice}, everyone_answers).size() == 2U);
}

BOOST_AUTO_TEST_CASE(what_goes_to_one_replica_is_one_bag_as_far_as_a_datagram_has_room) {
  const auto entries = [](std::size_t bytes) {
    return letter(leader, first,
                  AppendEntries{.term = {1}, .round = 7, .entries = Bytes(bytes, 'x')});
  };
  const std::size_t half = cs3700_data_bytes_max / 2;
  BOOST_TEST(bags_of({}, {entries(10), entries(20)}, everyone_answers).size() == 1U);
  BOOST_TEST(bags_of({}, {entries(half), entries(half)}, everyone_answers).size() == 2U);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::raft
