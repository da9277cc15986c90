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

/// All that tell the receiver a term, without a reason to answer.
std::vector<Message> messages_of(Term term) {
  return {RequestVote{.term = term},   Vote{.term = term},
          AppendEntries{.term = term}, Appended{.term = term},
          Installed{.term = term},     InstallSnapshot{.term = term, .last_index = {1}}};
}

}  // namespace

BOOST_AUTO_TEST_SUITE(phase5_election)

// --- 5.1 -----------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(in_normal_operation_one_leads_and_all_others_follow_it) {
  RaftGroup group{5};
  const std::uint32_t leader = group.elect();
  BOOST_REQUIRE(leader != 0);
  group.run(std::chrono::seconds{1});
  for (std::uint32_t node = 1; node <= 5; ++node) {
    BOOST_TEST((group.raft(node).role() == (node == leader ? Role::leader : Role::follower)));
    BOOST_TEST((group.raft(node).leader() == NodeId{leader}));
  }
}

BOOST_AUTO_TEST_CASE(followers_issue_no_requests_and_only_answer) {
  RaftGroup group{3};
  BOOST_REQUIRE(group.make_leader(1));
  group.drop_mail();
  group.step(2, [](RaftReplica& replica, Instant now, Effects& out) {
    replica.tick(now + RaftReplicaOptions{}.election_timeout - milliseconds{1}, out);
    BOOST_TEST(out.sends.empty());
  });
  group.post(1, 2, AppendEntries{.term = {1}, .previous = {1}, .previous_term = {1}, .round = 9});
  group.deliver_one();
  group.nudge(2);
  BOOST_TEST(group.take_mail<Appended>(2, 1).has_value());
  BOOST_TEST(group.mail().empty());
}

BOOST_AUTO_TEST_CASE(
    if_a_servers_term_is_smaller_than_the_others_it_updates_it_to_the_larger_value) {
  for (const Message& message : messages_of({7})) {
    RaftGroup group{3};
    group.drop_mail();
    group.post(2, 1, message);
    group.deliver_one();
    BOOST_TEST((group.raft(1).term() == Term{7}));
    group.restart(1);
    BOOST_TEST((group.raft(1).term() == Term{7}));  // it is on its disk
  }
}

BOOST_AUTO_TEST_CASE(the_current_term_increases_monotonically) {
  RaftGroup group{3};
  BOOST_TEST((ask(group, 2, 1, vote_request(7))->term == Term{7}));
  for (const Message& message : messages_of({6})) {
    group.post(3, 1, message);
    group.deliver_one();
    BOOST_TEST((group.raft(1).term() == Term{7}));
  }
}

/// But for a question for votes: a leader that a majority hears sticks (PreVote, below).
BOOST_AUTO_TEST_CASE(if_a_leader_discovers_that_its_term_is_out_of_date_it_reverts_to_follower) {
  for (const Message& message : messages_of({7})) {
    if (std::holds_alternative<RequestVote>(message)) {
      continue;
    }
    RaftGroup group{3};
    BOOST_REQUIRE(group.make_leader(1));
    group.drop_mail();
    group.post(2, 1, message);
    group.deliver_one();
    BOOST_TEST((group.raft(1).role() == Role::follower));
    BOOST_TEST((group.raft(1).term() == Term{7}));
  }
}

BOOST_AUTO_TEST_CASE(if_a_candidate_discovers_that_its_term_is_out_of_date_it_reverts_to_follower) {
  for (const Message& message : messages_of({7})) {
    RaftGroup group{3};
    BOOST_REQUIRE(group.make_candidate(1));
    group.drop_mail();
    group.post(2, 1, message);
    group.deliver_one();
    BOOST_TEST((group.raft(1).role() == Role::follower));
    BOOST_TEST((group.raft(1).term() == Term{7}));
  }
}

