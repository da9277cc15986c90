// Raft, section 5.3, sentence by sentence: the log; and section 8: clients, and reads.
#include <boost/test/unit_test.hpp>

#include "tests/phase5_raft/raft_group.h"

namespace kv::raft {
namespace {

using std::chrono::seconds;

RaftReplicaOptions gathering() {
  RaftReplicaOptions options;
  options.gather = std::chrono::milliseconds{5};
  return options;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(phase5_log)

// --- 5.3 -----------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(the_leader_appends_the_command_and_sends_it_to_each_of_the_other_servers) {
  RaftGroup group{3};
  BOOST_REQUIRE(group.make_leader(1));
  group.put(1, "k", "v");
  group.timeout(1);
  BOOST_TEST(group.terms(1) == "1 1");
  for (const std::uint32_t other : {2U, 3U}) {
    const auto append = group.take_mail<AppendEntries>(1, other);
    BOOST_REQUIRE(append.has_value());
    BOOST_TEST((append->previous == Index{1}));
    BOOST_TEST(!append->entries.empty());
  }
}

BOOST_AUTO_TEST_CASE(when_safely_replicated_the_leader_applies_it_and_returns_the_result) {
  RaftGroup group{3};
  BOOST_REQUIRE(group.make_leader(1));
  group.cut(2);
  group.cut(3);
  const RequestId put = group.put(1, "k", "v");
  group.settle();
  BOOST_TEST(group.answer(put) == nullptr);
  group.heal();
  group.run(std::chrono::milliseconds{100});
  BOOST_TEST(group.is(put, Status::ok));
}

BOOST_AUTO_TEST_CASE(if_packets_are_lost_the_leader_retries_until_all_followers_have_all_entries) {
  RaftGroup group{3};
  BOOST_REQUIRE(group.make_leader(1));
  group.cut(3);
  for (int i = 0; i < 20; ++i) {
    const RequestId put = group.put(1, "k", std::to_string(i));
    group.settle();
    BOOST_TEST(group.is(put, Status::ok));  // and it goes on after it has answered, …
  }
  group.crash(3);
  group.run(std::chrono::minutes{1});  // … for as long as it takes
  group.start(3);
  group.heal();
  group.run(seconds{1});
  BOOST_TEST(group.terms(3) == group.terms(1));
  BOOST_TEST((group.raft(3).commit() == group.raft(1).commit()));
}

BOOST_AUTO_TEST_CASE(an_entry_is_committed_once_it_is_on_a_majority_of_the_servers) {
  RaftGroup group{5};
  BOOST_REQUIRE(group.make_leader(1));
  group.cut(4);
  group.cut(5);
  const RequestId on_three = group.put(1, "k", "v");
  group.settle();
  BOOST_TEST(group.is(on_three, Status::ok));
  group.cut(3);
  const RequestId on_two = group.put(1, "k", "w");
  group.settle();
  BOOST_TEST(group.answer(on_two) == nullptr);
}

BOOST_AUTO_TEST_CASE(one_round_to_a_majority_is_enough_and_a_slow_follower_holds_nobody_up) {
  RaftGroup group{3};
  BOOST_REQUIRE(group.make_leader(1));
  group.hang_disk(3);
  const Instant asked = group.clock(1);
  const RequestId put = group.put(1, "k", "v");
  group.timeout(1);
  BOOST_REQUIRE(group.mail().size() == 3U);  // to each follower, and from the leader's own disk
  for (int i = 0; i < 3; ++i) {
    group.deliver_one();
  }
  BOOST_TEST(group.mail().empty());
  group.timeout(2);
  BOOST_REQUIRE(group.mail().size() == 1U);
  group.deliver_one();
  BOOST_TEST(group.is(put, Status::ok));
  BOOST_TEST((group.clock(1) == asked));
}

BOOST_AUTO_TEST_CASE(the_leaders_own_disk_counts_only_when_it_has_the_entry) {
  RaftGroup group{3};
  BOOST_REQUIRE(group.make_leader(1));
  group.cut(3);
  group.hang_disk(1);
  group.put(1, "k", "v");
  group.settle();  // node 2 has it, and node 1 not yet
  BOOST_TEST((group.raft(1).commit() == Index{1}));
  group.mend_disk(1);
  group.settle();
  BOOST_TEST((group.raft(1).commit() == Index{2}));
}

BOOST_AUTO_TEST_CASE(entries_are_committed_without_the_leaders_disk_if_a_majority_has_them) {
  RaftGroup group{3};
  BOOST_REQUIRE(group.make_leader(1));
  group.hang_disk(1);
  const RequestId put = group.put(1, "k", "v");
  group.settle();
  BOOST_TEST((group.raft(1).commit() == Index{2}));
  BOOST_TEST(group.answer(put) == nullptr);  // an answer waits for the records before it
}

BOOST_AUTO_TEST_CASE(a_followers_acknowledgement_waits_for_its_disk) {
  RaftGroup group{3};
  BOOST_REQUIRE(group.make_leader(1));
  group.cut(3);
  group.hang_disk(2);
  group.put(1, "k", "v");
  group.settle();  // node 1 has it, and node 2 not yet
  BOOST_TEST((group.raft(1).commit() == Index{1}));
  group.mend_disk(2);
  group.settle();
  BOOST_TEST((group.raft(1).commit() == Index{2}));
}

BOOST_AUTO_TEST_CASE(
    the_leader_includes_the_highest_index_it_knows_to_be_committed_in_future_rpcs) {
  RaftGroup group{3};
  BOOST_REQUIRE(group.make_leader(1));
  group.put(1, "k", "1");
  group.settle();
  group.put(1, "k", "2");
  group.timeout(1);
  const auto append = group.take_mail<AppendEntries>(1, 2);
  BOOST_REQUIRE(append.has_value());
  BOOST_TEST((append->commit == Index{2}));
  group.settle();
  group.drop_mail();
  group.timeout(1);
  const auto heartbeat = group.take_mail<AppendEntries>(1, 2);
  BOOST_REQUIRE(heartbeat.has_value());
  BOOST_TEST(heartbeat->entries.empty());
  BOOST_TEST((heartbeat->commit == Index{3}));
}

BOOST_AUTO_TEST_CASE(when_a_leader_first_comes_to_power_next_index_is_just_after_its_last_entry) {
  RaftGroup group{3};
  fill_log(group, 2, 1, {1, 1, 1}, 1);
  group.cut(2);
  BOOST_REQUIRE(group.win(1));
  group.timeout(1);
  const auto append = group.take_mail<AppendEntries>(1, 3);
  BOOST_REQUIRE(append.has_value());
  BOOST_TEST((append->previous == Index{3}));
  BOOST_TEST((append->previous_term == Term{1}));
}

BOOST_AUTO_TEST_CASE(once_a_follower_learns_that_an_entry_is_committed_it_applies_it_in_log_order) {
  RaftGroup group{3};
  BOOST_REQUIRE(group.make_leader(1));
  group.put(1, "k", "1");
  group.put(1, "k", "2");
  group.run(std::chrono::milliseconds{100});
  for (std::uint32_t node = 1; node <= 3; ++node) {
    BOOST_TEST((group.replica(node).life()->applied() == Index{3}));
    BOOST_TEST(group.replica(node).life()->checksum() == group.replica(1).life()->checksum());
    const RequestId read = group.get(node, "k");
    group.settle();
    BOOST_TEST(group.is(read, Status::ok, "2"));
  }
}

BOOST_AUTO_TEST_CASE(a_follower_applies_nothing_before_it_learns_that_it_is_committed) {
  RaftGroup group{3};
  BOOST_REQUIRE(group.make_leader(1));
  group.put(1, "k", "v");
  group.settle();
  BOOST_TEST(group.terms(2) == "1 1");
  BOOST_TEST((group.replica(1).life()->applied() == Index{2}));
  BOOST_TEST((group.replica(2).life()->applied() < Index{2}));
}

BOOST_AUTO_TEST_CASE(commit_index_is_the_leaders_or_the_last_new_entry_and_never_falls) {
  RaftGroup group{3};
  fill_log(group, 2, 1, {1, 1, 1, 1}, 1);
  group.post(3, 1,
             AppendEntries{.term = {2}, .commit = {4}, .round = 1, .entries = entries_of({1, 1})});
  group.deliver_one();  // what stands behind was not compared
  BOOST_TEST((group.raft(1).commit() == Index{2}));
  group.nudge(1);
  const auto answer = group.take_mail<Appended>(1, 3);
  BOOST_REQUIRE(answer.has_value());
  BOOST_TEST(answer->matched);  // and a success says no more either
  BOOST_TEST((answer->match == Index{2}));
  group.post(3, 1,
             AppendEntries{.term = {2}, .previous = {2}, .previous_term = {1}, .commit = {1}});
  group.deliver_one();
  BOOST_TEST((group.raft(1).commit() == Index{2}));
}

BOOST_AUTO_TEST_CASE(
    if_the_follower_has_no_entry_with_that_index_and_term_it_refuses_the_new_ones) {
  RaftGroup group{3};
  fill_log(group, 2, 1, {1, 1}, 1);
  group.post(2, 1,
             AppendEntries{
                 .term = {2}, .previous = {2}, .previous_term = {2}, .entries = entries_of({2})});
  group.deliver_one();
  const auto answer = group.take_mail<Appended>(1, 2);
  BOOST_REQUIRE(answer.has_value());
  BOOST_TEST(!answer->matched);
  BOOST_TEST((answer->hint == Index{2}));
  BOOST_TEST((answer->hint_term == Term{1}));
  BOOST_TEST(group.terms(1) == "1 1");
}

BOOST_AUTO_TEST_CASE(or_if_its_log_ends_before_that_index) {
  RaftGroup group{3};
  fill_log(group, 2, 1, {1, 1}, 1);
  group.post(2, 1,
             AppendEntries{
                 .term = {2}, .previous = {5}, .previous_term = {1}, .entries = entries_of({2})});
  group.deliver_one();
  const auto answer = group.take_mail<Appended>(1, 2);
  BOOST_REQUIRE(answer.has_value());
  BOOST_TEST(!answer->matched);
  BOOST_TEST((answer->hint == Index{2}));
  BOOST_TEST(group.terms(1) == "1 1");
}

BOOST_AUTO_TEST_CASE(conflicting_entries_in_follower_logs_are_overwritten_with_the_leaders) {
  RaftGroup group{3};
  fill_log(group, 2, 1, {1, 1, 2, 2}, 2);
  group.post(
      3, 1,
      AppendEntries{
          .term = {3}, .previous = {2}, .previous_term = {1}, .entries = entries_of({3, 3, 3})});
  group.deliver_one();
  BOOST_TEST(group.terms(1) == "1 1 3 3 3");
  group.restart(1);
  BOOST_TEST(group.terms(1) == "1 1 3 3 3");
}

BOOST_AUTO_TEST_CASE(entries_that_match_are_not_taken_away_by_an_old_message) {
  RaftGroup group{3};
  fill_log(group, 2, 1, {1, 1, 1, 1}, 1);
  group.post(2, 1, AppendEntries{.term = {1}, .previous = {}, .entries = entries_of({1, 1})});
  group.deliver_one();
  BOOST_TEST(group.terms(1) == "1 1 1 1");
}

BOOST_AUTO_TEST_CASE(only_entries_that_are_not_in_the_log_already_are_appended) {
  RaftGroup group{3};
  fill_log(group, 2, 1, {1, 1}, 1);
  const std::size_t records = group.records(1).size();
  const AppendEntries append{.term = {1}, .entries = entries_of({1, 1, 1})};
  group.post(2, 1, append);
  group.post(2, 1, append);
  group.deliver_one();
  group.deliver_one();
  BOOST_TEST(group.terms(1) == "1 1 1");
  BOOST_REQUIRE(group.records(1).size() == records + 1);
  const auto record = decode_record(group.records(1).back());
  BOOST_TEST((std::get<EntriesRecord>(*record).previous == Index{2}));
}

BOOST_AUTO_TEST_CASE(after_a_restart_nothing_is_taken_to_be_the_leaders_before_it_was_compared) {
  RaftGroup group{3};
  fill_log(group, 2, 1, {1, 1, 1}, 1);
  group.idle(2 * RaftReplicaOptions{}.election_timeout);
  group.post(3, 1, RequestVote{.term = {2}, .last_index = {9}, .last_term = {1}});
  group.deliver_one();
  group.restart(1);
  group.drop_mail();
  group.post(3, 1, AppendEntries{.term = {2}, .previous = {1}, .previous_term = {1}, .round = 1});
  group.deliver_one();
  group.nudge(1);
  const auto answer = group.take_mail<Appended>(1, 3);
  BOOST_REQUIRE(answer.has_value());
  BOOST_TEST((answer->match == Index{1}));
}

BOOST_AUTO_TEST_CASE(a_leader_never_overwrites_or_deletes_entries_in_its_own_log) {
  RaftGroup group{3};
  BOOST_REQUIRE(group.make_leader(1));
  group.cut(1);
  group.put(1, "k", "lost");
  group.settle();
  BOOST_REQUIRE(group.make_leader(2));
  BOOST_TEST(group.terms(1) == "1 1");  // until it follows another
  group.heal();
  group.run(seconds{1});
  BOOST_TEST(group.terms(1) == group.terms(2));
}

/// Figure 7: what a follower's log can look like when the leader of term 8 comes to power.
BOOST_AUTO_TEST_CASE(the_logs_of_figure_7_become_the_leaders) {
  const std::vector<std::vector<std::uint64_t>> logs{
      {1, 1, 1, 4, 4, 5, 5, 6, 6, 6},        // the leader's
      {1, 1, 1, 4, 4, 5, 5, 6, 6},           // a
      {1, 1, 1, 4},                          // b
      {1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6},     // c
      {1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7},  // d
      {1, 1, 1, 4, 4, 4, 4},                 // e
      {1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3},     // f
  };
  RaftGroup group{7};
  for (std::uint32_t node = 1; node <= 7; ++node) {
    Bytes entries;
    for (const std::uint64_t term : logs[node - 1]) {
      append_entry(entries, {term}, EntryKind::noop, {});
    }
    group.post(node == 1 ? 2 : 1, node,
               AppendEntries{.term = {7}, .previous = {}, .entries = entries});
    group.deliver_one();
    group.drop_mail();
  }
  group.cut(4);  // those with more than the leader do not vote for it
  group.cut(5);
  BOOST_REQUIRE(group.make_leader(1));
  BOOST_TEST((group.raft(1).term() == Term{8}));
  group.heal();
  group.run(seconds{2});
  for (std::uint32_t node = 1; node <= 7; ++node) {
    BOOST_TEST(group.terms(node) == "1 1 1 4 4 5 5 6 6 6 8");
    BOOST_TEST((group.raft(node).commit() == Index{11}));
  }
}

BOOST_AUTO_TEST_CASE(the_number_of_rejected_messages_is_one_a_term_or_less) {
  RaftGroup group{3};
  Bytes entries;
  Bytes others;
  for (std::uint64_t i = 0; i < 300; ++i) {
    append_entry(entries, {i / 100 * 2 + 1}, EntryKind::noop, {});                         // 1 3 5
    append_entry(others, {std::max<std::uint64_t>(i / 100 * 2, 1)}, EntryKind::noop, {});  // 1 2 4
  }
  group.post(2, 1, AppendEntries{.term = {5}, .previous = {}, .entries = entries});
  group.post(2, 3, AppendEntries{.term = {4}, .previous = {}, .entries = others});
  group.deliver_one();
  group.deliver_one();
  group.drop_mail();
  group.cut(2);
  BOOST_REQUIRE(group.win(1));
  int refused = 0;
  for (int i = 0; i < 100; ++i) {
    if (group.mail().empty()) {
      group.timeout(1);
      continue;
    }
    const auto message = decode_message(group.mail().front().bytes);
    refused +=
        std::holds_alternative<Appended>(*message) && !std::get<Appended>(*message).matched ? 1 : 0;
    group.deliver_one();
  }
  BOOST_TEST(refused > 0);
  BOOST_TEST(refused <= 4);
  group.run(seconds{1});
  BOOST_TEST(group.terms(3) == group.terms(1));
}

// --- 8: clients ----------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(a_read_waits_until_an_entry_of_the_leaders_own_term_is_committed) {
  RaftGroup group{3};
  BOOST_REQUIRE(group.make_leader(1));
  const RequestId put = group.put(1, "k", "v");
  group.settle();  // committed; the others do not know it yet
  BOOST_REQUIRE(group.is(put, Status::ok));
  group.cut(1);
  group.timeout(2);
  group.run(std::chrono::milliseconds{1});
  for (int i = 0; i < 100 && !group.raft(2).leads() && !group.raft(3).leads(); ++i) {
    group.run(std::chrono::milliseconds{10});
  }
  const std::uint32_t leader = group.raft(2).leads() ? 2 : 3;
  const RequestId read = group.get(leader, "k");
  group.settle();
  BOOST_TEST(group.is(read, Status::ok, "v"));
}

BOOST_AUTO_TEST_CASE(a_leader_that_was_deposed_and_does_not_know_it_answers_no_read) {
  RaftGroup group{3};
  BOOST_REQUIRE(group.make_leader(1));
  group.put(1, "k", "old");
  group.settle();
  group.cut(1);
  const RequestId read = group.get(1, "k");
  group.settle();
  BOOST_TEST(group.answer(read) == nullptr);
  BOOST_REQUIRE(group.make_leader(2));
  group.put(2, "k", "new");
  group.settle();
  group.heal();
  group.run(seconds{1});
  BOOST_TEST(group.is(read, Status::ok, "new"));
}

BOOST_AUTO_TEST_CASE(a_follower_answers_a_read_as_of_when_it_was_asked) {
  RaftGroup group{3};
  BOOST_REQUIRE(group.make_leader(1));
  const RequestId put = group.put(1, "k", "v");
  group.settle();
  BOOST_REQUIRE(group.is(put, Status::ok));
  const RequestId read = group.get(2, "k");  // its heartbeat with the commit has not come yet
  group.settle();
  BOOST_TEST(group.is(read, Status::ok, "v"));
}

BOOST_AUTO_TEST_CASE(a_grant_of_a_former_life_answers_no_read_of_this_one) {
  RaftGroup group{3};
  BOOST_REQUIRE(group.make_leader(1));
  group.get(2, "k");
  group.timeout(2);
  const auto query = group.take_mail<ReadQuery>(2, 1);
  BOOST_REQUIRE(query.has_value());
  group.restart(2);
  group.drop_mail();
  group.post(1, 2, AppendEntries{.term = {1}, .previous = {1}, .previous_term = {1}});
  group.deliver_one();
  const RequestId read = group.get(2, "k");
  group.timeout(2);
  group.drop_mail();
  group.post(1, 2,
             ReadGrant{.term = {1}, .life = query->life, .number = query->number, .index = {}});
  group.deliver_one();
  BOOST_TEST(group.answer(read) == nullptr);
}

BOOST_AUTO_TEST_CASE(a_command_repeated_while_it_is_on_its_way_is_one_entry) {
  RaftGroup group{3};
  BOOST_REQUIRE(group.make_leader(1));
  const Command command{
      .verb = Verb::put, .origin = {.client = "c", .sequence = 1}, .key = "k", .value = "v"};
  const RequestId first = group.ask(1, command);
  const RequestId second = group.ask(1, command);
  group.settle();
  BOOST_TEST(group.is(first, Status::ok));
  BOOST_TEST(group.is(second, Status::ok));
  BOOST_TEST((group.raft(1).log().last() == Index{2}));
}

BOOST_AUTO_TEST_CASE(what_was_in_a_log_that_lost_its_end_is_unknown_not_aborted) {
  RaftGroup group{3};
  BOOST_REQUIRE(group.make_leader(1));
  group.cut(1);
  const RequestId put = group.put(1, "k", "v");
  group.settle();
  BOOST_REQUIRE(group.make_leader(2));
  group.heal();
  group.run(seconds{1});
  BOOST_TEST(group.is(put, Status::unknown));
}

BOOST_AUTO_TEST_CASE(without_a_leader_a_change_is_unavailable_not_unknown) {
  RaftGroup group{3};
  const RequestId put = group.put(1, "k", "v");
  group.cut(1);
  group.run(seconds{10});
  BOOST_TEST(group.is(put, Status::unavailable));
}

BOOST_AUTO_TEST_CASE(all_that_comes_in_one_turn_is_one_message_a_follower_and_one_record) {
  RaftGroup group{5};
  BOOST_REQUIRE(group.make_leader(1));
  group.run(std::chrono::milliseconds{200});
  const std::size_t records = group.records(1).size();
  for (int i = 0; i < 64; ++i) {
    group.put(1, "k" + std::to_string(i), "v");
  }
  group.timeout(1);
  BOOST_TEST(group.records(1).size() == records + 1);
  BOOST_TEST(group.mail().size() == 5U);  // four, and one to itself
}

BOOST_AUTO_TEST_CASE(what_comes_while_entries_are_under_way_gathers_till_they_are_committed) {
  RaftGroup group{5, gathering()};
  BOOST_REQUIRE(group.make_leader(1));
  group.run(std::chrono::milliseconds{200});
  const std::size_t records = group.records(1).size();
  group.put(1, "a", "v");
  group.timeout(1);
  BOOST_TEST(group.records(1).size() == records + 1);  // a lone one waits for nobody
  const RequestId second = group.put(1, "b", "v");
  const RequestId third = group.put(1, "c", "v");
  group.timeout(1);
  BOOST_TEST(group.records(1).size() == records + 1);
  group.settle();  // in no time: with the commit of the first the others leave together
  BOOST_TEST(group.records(1).size() == records + 2);
  BOOST_TEST(group.is(second, Status::ok));
  BOOST_TEST(group.is(third, Status::ok));
}

BOOST_AUTO_TEST_CASE(reads_that_come_while_a_question_is_under_way_share_the_next) {
  RaftGroup group{5, gathering()};
  BOOST_REQUIRE(group.make_leader(1));
  group.run(std::chrono::milliseconds{200});
  const RequestId first = group.get(1, "a");
  group.timeout(1);
  const std::size_t asked = group.mail().size();
  BOOST_TEST(asked == 4U);  // the first waits for nobody
  const Instant begun = group.clock(1);
  const RequestId second = group.get(1, "b");
  const RequestId third = group.get(1, "c");
  group.timeout(1);
  BOOST_TEST(group.mail().size() == asked);
  BOOST_TEST((group.replica(1).wake_at() == begun + gathering().gather));
  group.settle();
  for (const RequestId each : {first, second, third}) {
    BOOST_TEST(group.is(each, Status::not_found));
  }
}

BOOST_AUTO_TEST_CASE(what_gathers_waits_no_longer_than_it_may_for_what_is_not_committed) {
  RaftGroup group{5, gathering()};
  BOOST_REQUIRE(group.make_leader(1));
  group.run(std::chrono::milliseconds{200});
  const std::size_t records = group.records(1).size();
  group.put(1, "a", "v");
  group.timeout(1);
  const Instant begun = group.clock(1);
  group.put(1, "b", "v");
  group.timeout(1);
  BOOST_TEST((group.replica(1).wake_at() == begun + gathering().gather));
  group.timeout(1);
  BOOST_TEST(group.records(1).size() == records + 2);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::raft
