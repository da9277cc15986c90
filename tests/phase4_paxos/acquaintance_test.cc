#include "phase4_paxos/acquaintance.h"

#include <boost/test/unit_test.hpp>

#include "tests/phase4_paxos/role_step.h"

namespace kv::paxos {
namespace {

const PaxosOptions options;
const std::vector<NodeId> five{{1}, {2}, {3}, {4}, {5}};

/// Node 1's disk has the mark 77, and decides, as incarnation `number`, from slot 15 on.
Configurations with_one_as(std::uint64_t number) {
  Configurations all{five};
  std::vector<Voter> voters = all.latest().voters;
  voters[0] = {.node = one, .incarnation = number, .birth = 77, .address = {}};
  all.apply({5}, {.base = 0, .before = all.latest().voters, .voters = voters}, 10);
  return all;
}

struct World {
  World() { self.know(five); }

  /// What `who` answers to a Greet of node 1 with that mark.
  Greeted answer(Acquaintance& who, NodeId name, std::uint64_t mark) {
    Said back{name};
    who.on_greet(at(0), one, {.birth = mark}, {}, back.post);
    BOOST_TEST(back.to<Greeted>(one).has_value());
    BOOST_TEST(back.after_records);
    return *back.to<Greeted>(one);
  }
  void lose_disk() {
    self.start(at(0), 77, said.post);
    self.on_greeted({2}, {77, 1234}, said.post);
    BOOST_TEST(self.outside());
  }