BOOST_AUTO_TEST_CASE(a_request_with_a_stale_term_is_rejected_and_told_the_current_one) {
  RaftGroup group{3};
  BOOST_REQUIRE(ask(group, 2, 1, vote_request(7))->granted);
  const auto vote = ask(group, 2, 1, vote_request(6, 9, 6));
  BOOST_REQUIRE(vote.has_value());
  BOOST_TEST(!vote->granted);
  BOOST_TEST((vote->term == Term{7}));
  group.post(2, 1, AppendEntries{.term = {6}, .entries = entries_of({6})});
  group.deliver_one();
  const auto appended = group.take_mail<Appended>(1, 2);
  BOOST_REQUIRE(appended.has_value());
  BOOST_TEST(!appended->matched);
  BOOST_TEST((appended->term == Term{7}));
  BOOST_TEST(group.terms(1).empty());
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

// --- 5.2 -----------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(when_servers_start_up_they_begin_as_followers) {
  RaftGroup group{3};
  for (std::uint32_t node = 1; node <= 3; ++node) {
    BOOST_TEST((group.raft(node).role() == Role::follower));
    BOOST_TEST((group.raft(node).term() == Term{0}));
  }
}

BOOST_AUTO_TEST_CASE(a_follower_that_receives_no_communication_over_a_period_begins_an_election) {
  RaftGroup group{3};
  const Duration waits = group.replica(2).wake_at() - group.clock(2);
  group.step(2, [waits](RaftReplica& replica, Instant now, Effects& out) {
    replica.tick(now + waits - Duration{1}, out);
    BOOST_TEST((replica.life()->raft().role() == Role::follower));
    replica.tick(now + waits, out);
    BOOST_TEST((replica.life()->raft().role() == Role::pre_candidate));
  });
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
  group.notes().clear();
  group.run(std::chrono::seconds{10});
  BOOST_TEST(group.raft(leader).leads());
  BOOST_TEST((group.raft(leader).term() == term));
  for (const NotedLine& line : group.notes()) {
    BOOST_TEST(line.fields.find("event=pre_candidate") == std::string::npos);
  }
}

BOOST_AUTO_TEST_CASE(or_as_long_as_it_grants_its_vote_to_a_candidate) {
  RaftGroup group{3};
  group.idle(RaftReplicaOptions{}.election_timeout - milliseconds{1});
  BOOST_REQUIRE(ask(group, 2, 1, vote_request(1))->granted);
  BOOST_TEST(
      (group.replica(1).wake_at() - group.clock(1) >= RaftReplicaOptions{}.election_timeout));
}

BOOST_AUTO_TEST_CASE(what_is_stale_and_a_vote_that_is_refused_hold_no_election_up) {
  RaftGroup group{3};
  fill_log(group, 2, 1, {1, 1}, 1);
  group.nudge(1);
  group.idle(RaftReplicaOptions{}.election_timeout - milliseconds{1});
  const Instant due = group.replica(1).wake_at();
  BOOST_REQUIRE((due > group.clock(1)));
  group.idle(milliseconds{1});  // it sticks to its leader no longer
  BOOST_REQUIRE(!ask(group, 3, 1, vote_request(2, 1, 1))->granted);
  BOOST_TEST((group.raft(1).term() == Term{2}));
  BOOST_TEST((group.replica(1).wake_at() == due));
  group.post(2, 1, AppendEntries{.term = {1}, .previous = {2}, .previous_term = {1}, .round = 5});
  group.deliver_one();
  BOOST_TEST((group.replica(1).wake_at() == due));
}

