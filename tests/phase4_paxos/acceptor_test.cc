#include "phase4_paxos/acceptor.h"

#include <boost/test/unit_test.hpp>

#include "tests/phase4_paxos/role_step.h"

namespace kv::paxos {
namespace {

const PaxosOptions options;

struct World {
  void prepare(const Ballot& of, NodeId from, Slot first = {1}, int ms = 0) {
    said.clear();
    acceptor.on_prepare(at(ms), from, {of, first}, said.post);
  }
  void accept(const Ballot& of, Slot slot, const char* value, int ms = 0) {
    said.clear();
    const Accept accept{.ballot = of, .slot = slot, .chosen = {}};
    acceptor.on_accept(at(ms), accept, value_of(value), pack(accept, value), said.post);
    acceptor.flush(said.post);
  }

  Acceptor acceptor{options};
  Said said{three};
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(phase4_acceptor, World)

BOOST_AUTO_TEST_CASE(a_promise_is_a_record_before_it_is_told) {
  prepare(ballot(1, 1), one);
  BOOST_TEST(said.records() == 1U);
  BOOST_REQUIRE(said.to<Promise>(one).has_value());
  BOOST_TEST(said.after_records);
}

BOOST_AUTO_TEST_CASE(a_lower_number_is_refused_and_told_the_greater_one) {
  prepare(ballot(2, 2), two);
  prepare(ballot(1, 1), one);
  BOOST_TEST(!said.to<Promise>(one).has_value());
  BOOST_TEST((said.to<Refused>(one)->promised == ballot(2, 2)));
  accept(ballot(1, 1), {1}, "late");
  BOOST_TEST(!said.to<Accepted>(one).has_value());
  BOOST_TEST(said.records() == 0U);
  BOOST_TEST(acceptor.accepted_after({}).empty());
}

BOOST_AUTO_TEST_CASE(of_one_round_the_greater_node_s_ballot_is_the_greater) {
  prepare(ballot(2, 2), two);
  accept(ballot(2, 1), {1}, "late");
  BOOST_TEST(!said.to<Accepted>(one).has_value());
}

BOOST_AUTO_TEST_CASE(the_same_prepare_again_is_answered_again_and_not_written_again) {
  prepare(ballot(1, 1), one);
  prepare(ballot(1, 1), one);
  BOOST_TEST(said.records() == 0U);
  BOOST_TEST(said.to<Promise>(one).has_value());
}

BOOST_AUTO_TEST_CASE(an_acceptance_is_a_record_before_it_is_told) {
  accept(ballot(1, 1), {1}, "v");
  BOOST_TEST(said.records() == 1U);
  const auto accepted = said.to<Accepted>(one);
  BOOST_REQUIRE(accepted.has_value());
  BOOST_TEST(said.after_records);
  BOOST_TEST((accepted->slots == std::vector<SlotRange>{{{1}, {1}}}));
}

BOOST_AUTO_TEST_CASE(a_promise_tells_the_highest_numbered_proposal_accepted_in_each_slot) {
  accept(ballot(1, 1), {1}, "old");
  accept(ballot(2, 2), {1}, "new");
  accept(ballot(2, 2), {3}, "third");
  prepare(ballot(3, 1), one, {1}, 10'000);
  const auto promise = said.to<Promise>(one);
  BOOST_REQUIRE(promise.has_value());
  const std::vector<Proposal> expected{{{1}, ballot(2, 2), "new"}, {{3}, ballot(2, 2), "third"}};
  BOOST_TEST((promise->accepted == expected));
}

BOOST_AUTO_TEST_CASE(an_acceptance_promises_its_number) {
  accept(ballot(5, 2), {1}, "v");
  prepare(ballot(4, 1), one, {1}, 10'000);
  BOOST_TEST((said.to<Refused>(one)->promised == ballot(5, 2)));
}

BOOST_AUTO_TEST_CASE(while_a_leader_is_heard_nobody_else_is_promised_anything) {
  accept(ballot(1, 1), {1}, "v");
  prepare(ballot(2, 2), two, {1}, 100);
  BOOST_TEST(!said.to<Promise>(two).has_value());
  prepare(ballot(2, 2), two, {1}, 400);
  BOOST_TEST(said.to<Promise>(two).has_value());
}

BOOST_AUTO_TEST_CASE(a_new_life_knows_what_the_last_one_wrote_down) {
  prepare(ballot(1, 1), one);
  accept(ballot(1, 1), {2}, "v");
  prepare(ballot(7, 2), two, {1}, 10'000);
  Acceptor reborn{options};
  const Accept accept{.ballot = ballot(1, 1), .slot = {2}, .chosen = {}};
  reborn.recover(Promised{ballot(1, 1)});
  reborn.recover(accept, value_of("v"));
  reborn.recover(Promised{ballot(7, 2)});
  BOOST_TEST((reborn.promised() == acceptor.promised()));
  BOOST_TEST((reborn.accepted_after({}) == acceptor.accepted_after({})));
}

BOOST_AUTO_TEST_CASE(what_the_learner_stands_for_is_a_floor_and_no_longer_told) {
  accept(ballot(1, 1), {1}, "a");
  accept(ballot(1, 1), {2}, "b");
  acceptor.forget({1});
  prepare(ballot(2, 1), one);
  const auto promise = said.to<Promise>(one);
  BOOST_TEST((promise->floor == Slot{1}));
  BOOST_TEST(promise->accepted.size() == 1U);
}

BOOST_AUTO_TEST_CASE(a_long_answer_comes_in_pieces) {
  const std::string large(reply_bytes_max / 2 + 1, 'x');
  for (std::uint64_t slot = 1; slot <= 5; ++slot) {
    accept(ballot(1, 1), {slot}, large.c_str());
  }
  prepare(ballot(2, 1), one);
  auto promise = said.to<Promise>(one);
  BOOST_TEST(promise->accepted.size() == 2U);
  BOOST_TEST((promise->next == Slot{3}));
  prepare(ballot(2, 1), one, promise->next);
  BOOST_TEST((said.to<Promise>(one)->next == Slot{5}));
}

BOOST_AUTO_TEST_CASE(a_beat_is_confirmed_only_while_nothing_greater_was_promised) {
  prepare(ballot(2, 2), two);
  said.clear();
  acceptor.on_beat(at(0), {.ballot = ballot(2, 2), .chosen = {}, .round = 7}, said.post);
  BOOST_TEST(said.to<Confirmed>(two)->round == 7U);
  said.clear();
  acceptor.on_beat(at(0), {.ballot = ballot(1, 1), .chosen = {}, .round = 8}, said.post);
  BOOST_TEST(!said.to<Confirmed>(one).has_value());
  BOOST_TEST(said.to<Refused>(one).has_value());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::paxos
