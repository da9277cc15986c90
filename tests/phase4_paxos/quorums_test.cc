#include "phase4_paxos/quorums.h"

#include <boost/test/unit_test.hpp>

namespace kv::paxos {
namespace {

Voter voter(std::uint32_t node, std::uint64_t incarnation = 0) {
  return {.node = {node}, .incarnation = incarnation, .birth = 0, .address = {}};
}

/// Nodes 1 to 3 decide up to slot 14; from 15 on node 3 has another disk.
struct QuorumsWorld {
  QuorumsWorld() {
    known.apply({5},
                {.base = 0,
                 .before = {voter(1), voter(2), voter(3)},
                 .voters = {voter(1), voter(2), voter(3, 1)}},
                10);
  }
  Configurations known{std::vector<NodeId>{{1}, {2}, {3}}};
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(phase4_quorums, QuorumsWorld)

BOOST_AUTO_TEST_CASE(an_acceptor_counts_only_where_its_own_incarnation_decides) {
  const Quorums quorums{known, {6}};
  const Seats old = quorums.of({1}, 0) | quorums.of({3}, 0);
  const Seats fresh = quorums.of({1}, 0) | quorums.of({3}, 1);
  BOOST_TEST(quorums.decide({14}, old));
  BOOST_TEST(!quorums.decide({15}, old));
  BOOST_TEST(!quorums.decide({14}, fresh));
  BOOST_TEST(quorums.decide({15}, fresh));
}

BOOST_AUTO_TEST_CASE(a_ballot_needs_a_majority_of_every_configuration_that_it_may_propose_in) {
  const Quorums quorums{known, {6}};
  const Seats old = quorums.of({1}, 0) | quorums.of({3}, 0);
  BOOST_TEST(!quorums.decide_from({6}, old));
  BOOST_TEST(quorums.decide_from({6}, old | quorums.of({3}, 1)));
  BOOST_TEST(quorums.decide_from({6}, quorums.of({1}, 0) | quorums.of({2}, 0)));
  BOOST_TEST(quorums.decide_from({15}, quorums.of({1}, 0) | quorums.of({3}, 1)));
}

BOOST_AUTO_TEST_CASE(a_replaced_disk_has_a_seat_beside_the_old_one_and_a_stranger_none) {
  const Quorums quorums{known, {6}};
  BOOST_TEST(quorums.seats().size() == 4U);
  BOOST_TEST(quorums.nodes().size() == 3U);
  BOOST_TEST(quorums.of({3}) == (quorums.of({3}, 0) | quorums.of({3}, 1)));
  BOOST_TEST(quorums.of({9}) == 0U);
  BOOST_TEST(quorums.of({3}, 2) == 0U);
}

BOOST_AUTO_TEST_CASE(what_is_over_is_not_asked_any_more) {
  const Quorums quorums{known, {15}};
  BOOST_TEST(quorums.seats().size() == 3U);
  BOOST_TEST(quorums.of({3}, 0) == 0U);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::paxos