  Acquaintance self{one, five, options};
  Acquaintance others[4] = {
      {{2}, five, options}, {{3}, five, options}, {{4}, five, options}, {{5}, five, options}};
  Said said{one};
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(phase4_acquaintance, World)

BOOST_AUTO_TEST_CASE(a_new_disk_speaks_when_a_majority_of_the_others_has_written_it_down) {
  self.start(at(0), 77, said.post);
  for (std::size_t i = 0; i < 2; ++i) {
    self.on_greeted(five[i + 1], answer(others[i], five[i + 1], 77), said.post);
    BOOST_TEST(!self.born());
  }
  self.on_greeted(five[3], answer(others[2], five[3], 77), said.post);
  BOOST_TEST(self.born());
  BOOST_TEST(said.records() == 2U);  // its mark, and that it is born
}

BOOST_AUTO_TEST_CASE(an_empty_disk_under_a_known_name_is_refused_whoever_is_asked_first) {
  for (std::size_t i = 0; i < 3; ++i) {
    answer(others[i], five[i + 1], 77);
  }
  self.start(at(0), 99, said.post);  // its disk was lost
  self.on_greeted(five[4], answer(others[3], five[4], 99), said.post);
  BOOST_TEST(!self.outside());
  self.on_greeted(five[3], answer(others[2], five[3], 99), said.post);
  BOOST_TEST(self.outside());
  self.on_greeted(five[4], answer(others[3], five[4], 99), said.post);
  BOOST_TEST(!self.born());
  BOOST_TEST(said.effects.notes.size() == 1U);
}

BOOST_AUTO_TEST_CASE(one_who_cannot_tell_keeps_no_founder_out_and_too_many_do) {
  self.start(at(0), 77, said.post);
  self.on_greeted(five[1], {77, 0}, said.post);
  BOOST_TEST(!self.outside());
  for (std::size_t i = 1; i < 4; ++i) {
    BOOST_TEST(!self.born());
    self.on_greeted(five[i + 1], {77, 77}, said.post);
  }
  BOOST_TEST(self.born());
  BOOST_TEST(said.effects.notes.empty());
  Acquaintance other{one, five, options};
  other.start(at(0), 77, said.post);
  other.on_greeted(five[1], {77, 0}, said.post);
  other.on_greeted(five[2], {77, 0}, said.post);
  BOOST_TEST(other.outside());  // two are left, and three are needed
  BOOST_TEST(said.effects.notes.size() == 1U);
}

BOOST_AUTO_TEST_CASE(who_was_born_is_so_in_every_later_life_and_greets_nobody) {
  Acquaintance later{one, five, options};
  later.recover({.node = 1, .birth = 77, .born = false});
  later.recover({.node = 1, .birth = 77, .born = true});
  later.start(at(0), 99, said.post);
  BOOST_TEST(later.born());
  BOOST_TEST((later.wake_at() == never));
}

BOOST_AUTO_TEST_CASE(a_replica_alone_is_born_at_once) {
  const std::vector<NodeId> alone{one};
  Acquaintance only{one, alone, options};
  only.start(at(0), 5, said.post);
  BOOST_TEST(only.born());
}

BOOST_AUTO_TEST_CASE(a_greeting_is_repeated_until_it_is_answered) {
  self.start(at(0), 77, said.post);
  self.tick(at(0), {}, said.post);
  self.on_greeted({2}, {77, 77}, said.post);
  said.clear();
  self.tick(at(0) + options.resend_after, {}, said.post);
  BOOST_TEST(!said.to<Greet>({2}).has_value());
  BOOST_TEST(said.to<Greet>({3}).has_value());
}

BOOST_AUTO_TEST_CASE(a_lost_disk_speaks_as_another_acceptor_when_the_log_says_so_and_not_sooner) {
  lose_disk();
  BOOST_TEST(!self.admit(at(1), Configurations{five}, {9}, said.post));
  BOOST_TEST(!self.born());
  BOOST_TEST(self.admit(at(1), with_one_as(1), {9}, said.post));
  BOOST_TEST(self.born());
  BOOST_TEST(self.incarnation() == 1U);
  BOOST_TEST(!self.admit(at(1), with_one_as(1), {9}, said.post));  // once
}

BOOST_AUTO_TEST_CASE(a_member_that_the_log_has_with_another_disk_stands_outside) {
  self.recover({.node = 1, .birth = 66, .born = true});
  self.start(at(0), 99, said.post);
  BOOST_TEST(!self.admit(at(1), with_one_as(1), {9}, said.post));
  BOOST_TEST(!self.outside());  // the change is not in effect yet
  BOOST_TEST(!self.admit(at(1), with_one_as(1), {14}, said.post));
  BOOST_TEST(self.outside());
}

// It was removed and let in again; its learner's new life has not got that far yet.
BOOST_AUTO_TEST_CASE(a_member_does_not_stand_outside_for_what_was_before_it_was_let_in) {
  self.recover({.node = 1, .birth = 77, .born = true, .incarnation = 2});
  self.start(at(0), 99, said.post);
  Configurations without{five};
  std::vector<Voter> others_alone = without.latest().voters;
  others_alone.erase(others_alone.begin());
  without.apply({5}, {.base = 0, .before = {}, .voters = others_alone}, 10);
  BOOST_TEST(!self.admit(at(1), without, {14}, said.post));
  BOOST_TEST(!self.outside());
}

BOOST_AUTO_TEST_CASE(who_stands_outside_says_so_and_asks_what_was_chosen) {
  lose_disk();
  said.clear();
  self.tick(at(0), {7}, said.post);
  BOOST_TEST(!said.to<Greet>({3})->founds);
  BOOST_TEST((said.to<Greet>({3})->applied == Slot{7}));
  BOOST_TEST((said.to<Learn>({3})->from == Slot{8}));
}

BOOST_AUTO_TEST_CASE(who_waits_is_known_while_it_says_so) {
  others[0].on_greet(at(0), {9}, {.birth = 5, .founds = false, .applied = {3}}, {8}, said.post);
  BOOST_REQUIRE(others[0].knock(at(100), {9}) != nullptr);
  BOOST_TEST(others[0].knock(at(100), {9})->birth == 5U);
  BOOST_TEST(others[0].knock(at(60'000), {9}) == nullptr);
  BOOST_TEST(others[0].knock(at(100), {8}) == nullptr);
}

BOOST_AUTO_TEST_CASE(who_waits_has_caught_up_with_all_that_was_here_when_it_was_heard_before) {
  const auto knocks = [this](std::uint64_t birth, Slot applied, Slot here) {
    others[0].on_greet(at(0), {9}, {.birth = birth, .founds = false, .applied = applied}, here,
                       said.post);
    return others[0].knock(at(0), {9})->caught_up;
  };
  BOOST_TEST(!knocks(5, {0}, {0}));  // heard for the first time: nothing is known of its pace
  BOOST_TEST(knocks(5, {0}, {900}));
  BOOST_TEST(!knocks(5, {899}, {2000}));
  BOOST_TEST(knocks(5, {2000}, {3000}));
  BOOST_TEST(!knocks(6, {4000}, {4000}));  // on another disk
}

// Founders 1 and 2 lost their disks and were let in again; then 3 loses its own: neither can tell.
BOOST_AUTO_TEST_CASE(who_came_later_or_is_no_founder_welcomes_nobody) {
  lose_disk();
  self.admit(at(1), with_one_as(1), {9}, said.post);
  said.clear();
  self.on_greet(at(2), three, {.birth = 5}, {}, said.post);
  BOOST_TEST(said.to<Greeted>(three)->known == 0U);
  said.clear();
  others[0].on_greet(at(2), {9}, {.birth = 5}, {}, said.post);
  BOOST_TEST(said.to<Greeted>({9})->known == 0U);
}

BOOST_AUTO_TEST_CASE(who_joined_and_lost_its_disk_says_so_when_the_log_has_it_with_another) {
  Acquaintance joiner{one, {}, options};
  joiner.start(at(0), 99, said.post);
  joiner.admit(at(1), with_one_as(1), {9}, said.post);
  joiner.tick(at(500), {9}, said.post);
  BOOST_TEST(said.effects.notes.empty());  // it may be reading what was long ago
  joiner.tick(at(1002), {9}, said.post);
  joiner.tick(at(2000), {9}, said.post);
  BOOST_REQUIRE(said.effects.notes.size() == 1U);
  BOOST_TEST(said.effects.notes[0].fields.find("event=refused") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_node_that_founds_nothing_waits_until_it_is_let_in) {
  Acquaintance joiner{one, {}, options};
  joiner.start(at(0), 77, said.post);
  BOOST_TEST(joiner.outside());
  BOOST_TEST(joiner.admit(at(1), with_one_as(1), {9}, said.post));
  BOOST_TEST(joiner.born());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::paxos
