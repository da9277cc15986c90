#include "phase4_paxos/acquaintance.h"

#include <boost/test/unit_test.hpp>

#include "tests/phase4_paxos/role_step.h"

namespace kv::paxos {
namespace {

const PaxosOptions options;
const std::vector<NodeId> five{{1}, {2}, {3}, {4}, {5}};

struct World {
  /// What `who` answers to a Greet of node 1 with that mark.
  Greeted answer(Acquaintance& who, NodeId name, std::uint64_t mark) {
    Said back{name};
    who.on_greet(one, {mark}, back.post);
    BOOST_TEST(back.to<Greeted>(one).has_value());
    BOOST_TEST(back.after_records);
    return *back.to<Greeted>(one);
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
  BOOST_TEST(!self.refused());
  self.on_greeted(five[3], answer(others[2], five[3], 99), said.post);
  BOOST_TEST(self.refused());
  self.on_greeted(five[4], answer(others[3], five[4], 99), said.post);
  BOOST_TEST(!self.born());
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
  self.tick(at(0), said.post);
  self.on_greeted({2}, {77, 77}, said.post);
  said.clear();
  self.tick(at(0) + options.resend_after, said.post);
  BOOST_TEST(!said.to<Greet>({2}).has_value());
  BOOST_TEST(said.to<Greet>({3}).has_value());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::paxos