BOOST_AUTO_TEST_CASE(leaders_send_periodic_heartbeats_that_carry_no_entries_to_all_followers) {
  RaftGroup group{3};
  BOOST_REQUIRE(group.make_leader(1));
  group.run(milliseconds{200});
  for (int beat = 0; beat < 4; ++beat) {
    const Instant before = group.clock(1);
    group.timeout(1);
    BOOST_TEST((group.clock(1) - before <= RaftReplicaOptions{}.heartbeat_every));
    for (const std::uint32_t other : {2U, 3U}) {
      const auto heartbeat = group.take_mail<AppendEntries>(1, other);
      BOOST_REQUIRE(heartbeat.has_value());
      BOOST_TEST(heartbeat->entries.empty());
    }
  }
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

BOOST_AUTO_TEST_CASE(it_stays_a_candidate_until_votes_of_enough_servers_for_its_term_have_come) {
  RaftGroup group{5};
  BOOST_REQUIRE(ask(group, 2, 1, vote_request(1))->granted);  // so its own election is of term 2
  BOOST_REQUIRE(group.make_candidate(1));
  while (!group.mail().empty()) {
    if (group.mail().front().to == NodeId{1}) {
      group.deliver_one();  // its own vote, from its disk
    } else {
      group.mail().pop_front();
    }
  }
  const auto answer = [&group](std::uint32_t from, const Vote& vote) {
    group.post(from, 1, vote);
    group.deliver_one();
    return group.raft(1).role();
  };
  const Vote granted{.term = {2}, .granted = true};
  BOOST_TEST((answer(3, {.term = {1}, .granted = true}) == Role::candidate));  // of an old election
  BOOST_TEST((answer(4, {.term = {1}, .granted = true}) == Role::candidate));
  BOOST_TEST((answer(3, {.term = {2}, .granted = true, .pre = true}) == Role::candidate));
  BOOST_TEST((answer(4, {.term = {2}, .granted = false}) == Role::candidate));
  BOOST_TEST((answer(5, {.term = {2}, .granted = false}) == Role::candidate));
  BOOST_TEST((answer(2, granted) == Role::candidate));
  BOOST_TEST((answer(2, granted) == Role::candidate));  // the same one again
  BOOST_TEST((answer(3, granted) == Role::leader));
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

/// Election Safety.
BOOST_AUTO_TEST_CASE(at_most_one_candidate_wins_in_a_term) {
  std::size_t elections = 0;
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    RaftGroup group{5};
    group.storm(0.2, seed);
    Random chance{seed};
    std::map<Term, std::uint32_t> leaders;
    for (int i = 0; i < 400; ++i) {
      if (chance.chance(0.1) || group.mail().empty()) {
        group.idle(RaftReplicaOptions{}.election_timeout);
        group.timeout(1 + static_cast<std::uint32_t>(chance.below(5)));
      } else {
        group.deliver_one();
      }
      for (std::uint32_t node = 1; node <= 5; ++node) {
        if (group.raft(node).leads()) {
          BOOST_REQUIRE(leaders.emplace(group.raft(node).term(), node).first->second == node);
        }
      }
    }
    elections += leaders.size();
  }
  BOOST_TEST(elections > 50U);
}

BOOST_AUTO_TEST_CASE(once_it_wins_it_sends_heartbeats_to_all_others_to_establish_its_authority) {
  RaftGroup group{3};
  group.timeout(1);
  while (!group.raft(1).leads()) {
    group.deliver_one();
  }
  group.drop_mail();
  const Instant won = group.clock(1);
  group.timeout(1);
  BOOST_TEST((group.clock(1) == won));  // at once
  BOOST_TEST(group.take_mail<AppendEntries>(1, 2).has_value());
  BOOST_TEST(group.take_mail<AppendEntries>(1, 3).has_value());
}

BOOST_AUTO_TEST_CASE(a_candidate_that_hears_of_a_leader_of_its_term_returns_to_follower_state) {
  RaftGroup group{3};
  BOOST_REQUIRE(group.make_candidate(1));
  group.drop_mail();
  group.post(2, 1, AppendEntries{.term = {1}});
  group.deliver_one();
  BOOST_TEST((group.raft(1).role() == Role::follower));
  BOOST_TEST((group.raft(1).leader() == NodeId{2}));
  BOOST_TEST((group.raft(1).term() == Term{1}));
  BOOST_TEST((group.raft(1).voted_for() == NodeId{1}));  // in this term it votes for nobody else
}

BOOST_AUTO_TEST_CASE(if_the_term_in_the_rpc_is_smaller_it_rejects_it_and_continues_as_candidate) {
  RaftGroup group{3};
  group.post(2, 1, AppendEntries{.term = {3}});
  group.deliver_one();
  BOOST_REQUIRE(group.make_candidate(1));
  BOOST_REQUIRE((group.raft(1).term() == Term{4}));
  group.drop_mail();
  group.post(2, 1, AppendEntries{.term = {3}});
  group.deliver_one();
  BOOST_TEST((group.raft(1).role() == Role::candidate));
  const auto answer = group.take_mail<Appended>(1, 2);
  BOOST_REQUIRE(answer.has_value());
  BOOST_TEST(!answer->matched);
  BOOST_TEST((answer->term == Term{4}));
}

BOOST_AUTO_TEST_CASE(if_votes_are_split_candidates_time_out_and_start_a_new_election) {
  RaftGroup group{4};
  group.timeout(1);
  group.timeout(2);
  while (group.raft(1).role() != Role::candidate || group.raft(2).role() != Role::candidate) {
    BOOST_REQUIRE(!group.mail().empty());
    group.deliver_one();
  }
  group.cut(1, 4);
  group.cut(2, 3);
  while (!group.mail().empty()) {
    group.deliver_one();
  }
  for (const std::uint32_t node : {1U, 2U}) {  // two votes of four each: nobody wins term 1
    BOOST_TEST((group.raft(node).role() == Role::candidate));
    BOOST_TEST((group.raft(node).term() == Term{1}));
    BOOST_TEST((group.raft(node + 2).voted_for() == NodeId{node}));
  }
  group.heal();
  group.timeout(1);
  const auto request = group.take_mail<RequestVote>(1, 3);
  BOOST_REQUIRE(request.has_value());
  BOOST_TEST((request->term == Term{2}));
  const std::uint32_t leader = group.elect();
  BOOST_REQUIRE(leader != 0U);
  BOOST_TEST((group.raft(leader).term() >= Term{2}));
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

BOOST_AUTO_TEST_CASE(a_candidate_draws_its_timeout_anew_and_waits_for_it_before_the_next_election) {
  RaftGroup group{3};
  BOOST_REQUIRE(group.make_candidate(1));
  group.drop_mail();
  std::set<Duration> drawn;
  for (int i = 0; i < 20; ++i) {
    const Duration waits = group.replica(1).wake_at() - group.clock(1);
    BOOST_TEST((waits >= RaftReplicaOptions{}.election_timeout &&
                waits <= 2 * RaftReplicaOptions{}.election_timeout));
    drawn.insert(waits);
    BOOST_TEST(group.mail().empty());  // it asks once an election
    group.timeout(1);
    BOOST_TEST(group.take_mail<RequestVote>(1, 2).has_value());
    group.drop_mail();
  }
  BOOST_TEST(drawn.size() > 15U);
}

// --- PreVote, CheckQuorum, stickiness ------------------------------------------------------------

BOOST_AUTO_TEST_CASE(one_that_asks_whether_it_would_win_follows_the_leader_of_its_term) {
  RaftGroup group{3};
  BOOST_REQUIRE(group.make_leader(1));
  group.timeout(2);
  BOOST_REQUIRE((group.raft(2).role() == Role::pre_candidate));
  group.drop_mail();
  group.post(1, 2, AppendEntries{.term = {1}, .previous = {1}, .previous_term = {1}});
  group.deliver_one();
  BOOST_TEST((group.raft(2).role() == Role::follower));
  BOOST_TEST((group.raft(2).leader() == NodeId{1}));
}

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
