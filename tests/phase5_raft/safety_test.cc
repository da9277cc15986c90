// Raft, section 5.4, sentence by sentence: who may lead, and what is committed.
#include <boost/test/unit_test.hpp>

#include "tests/phase5_raft/raft_group.h"

namespace kv::raft {
namespace {

using std::chrono::seconds;

}  // namespace

BOOST_AUTO_TEST_SUITE(phase5_safety)

// --- 5.4.1 ---------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(a_request_for_a_vote_tells_where_the_candidates_log_ends_and_in_which_term) {
  RaftGroup group{3};
  fill_log(group, 2, 1, {1, 1, 3}, 4);
  BOOST_REQUIRE(group.make_candidate(1));
  for (const std::uint32_t other : {2U, 3U}) {
    const auto request = group.take_mail<RequestVote>(1, other);
    BOOST_REQUIRE(request.has_value());
    BOOST_TEST((request->last_index == Index{3}));
    BOOST_TEST((request->last_term == Term{3}));
  }
}

BOOST_AUTO_TEST_CASE(of_two_logs_the_one_that_ends_with_the_later_term_is_more_up_to_date) {
  for (const std::uint64_t last_term : {1U, 3U}) {
    RaftGroup group{3};
    fill_log(group, 2, 1, {1, 2}, 2);
    group.run(RaftReplicaOptions{}.election_timeout);
    group.drop_mail();
    const Index length{last_term == 1 ? 9U : 1U};  // a longer one, and a shorter one
    group.post(3, 1, RequestVote{.term = {5}, .last_index = length, .last_term = {last_term}});
    group.deliver_one();
    BOOST_TEST(group.take_mail<Vote>(1, 3)->granted == (last_term > 2));
  }
}

BOOST_AUTO_TEST_CASE(if_the_logs_end_with_the_same_term_the_longer_one_is_more_up_to_date) {
  for (const std::uint64_t length : {1U, 2U, 3U}) {
    RaftGroup group{3};
    fill_log(group, 2, 1, {1, 1}, 1);
    group.run(RaftReplicaOptions{}.election_timeout);
    group.drop_mail();
    group.post(3, 1, RequestVote{.term = {5}, .last_index = {length}, .last_term = {1}});
    group.deliver_one();
    BOOST_TEST(group.take_mail<Vote>(1, 3)->granted == (length >= 2));
  }
}

BOOST_AUTO_TEST_CASE(a_candidate_cannot_win_unless_its_log_has_all_committed_entries) {
  for (std::uint32_t node = 2; node <= 5; ++node) {
    RaftGroup group{5};
    BOOST_REQUIRE(group.make_leader(1));
    group.cut(4);
    group.cut(5);
    const RequestId put = group.put(1, "k", "v");
    group.settle();
    BOOST_REQUIRE(group.is(put, Status::ok));
    group.heal();
    group.cut(1);
    BOOST_TEST(group.win(node) == (node <= 3));
  }
}

// --- 5.4.2 ---------------------------------------------------------------------------------------

/// Figure 8: an entry of an earlier term that is on a majority can still be overwritten.
BOOST_AUTO_TEST_CASE(entries_of_earlier_terms_are_never_committed_by_counting_replicas) {
  RaftGroup group{5};
  for (std::uint32_t node = 1; node <= 5; ++node) {
    fill_log(group, node == 1 ? 2 : 1, node, {1}, 1);
  }
  fill_log(group, 1, 2, {1, 2}, 2);
  fill_log(group, 2, 1, {1, 2}, 2);
  fill_log(group, 1, 3, {1, 2}, 2);
  group.cut(4);
  group.cut(5);  // where others could lead in term 3
  group.idle(2 * RaftReplicaOptions{}.election_timeout);
  group.timeout(1);
  while (!group.raft(1).leads() && !group.mail().empty()) {
    group.deliver_one();
  }
  BOOST_REQUIRE(group.raft(1).leads());
  group.cut(1);
  group.settle();  // its no-op is on its own disk, and reaches nobody
  group.heal();
  for (const std::uint32_t node : {2U, 3U}) {  // both say: your entry of term 2 is here
    group.post(node, 1,
               Appended{.term = group.raft(1).term(), .round = 1, .matched = true, .match = {2}});
    group.deliver_one();
  }
  BOOST_TEST((group.raft(1).commit() == Index{0}));
  for (const std::uint32_t node : {2U, 3U}) {  // and now: your own entry is here too
    group.post(node, 1,
               Appended{.term = group.raft(1).term(), .round = 1, .matched = true, .match = {3}});
    group.deliver_one();
  }
  BOOST_TEST((group.raft(1).commit() == Index{3}));  // then all before are committed
}

