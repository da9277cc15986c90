// Raft, sections 5.1 and 5.2, sentence by sentence: terms and elections.
#include <boost/test/unit_test.hpp>

#include "tests/phase5_raft/raft_group.h"

namespace kv::raft {
namespace {

using std::chrono::milliseconds;

/// The first record of that kind, from the end.
template <typename Kind>
std::optional<Kind> last_record(const std::vector<Bytes>& records) {
  for (auto each = records.rbegin(); each != records.rend(); ++each) {
    const auto record = decode_record(*each);
    if (record && std::holds_alternative<Kind>(*record)) {
      return std::get<Kind>(*record);
    }
  }
  return std::nullopt;
}

RequestVote vote_request(std::uint64_t term, std::uint64_t last_index = 0,
                         std::uint64_t last_term = 0) {
  return {.term = {term}, .last_index = {last_index}, .last_term = {last_term}};
}

/// What `to` answers to that request for a vote; nothing if it is silent.
std::optional<Vote> ask(RaftGroup& group, std::uint32_t from, std::uint32_t to,
                        const RequestVote& request) {
  group.drop_mail();
  group.post(from, to, request);
  group.deliver_one();
  return group.take_mail<Vote>(to, from);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(phase5_election)

BOOST_AUTO_TEST_CASE(when_servers_start_up_they_begin_as_followers) {
  RaftGroup group{3};
  for (std::uint32_t node = 1; node <= 3; ++node) {
    BOOST_TEST((group.raft(node).role() == Role::follower));
    BOOST_TEST((group.raft(node).term() == Term{0}));
  }
}

BOOST_AUTO_TEST_CASE(a_follower_that_receives_no_communication_over_a_period_begins_an_election) {
  RaftGroup group{3};
  group.timeout(2);
  BOOST_TEST((group.raft(2).role() == Role::pre_candidate));
  while (!group.mail().empty()) {
    group.deliver_one();
  }
  BOOST_TEST(group.raft(2).leads());
}

BOOST_AUTO_TEST_CASE(a_server_remains_a_follower_as_long_as_it_receives_valid_rpcs_from_a_leader) {
  RaftGroup group{3};
  const std::uint32_t leader = group.elect();
  BOOST_REQUIRE(leader != 0);
  const Term term = group.raft(leader).term();
  group.run(std::chrono::seconds{10});
  BOOST_TEST(group.raft(leader).leads());
  BOOST_TEST((group.raft(leader).term() == term));
}

BOOST_AUTO_TEST_CASE(to_begin_an_election_a_follower_increments_its_current_term) {
  RaftGroup group{3};
  BOOST_REQUIRE(group.make_leader(1));
  BOOST_TEST((group.raft(1).term() == Term{1}));
  group.cut(1);
  BOOST_REQUIRE(group.make_leader(2));
  BOOST_TEST((group.raft(2).term() == Term{2}));
}

BOOST_AUTO_TEST_CASE(it_then_votes_for_itself_and_requests_votes_from_each_of_the_others) {
  RaftGroup group{3};
  group.step(1, [](RaftReplica& replica, Instant now, Effects& out) {
    replica.tick(now + std::chrono::seconds{1}, out);  // pre-votes
    out.sends.clear();
    replica.receive(now, {1}, encode_message(Vote{.term = {1}, .granted = true, .pre = true}), out);
    replica.receive(now, {2}, encode_message(Vote{.term = {1}, .granted = true, .pre = true}), out);
  });
  BOOST_TEST((group.raft(1).role() == Role::candidate));
  BOOST_TEST((group.raft(1).voted_for() == NodeId{1}));
  BOOST_TEST((last_record<HardState>(group.records(1))->voted_for == NodeId{1}));
  for (const std::uint32_t other : {2U, 3U}) {
    const auto request = group.take_mail<RequestVote>(1, other);
    BOOST_REQUIRE(request.has_value());
    BOOST_TEST(!request->pre);
    BOOST_TEST((request->term == Term{1}));
  }
}

BOOST_AUTO_TEST_CASE(a_candidate_wins_if_it_receives_votes_from_a_majority_of_the_full_cluster) {
  RaftGroup group{5};
  group.cut(4);
  group.cut(5);
  BOOST_TEST(group.make_leader(1));
  RaftGroup minority{5};
  for (const std::uint32_t node : {3U, 4U, 5U}) {
    minority.cut(node);
  }
  BOOST_TEST(!minority.make_leader(1));
  BOOST_TEST((minority.raft(1).term() == Term{0}));  // it did not even try: PreVote
}

BOOST_AUTO_TEST_CASE(each_server_will_vote_for_at_most_one_candidate_in_a_given_term) {
  RaftGroup group{3};
  BOOST_TEST(ask(group, 2, 1, vote_request(1))->granted);
  BOOST_TEST(!ask(group, 3, 1, vote_request(1))->granted);
}

BOOST_AUTO_TEST_CASE(also_if_it_was_restarted_in_between) {
  RaftGroup group{3};
  BOOST_TEST(ask(group, 2, 1, vote_request(1))->granted);
  group.restart(1);
  BOOST_TEST(!ask(group, 3, 1, vote_request(1))->granted);
  BOOST_TEST(ask(group, 2, 1, vote_request(1))->granted);  // its answer may have been lost
}

BOOST_AUTO_TEST_CASE(no_vote_leaves_before_the_disk_has_it) {
  RaftGroup group{3};
  group.hang_disk(1);
  BOOST_TEST(!ask(group, 2, 1, vote_request(1)).has_value());
  group.mend_disk(1);
  BOOST_TEST(group.take_mail<Vote>(1, 2)->granted);
}

BOOST_AUTO_TEST_CASE(once_it_wins_it_sends_heartbeats_to_all_others_to_establish_its_authority) {
  RaftGroup group{3};
  group.timeout(1);
  while (!group.raft(1).leads()) {
    group.deliver_one();
  }
  group.drop_mail();
  group.timeout(1);
  BOOST_TEST(group.take_mail<AppendEntries>(1, 2).has_value());
  BOOST_TEST(group.take_mail<AppendEntries>(1, 3).has_value());
}

BOOST_AUTO_TEST_CASE(a_candidate_that_hears_of_a_leader_of_its_term_returns_to_follower_state) {
  RaftGroup group{3};
  BOOST_REQUIRE(group.make_leader(1));
  group.cut(1);
  group.run(milliseconds{1000});
  const std::uint32_t second = group.raft(2).leads() ? 2 : 3;
  const std::uint32_t third = 5 - second;
  group.cut(second, third);
  group.timeout(third);  // it hears nothing: it asks for votes
  BOOST_TEST((group.raft(third).role() == Role::pre_candidate));
  group.drop_mail();
  group.post(second, third, AppendEntries{.term = group.raft(second).term()});
  group.heal();
  group.deliver_one();
  BOOST_TEST((group.raft(third).role() == Role::follower));
  BOOST_TEST((group.raft(third).leader() == NodeId{second}));
}

BOOST_AUTO_TEST_CASE(if_the_term_in_the_rpc_is_smaller_it_rejects_it_and_continues) {
  RaftGroup group{3};
  BOOST_REQUIRE(group.make_leader(1));
  group.cut(1);
  BOOST_REQUIRE(group.make_leader(2));
  group.heal();
  group.drop_mail();
  group.post(1, 2, AppendEntries{.term = {1}});
  group.deliver_one();
  BOOST_TEST(group.raft(2).leads());
  const auto answer = group.take_mail<Appended>(2, 1);
  BOOST_REQUIRE(answer.has_value());
  BOOST_TEST(!answer->matched);
  BOOST_TEST((answer->term == Term{2}));
}

BOOST_AUTO_TEST_CASE(if_a_leader_discovers_that_its_term_is_out_of_date_it_reverts_to_follower) {
  RaftGroup group{3};
  BOOST_REQUIRE(group.make_leader(1));
  group.post(2, 1, Appended{.term = {7}});
  group.deliver_one();
  BOOST_TEST((group.raft(1).role() == Role::follower));
  BOOST_TEST((group.raft(1).term() == Term{7}));
  BOOST_TEST((last_record<HardState>(group.records(1))->term == Term{7}));
}

BOOST_AUTO_TEST_CASE(
    if_a_servers_term_is_smaller_than_the_others_it_updates_it_to_the_larger_value) {
  RaftGroup group{3};
  const auto vote = ask(group, 2, 1, vote_request(7));
  BOOST_REQUIRE(vote.has_value());
  BOOST_TEST((vote->term == Term{7}));
  BOOST_TEST((group.raft(1).term() == Term{7}));
  group.post(3, 1, Appended{.term = {6}});  // terms only rise
  group.deliver_one();
  BOOST_TEST((group.raft(1).term() == Term{7}));
}

BOOST_AUTO_TEST_CASE(if_a_candidate_discovers_that_its_term_is_out_of_date_it_reverts_to_follower) {
  RaftGroup group{3};
  group.timeout(1);
  BOOST_REQUIRE((group.raft(1).role() == Role::pre_candidate));
  group.drop_mail();
  group.post(2, 1, Vote{.term = {7}});
  group.deliver_one();
  BOOST_TEST((group.raft(1).role() == Role::follower));
  BOOST_TEST((group.raft(1).term() == Term{7}));
}

BOOST_AUTO_TEST_CASE(servers_retry_rpcs_if_they_do_not_receive_a_response_in_a_timely_manner) {
  RaftReplicaOptions options;
  options.ask_votes_again_after = milliseconds{20};
  RaftGroup group{3, options};
  group.timeout(1);
  BOOST_REQUIRE(group.take_mail<RequestVote>(1, 2).has_value());
  BOOST_REQUIRE(group.take_mail<RequestVote>(1, 3).has_value());
  group.post(3, 1, Vote{.term = {}, .granted = false, .pre = true});
  while (!group.mail().empty()) {
    group.deliver_one();
  }
  group.timeout(1);
  BOOST_TEST(group.take_mail<RequestVote>(1, 2).has_value());
  BOOST_TEST(!group.take_mail<RequestVote>(1, 3).has_value());  // it has answered
}

BOOST_AUTO_TEST_CASE(if_votes_are_split_candidates_time_out_and_start_a_new_election) {
  RaftGroup group{4};
  group.timeout(1);
  group.timeout(2);  // both ask before either is heard
  BOOST_TEST(group.elect() != 0U);
}

BOOST_AUTO_TEST_CASE(election_timeouts_are_chosen_randomly_from_a_fixed_interval) {
  const RaftReplicaOptions options;
  std::set<Duration> drawn;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    RaftReplicaOptions own;
    own.seed = seed;
    RaftGroup group{3, own};
    const Duration waits = group.replica(1).wake_at() - group.clock(1);
    BOOST_TEST((waits >= options.election_timeout && waits <= 2 * options.election_timeout));
    drawn.insert(waits);
  }
  BOOST_TEST(drawn.size() > 15U);
}

// --- PreVote, CheckQuorum, stickiness ------------------------------------------------------------

BOOST_AUTO_TEST_CASE(one_that_was_cut_off_does_not_disturb_when_it_comes_back) {
  RaftGroup group{3};
  BOOST_REQUIRE(group.make_leader(1));
  group.cut(3);
  group.run(std::chrono::seconds{20});
  BOOST_TEST((group.raft(3).term() == Term{1}));
  group.heal();
  group.run(std::chrono::seconds{1});
  BOOST_TEST(group.raft(1).leads());
  BOOST_TEST((group.raft(3).leader() == NodeId{1}));
}

BOOST_AUTO_TEST_CASE(a_leader_that_hears_no_majority_steps_down) {
  RaftGroup group{3};
  BOOST_REQUIRE(group.make_leader(1));
  group.cut(1);
  group.run(2 * RaftReplicaOptions{}.election_timeout);
  BOOST_TEST(!group.raft(1).leads());
}

BOOST_AUTO_TEST_CASE(who_hears_a_leader_helps_nobody_to_become_one) {
  RaftGroup group{3};
  BOOST_REQUIRE(group.make_leader(1));
  BOOST_TEST(!ask(group, 3, 2, vote_request(2, 99, 1)).has_value());
  BOOST_TEST((group.raft(2).term() == Term{1}));
}

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

// --- disks ---------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(a_leader_whose_disk_hangs_leads_no_more_after_two_election_timeouts) {
  RaftGroup group{3};
  BOOST_REQUIRE(group.make_leader(1));
  group.hang_disk(1);
  group.put(1, "k", "1");
  group.run(2 * RaftReplicaOptions{}.election_timeout);
  BOOST_TEST(!group.raft(1).leads());
  const std::uint32_t next = group.elect();
  BOOST_TEST((next == 2 || next == 3));
  group.run(std::chrono::seconds{5});
  BOOST_TEST(!group.raft(1).leads());
  BOOST_TEST((group.raft(next).leads()));
}

BOOST_AUTO_TEST_CASE(disks_that_take_50_ms_a_sync_start_no_election) {
  RaftGroup group{3};
  BOOST_REQUIRE(group.make_leader(1));
  for (int i = 0; i < 100; ++i) {
    for (std::uint32_t node = 1; node <= 3; ++node) {
      group.hang_disk(node);
    }
    const RequestId put = group.put(1 + static_cast<std::uint32_t>(i) % 3, "k", std::to_string(i));
    for (int sync = 0; sync < 3; ++sync) {  // one at a time, each node's after 50 ms
      group.run(milliseconds{50});
      for (std::uint32_t node = 1; node <= 3; ++node) {
        group.mend_disk(node);
        group.hang_disk(node);
      }
    }
    for (std::uint32_t node = 1; node <= 3; ++node) {
      group.mend_disk(node);
    }
    group.settle();
    BOOST_TEST(group.is(put, Status::ok));
  }
  BOOST_TEST(group.raft(1).leads());
  BOOST_TEST((group.raft(1).term() == Term{1}));
}

BOOST_AUTO_TEST_CASE(one_whose_disk_hangs_never_asks_for_votes) {
  RaftGroup group{3};
  BOOST_REQUIRE(group.make_leader(1));
  group.hang_disk(2);
  const Term term = group.raft(1).term();
  group.cut(2);
  group.run(std::chrono::seconds{5});
  group.heal();
  group.run(std::chrono::seconds{5});
  BOOST_TEST(group.raft(1).leads());
  BOOST_TEST((group.raft(1).term() == term));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::raft