BOOST_AUTO_TEST_CASE(what_a_leader_did_not_commit_a_later_one_replicates_with_its_original_term) {
  RaftGroup group{3};
  BOOST_REQUIRE(group.make_leader(1));
  group.cut(3);
  group.cut(2, 1);  // it has the entry, and node 1 never hears so
  const RequestId put = group.put(1, "k", "v");
  group.settle();
  BOOST_REQUIRE(group.answer(put) == nullptr);
  BOOST_REQUIRE(group.terms(2) == "1 1");
  group.crash(1);
  group.heal();
  BOOST_REQUIRE(group.make_leader(2));
  group.run(seconds{1});
  BOOST_TEST(group.terms(2) == "1 1 2");
  BOOST_TEST(group.terms(3) == "1 1 2");
  BOOST_TEST((group.raft(3).commit() == Index{3}));
  const RequestId read = group.get(3, "k");
  group.settle();
  BOOST_TEST(group.is(read, Status::ok, "v"));
}

// --- 5.4.3 ---------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(in_every_majority_a_voter_has_the_committed_entry_and_denies_those_without) {
  for (const std::uint32_t has_it : {1U, 2U, 3U}) {
    RaftGroup group{5};
    BOOST_REQUIRE(group.make_leader(1));
    group.cut(4);
    group.cut(5);
    const RequestId put = group.put(1, "k", "v");
    group.settle();
    BOOST_REQUIRE(group.is(put, Status::ok));
    group.heal();
    for (const std::uint32_t node : {1U, 2U, 3U}) {
      if (node != has_it) {
        group.crash(node);
      }
    }
    group.restart(has_it);
    BOOST_TEST(!group.win(4));
    BOOST_TEST(!group.win(5));
    BOOST_TEST(group.make_leader(has_it));
  }
}

/// Leader Completeness, and with it State Machine Safety; at every step of the simulator they are
/// checked by name (RaftProperties).
BOOST_AUTO_TEST_CASE(a_committed_entry_is_in_the_log_of_every_later_leader_and_all_apply_the_same) {
  RaftGroup group{5};
  std::string applied;
  for (std::uint32_t turn = 0; turn < 10; ++turn) {
    const std::uint32_t leader = group.elect();
    BOOST_REQUIRE(leader != 0);
    BOOST_TEST(group.terms(leader).starts_with(applied));
    const std::uint32_t behind = leader % 5 + 1;
    group.cut(behind);
    const RequestId put = group.put(leader, "k", std::to_string(turn));
    group.settle();
    BOOST_REQUIRE(group.is(put, Status::ok));
    applied = group.terms(leader);
    group.crash(leader);
    group.heal();
    group.win(behind);  // it asks first, and lacks the entry
    BOOST_REQUIRE(group.elect() != 0);
    group.start(leader);
  }
  group.run(seconds{2});
  for (std::uint32_t node = 1; node <= 5; ++node) {
    BOOST_TEST((group.replica(node).life()->applied() == group.raft(1).log().last()));
    BOOST_TEST(group.replica(node).life()->checksum() == group.replica(1).life()->checksum());
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::raft
