#include "phase3_2pc/two_phase_replica.h"

#include <boost/test/unit_test.hpp>

#include "common/core/random.h"
#include "tests/phase3_2pc/cluster.h"

namespace kv::two_phase {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// What our clients wait if they are not told otherwise.
constexpr Duration client_patience = seconds{2};

Command erase(std::string key, Origin origin = {}) {
  return {.verb = Verb::erase, .origin = std::move(origin), .key = std::move(key)};
}
Command batch(std::vector<Guard> guards, std::vector<Write> writes, Origin origin = {}) {
  return {.verb = Verb::batch,
          .origin = std::move(origin),
          .guards = std::move(guards),
          .writes = std::move(writes)};
}

}  // namespace

BOOST_AUTO_TEST_SUITE(phase3_replica)

BOOST_AUTO_TEST_CASE(what_is_put_at_one_replica_is_read_at_every_other) {
  Cluster cluster{5};
  BOOST_TEST((cluster.told(1, put("k", "v")).status == Status::ok));
  for (std::uint32_t i = 1; i <= 5; ++i) {
    BOOST_TEST(cluster.told(i, get("k")).value == "v");
  }
  BOOST_TEST((cluster.told(3, erase("k")).status == Status::ok));
  BOOST_TEST((cluster.told(4, get("k")).status == Status::not_found));
  BOOST_TEST((cluster.told(5, erase("k")).status == Status::not_found));
  check_alike(cluster, 5);
}

BOOST_AUTO_TEST_CASE(a_get_of_a_promised_key_waits_for_the_outcome) {
  Cluster cluster{3};
  const std::string key = cluster.key_of_home(1);
  cluster.told(1, put(key, "old"));
  cluster.cut = {{{2}, {1}}};  // its vote is lost
  cluster.ask(1, put(key, "new"));
  cluster.settle();
  const RequestId waits = cluster.ask(2, get(key));
  cluster.settle();
  BOOST_TEST(!cluster.answers.contains(waits));
  BOOST_TEST(cluster.told(1, get(key)).value == "old");  // not decided, and its own to decide
  cluster.cut.clear();
  cluster.pass(milliseconds{100});
  BOOST_TEST(cluster.answers[waits].value == "new");
}

BOOST_AUTO_TEST_CASE(a_restarted_replica_holds_its_promised_keys_before_it_serves) {
  Cluster cluster{3};
  const std::string key = cluster.key_of_home(1);
  cluster.told(1, put(key, "old"));
  cluster.cut = {{{2}, {1}}, {{1}, {2}}};
  cluster.cut.erase({{1}, {2}});
  cluster.ask(1, put(key, "new"));
  cluster.settle();
  BOOST_TEST(cluster.at(2).participant().prepared() == 1);
  cluster.crash({2});
  cluster.start({2});
  BOOST_TEST(cluster.at(2).participant().prepared() == 1);
  const RequestId waits = cluster.ask(2, get(key));
  BOOST_TEST(!cluster.answers.contains(waits));
  cluster.cut.clear();
  cluster.pass(milliseconds{200});
  BOOST_TEST(cluster.answers[waits].value == "new");
  check_alike(cluster, 3);
}

BOOST_AUTO_TEST_CASE(while_a_replica_is_down_updates_end_and_reads_go_on) {
  Cluster cluster{3};
  const std::string key = cluster.key_of_home(1);
  cluster.told(1, put(key, "v"));
  cluster.crash({3});
  const RequestId first = cluster.ask(1, put(key, "w"));
  cluster.pass(seconds{2});
  BOOST_TEST((cluster.answers[first].status == Status::aborted));
  BOOST_TEST((cluster.told(1, put(key, "x")).status == Status::unavailable));  // at once
  BOOST_TEST(cluster.told(1, get(key)).value == "v");
  BOOST_TEST(cluster.told(2, get(key)).value == "v");
  cluster.start({3});
  cluster.pass(seconds{1});
  BOOST_TEST((cluster.told(1, put(key, "y")).status == Status::ok));
  check_alike(cluster, 3);
}

BOOST_AUTO_TEST_CASE(a_home_that_is_down_did_nothing_that_was_not_promised_here) {
  Cluster cluster{3};
  const std::string key = cluster.key_of_home(3);
  cluster.crash({3});
  const RequestId request = cluster.ask(1, put(key, "v"));
  cluster.pass(client_patience);
  BOOST_TEST((cluster.answers[request].status == Status::unavailable));
  BOOST_TEST((cluster.told(1, put(key, "w")).status == Status::unavailable));  // at once
}

BOOST_AUTO_TEST_CASE(what_was_given_up_is_promised_no_more_however_late_it_comes) {
  Cluster cluster{3, {.forward_patience = milliseconds{200}}};
  const std::string key = cluster.key_of_home(3);
  cluster.cut = {{{3}, {1}}};
  const RequestId request = cluster.ask(1, put(key, "v"));
  cluster.pass(milliseconds{300});
  BOOST_TEST((cluster.answers[request].status == Status::unavailable));
  BOOST_TEST(cluster.at(2).participant().prepared() == 1);  // its home is at it yet
  cluster.cut.clear();
  cluster.pass(seconds{1});
  BOOST_TEST((cluster.told(2, get(key)).status == Status::not_found));
  check_alike(cluster, 3);
}

BOOST_AUTO_TEST_CASE(what_a_restarted_replica_gave_up_before_is_promised_no_more) {
  Cluster cluster{3, {.forward_patience = milliseconds{200}}};
  const std::string key = cluster.key_of_home(3);
  cluster.cut = {{{3}, {1}}};
  const RequestId request = cluster.ask(1, put(key, "v"));
  cluster.pass(milliseconds{300});
  BOOST_TEST((cluster.answers[request].status == Status::unavailable));
  cluster.crash({1});
  cluster.start({1});
  cluster.cut.clear();
  cluster.pass(seconds{1});
  BOOST_TEST((cluster.told(2, get(key)).status == Status::not_found));
  check_alike(cluster, 3);
}

BOOST_AUTO_TEST_CASE(a_home_that_dies_with_every_promise_leaves_the_outcome_unknown_in_time) {
  Cluster cluster{3};
  const std::string key = cluster.key_of_home(3);
  cluster.cut = {{{2}, {3}}};
  const RequestId request = cluster.ask(1, put(key, "v"));
  cluster.settle();
  BOOST_TEST(cluster.at(1).participant().prepared() == 1);
  cluster.crash({3});
  cluster.pass(client_patience);
  BOOST_TEST((cluster.answers[request].status == Status::unknown));
}

BOOST_AUTO_TEST_CASE(a_promise_that_the_others_agreed_to_abort_is_certainly_not_done) {
  Cluster cluster{3};
  const std::string key = cluster.key_of_home(3);
  cluster.cut = {{{3}, {2}}};  // 2 hears no Prepare, and refuses when 1 asks
  const RequestId request = cluster.ask(1, put(key, "v"));
  cluster.settle();
  cluster.crash({3});
  cluster.pass(client_patience);
  BOOST_TEST((cluster.answers[request].status == Status::unavailable));
  BOOST_TEST(cluster.at(1).participant().prepared() == 0);
}

BOOST_AUTO_TEST_CASE(the_commit_is_the_answer_to_who_forwarded) {
  Cluster cluster{3};
  const std::string key = cluster.key_of_home(3);
  BOOST_TEST((cluster.told(1, put(key, "v")).status == Status::ok));
  BOOST_TEST(cluster.messages[MessageKind::forward] == 1);
  BOOST_TEST(cluster.messages[MessageKind::forward_reply] == 0);
  BOOST_TEST((cluster.told(1, erase("nothing")).status == Status::not_found));
}

BOOST_AUTO_TEST_CASE(an_update_of_a_key_in_doubt_ends_before_its_client_gives_up) {
  Cluster cluster{3, {.conflict = Conflict::wait_die}};
  cluster.cut = {{{2}, {1}}, {{3}, {1}}};
  cluster.ask(1, put("k", "v"));
  cluster.settle();
  cluster.crash({1});
  cluster.pass(milliseconds{500});  // nobody is called silent yet
  const RequestId update = cluster.ask(2, put("k", "w"));
  const RequestId read = cluster.ask(2, get("k"));
  cluster.pass(client_patience);
  BOOST_TEST((cluster.answers[update].status == Status::aborted));
  BOOST_TEST((cluster.answers[read].status == Status::unavailable));
}

/// Else it would abort with the first message that is lost, and so would all that wait behind it.
BOOST_AUTO_TEST_CASE(an_update_whose_turn_comes_too_late_for_a_lost_message_does_not_begin) {
  Cluster cluster{3, {.vote_patience = seconds{10}, .silence = seconds{10}}};
  const std::string key = cluster.key_of_home(1);
  cluster.cut = {{{3}, {1}}};
  cluster.ask(1, put(key, "first"));
  cluster.pass(milliseconds{100});
  const RequestId late = cluster.ask(1, put(key, "late"));
  cluster.pass(milliseconds{400});
  const RequestId timely = cluster.ask(1, put(key, "timely"));
  cluster.pass(milliseconds{1040});  // the first has ended at its deadline
  BOOST_TEST(cluster.answers[late].why == "the key stayed busy");
  BOOST_TEST(cluster.at(1).coordinator().undecided() == 1U);
  cluster.cut.clear();
  cluster.pass(milliseconds{200});
  BOOST_TEST((cluster.answers[timely].status == Status::ok));
  check_alike(cluster, 3);
}

BOOST_AUTO_TEST_CASE(a_coordinator_that_dies_undecided_has_done_nothing) {
  Cluster cluster{3};
  const std::string key = cluster.key_of_home(1);
  cluster.cut = {{{3}, {1}}};  // a vote is lost
  const RequestId own = cluster.ask(1, put(key, "v"));
  const RequestId forwarded = cluster.ask(2, put(cluster.key_of_home(1, 1), "v"));
  cluster.settle();
  cluster.cut.clear();
  cluster.at(1).kill_role("coordinator");
  cluster.pass(milliseconds{1});
  BOOST_TEST((cluster.answers[own].status == Status::aborted));
  BOOST_TEST((cluster.answers[forwarded].status == Status::aborted));
  for (const Bytes& record : cluster.node(1).records) {
    cluster.at(1).recover_role("coordinator", record);
  }
  Effects out;
  cluster.at(1).start_role("coordinator", cluster.now(), out);
  cluster.take({1}, out);
  cluster.pass(seconds{1});
  BOOST_TEST((cluster.told(3, get(key)).status == Status::not_found));
  check_alike(cluster, 3);
}

BOOST_AUTO_TEST_CASE(a_coordinator_that_dies_over_its_commit_record_does_not_call_it_undone) {
  Cluster cluster{3};
  const std::string key = cluster.key_of_home(1);
  cluster.cut = {{{1}, {1}}};  // that its record is on disk it never learns
  const RequestId request = cluster.ask(1, put(key, "v"));
  cluster.settle();
  cluster.at(1).kill_role("coordinator");
  cluster.pass(milliseconds{1});
  BOOST_TEST((cluster.answers[request].status == Status::unknown));
  cluster.cut.clear();
  for (const Bytes& record : cluster.node(1).records) {
    cluster.at(1).recover_role("coordinator", record);
  }
  Effects out;
  cluster.at(1).start_role("coordinator", cluster.now(), out);
  cluster.take({1}, out);
  cluster.pass(seconds{1});
  BOOST_TEST(cluster.told(3, get(key)).value == "v");
  check_alike(cluster, 3);
}

BOOST_AUTO_TEST_CASE(an_update_that_tries_again_takes_no_keys_of_a_participant_that_died) {
  Cluster cluster{3, {.conflict = Conflict::wait_die}};
  cluster.cut = {{{1}, {2}}, {{3}, {1}}};
  cluster.ask(1, put("k", "older"));  // holds the key at 1 and 3
  cluster.settle();
  const RequestId younger = cluster.ask(2, put("k", "younger"));
  cluster.cut.erase({{1}, {2}});
  cluster.settle();
  BOOST_TEST(cluster.at(2).coordinator().operations() == 1U);
  BOOST_TEST(cluster.at(2).participant().locks().locked() == 0U);  // busy at 1: it pauses
  cluster.at(2).kill_role("participant");
  Effects out;
  cluster.at(2).tick(cluster.now() + milliseconds{10}, out);
  cluster.take({2}, out);
  BOOST_TEST((cluster.answers[younger].status == Status::aborted));
  BOOST_TEST(cluster.at(2).participant().locks().locked() == 0U);
}

BOOST_AUTO_TEST_CASE(a_reply_to_an_earlier_life_answers_nothing) {
  Cluster cluster{3};
  cluster.crash({1});
  cluster.start({1});
  cluster.pass(milliseconds{100});
  const std::string key = cluster.key_of_home(3);
  cluster.crash({3});
  const RequestId request = cluster.ask(1, put(key, "v"));
  cluster.settle();
  const auto reply_to = [&cluster](std::uint64_t boot) {
    ListMessage<ForwardReply> message;
    message.items.push_back({.to_boot = boot, .number = 1, .taken = true, .reply = {}});
    Effects out;
    cluster.at(1).receive(cluster.now(), {3}, encode_as(MessageKind::forward_reply, message), out);
    cluster.take({1}, out);
  };
  const std::uint64_t life = cluster.at(1).coordinator().boot();
  reply_to(life - 1);
  BOOST_TEST(!cluster.answers.contains(request));
  reply_to(life);
  BOOST_TEST((cluster.answers[request].status == Status::ok));
}

BOOST_AUTO_TEST_CASE(a_repeat_learns_its_outcome_while_a_replica_is_down) {
  Cluster cluster{3};
  const Origin origin{"c", 1, 1};
  BOOST_TEST((cluster.told(1, put("k", "v", origin)).status == Status::ok));
  const std::uint32_t home = cluster.at(1).home_of("k").value;
  cluster.crash({home % 3 + 1});
  cluster.pass(seconds{2});
  BOOST_TEST((cluster.told(home, put("k", "v", origin)).status == Status::ok));
  BOOST_TEST((cluster.told(home, put("k", "w")).status == Status::unavailable));
}

BOOST_AUTO_TEST_CASE(an_operation_repeated_anywhere_is_done_once) {
  Cluster cluster{5};
  const Origin origin{"c", 1, 1};
  BOOST_TEST((cluster.told(1, put("k", "v", origin)).status == Status::ok));
  cluster.told(2, put("k", "w"));
  for (std::uint32_t i = 1; i <= 5; ++i) {
    BOOST_TEST((cluster.told(i, put("k", "v", origin)).status == Status::ok));
  }
  BOOST_TEST(cluster.told(4, get("k")).value == "w");
  BOOST_TEST(cluster.at(1).participant().state().applied() == 2);
}

BOOST_AUTO_TEST_CASE(a_comparison_that_failed_is_remembered_for_its_repeat) {
  Cluster cluster{3};
  Command swap = put("k", "new", {"c", 1, 1});
  swap.verb = Verb::compare_and_set;
  swap.expected = "old";
  BOOST_TEST((cluster.told(1, swap).status == Status::not_found));
  cluster.told(2, put("k", "old"));
  BOOST_TEST((cluster.told(3, swap).status == Status::not_found));  // though it would hold now
  BOOST_TEST(cluster.told(1, get("k")).value == "old");
}

BOOST_AUTO_TEST_CASE(a_guarded_batch_is_done_whole_at_every_replica_or_not_at_all) {
  Cluster cluster{5};
  const auto move = batch({{.key = "a", .value = "10"}, {.key = "lock", .absent = true}},
                          {{.key = "a", .erase = true}, {.key = "b", .value = "10"}});
  BOOST_TEST((cluster.told(1, move).status == Status::conflict));
  cluster.told(2, put("a", "10"));
  BOOST_TEST((cluster.told(3, move).status == Status::ok));
  for (std::uint32_t i = 1; i <= 5; ++i) {
    BOOST_TEST((cluster.told(i, get("a")).status == Status::not_found));
    BOOST_TEST(cluster.told(i, get("b")).value == "10");
  }
  BOOST_TEST((cluster.told(4, move).status == Status::conflict));
  check_alike(cluster, 5);
}

/// Money moves between accounts by guarded batches that want the same keys in all orders, from
/// every node at once, while links fail: none is lost or made.
BOOST_AUTO_TEST_CASE(batches_from_everywhere_neither_deadlock_nor_lose_anything) {
  for (const Conflict conflict : {Conflict::home, Conflict::wait_die}) {
    Cluster cluster{3, {.conflict = conflict}};
    Random random{11};
    constexpr int accounts = 6;
    const auto account = [](std::uint64_t i) { return "account" + std::to_string(i); };
    for (int i = 0; i < accounts; ++i) {
      cluster.told(1, put(account(static_cast<std::uint64_t>(i)), "100"));
    }
    std::vector<RequestId> asked;
    for (int round = 0; round < 200; ++round) {
      const std::uint64_t from = random.below(accounts);
      const std::uint64_t to = (from + 1 + random.below(accounts - 1)) % accounts;
      const auto node = static_cast<std::uint32_t>(random.between(1, 3));
      const std::string has = cluster.told(node, get(account(from))).value;
      const std::string gets = cluster.told(node, get(account(to))).value;
      if (has.empty() || gets.empty() || has == "0") {
        continue;  // a key was promised just then
      }
      asked.push_back(cluster.ask(
          node, batch({{.key = account(from), .value = has}, {.key = account(to), .value = gets}},
                      {{.key = account(from), .value = std::to_string(std::stoi(has) - 1)},
                       {.key = account(to), .value = std::to_string(std::stoi(gets) + 1)}})));
      if (random.chance(0.3)) {
        cluster.pass(milliseconds{5});
      }
    }
    cluster.pass(seconds{5});
    std::size_t done = 0;
    for (const RequestId request : asked) {
      BOOST_REQUIRE(cluster.answers.contains(request));
      done += cluster.answers[request].status == Status::ok ? 1 : 0;
    }
    BOOST_TEST(done > 20);
    int sum = 0;
    for (int i = 0; i < accounts; ++i) {
      sum += std::stoi(cluster.told(2, get(account(static_cast<std::uint64_t>(i)))).value);
    }
    BOOST_TEST(sum == 100 * accounts);
    check_alike(cluster, 3);
  }
}

BOOST_AUTO_TEST_CASE(a_snapshot_stays_as_it_was_while_changes_come) {
  Cluster cluster{3};
  for (int i = 0; i < 50; ++i) {
    cluster.told(1,
                 put("k" + std::to_string(i), "old", {"c", static_cast<std::uint64_t>(i) + 1, 0}));
  }
  BOOST_TEST(cluster.snapshot(2, [&] {
    for (int i = 0; i < 50; ++i) {
      cluster.told(1, put("k" + std::to_string(i), "new"));
    }
  }));
  const std::uint64_t checksum = cluster.at(2).participant().state().checksum();
  cluster.crash({2});
  cluster.start({2});  // the image, and the records after it
  BOOST_TEST(cluster.at(2).participant().state().checksum() == checksum);
  BOOST_TEST(cluster.told(2, get("k7")).value == "new");
  cluster.pass(seconds{1});
  check_alike(cluster, 3);
}

BOOST_AUTO_TEST_CASE(a_snapshot_outlives_the_participant_that_dies_over_it) {
  Cluster cluster{3};
  for (int i = 0; i < 20; ++i) {
    cluster.told(2, put("k" + std::to_string(i), "v"));
  }
  cluster.pass(milliseconds{20});
  BOOST_TEST(cluster.snapshot(1, [&cluster] {
    cluster.at(1).kill_role("participant");
    for (const Bytes& record : cluster.node(1).records) {
      cluster.at(1).recover_role("participant", record);
    }
    Effects out;
    cluster.at(1).start_role("participant", cluster.now(), out);
    cluster.take({1}, out);
  }));
  cluster.crash({1});
  cluster.start({1});
  cluster.pass(seconds{1});
  BOOST_TEST(cluster.told(1, get("k7")).value == "v");
  check_alike(cluster, 3);
}

BOOST_AUTO_TEST_CASE(a_snapshot_holds_what_is_promised_and_what_is_not_acknowledged) {
  Cluster cluster{3};
  const std::string key = cluster.key_of_home(1);
  cluster.told(1, put(key, "old"));
  cluster.cut = {{{1}, {2}}};
  cluster.ask(1, put(key, "new"));
  cluster.settle();  // node 2 was never asked; then it is, but hears no decision
  cluster.cut = {{{2}, {1}}};
  cluster.pass(milliseconds{40});
  BOOST_TEST(cluster.at(2).participant().prepared() == 1);
  BOOST_TEST(cluster.snapshot(2));
  BOOST_TEST(cluster.snapshot(1));
  cluster.crash({2});
  cluster.start({2});
  BOOST_TEST(cluster.at(2).participant().prepared() == 1);
  cluster.cut.clear();
  cluster.pass(seconds{1});
  BOOST_TEST(cluster.told(2, get(key)).value == "new");
  check_alike(cluster, 3);
}

BOOST_AUTO_TEST_CASE(a_snapshot_holds_the_commits_that_somebody_may_have_lost) {
  Cluster cluster{3};
  const std::string key = cluster.key_of_home(1);
  BOOST_TEST((cluster.told(1, put(key, "v")).status == Status::ok));
  cluster.crash({2});  // its commit record waited for company
  BOOST_TEST(cluster.snapshot(1));
  cluster.crash({1});
  cluster.start({1});
  cluster.start({2});
  cluster.pass(seconds{1});
  BOOST_TEST(cluster.told(2, get(key)).value == "v");
  check_alike(cluster, 3);
}

BOOST_AUTO_TEST_CASE(tombstones_go_when_the_coordinators_mark_has_passed_them) {
  Cluster cluster{3};
  for (int i = 0; i < 500; ++i) {
    cluster.told(1, put("k" + std::to_string(i % 20), std::to_string(i)));
  }
  cluster.pass(seconds{1});
  for (std::uint32_t i = 1; i <= 3; ++i) {
    BOOST_TEST(cluster.at(i).participant().tombstones() == 0);
  }
}

BOOST_AUTO_TEST_CASE(a_replica_that_holds_something_else_is_found_out_before_it_is_overwritten) {
  Cluster cluster{3};
  const std::string key = cluster.key_of_home(1);
  cluster.told(1, put(key, "v"));
  auto& state = const_cast<CommittedState&>(cluster.at(3).participant().state());
  state.apply({.parts = {{.key = key, .change = Change::put, .value = "rotten"}}});
  const Reply reply = cluster.told(1, put(key, "w"));
  BOOST_TEST((reply.status == Status::unavailable));
  BOOST_TEST(reply.why == "the replicas hold different values");
  BOOST_TEST(cluster.told(2, get(key)).value == "v");
  BOOST_TEST_REQUIRE(cluster.errors.size() == 1U);
  BOOST_TEST(cluster.errors.front().find("event=divergence") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_prepare_older_than_its_abort_finds_another_value_and_is_no_divergence) {
  Cluster cluster{3};
  const std::string key = cluster.key_of_home(1);
  cluster.told(1, put(key, "v"));
  const std::uint64_t boot = cluster.at(1).coordinator().boot();
  const ListMessage<Transaction> prepare{
      .header = {.boot = boot, .mark_boot = boot, .mark_sequence = 1, .clock = 1},
      .items = {{.id = {{1}, boot, 100},
                 .age = {1, {1}},
                 .parts = {{.key = key, .before = 1, .change = Change::put, .value = "w"}}}}};
  Effects out;
  cluster.at(2).receive(cluster.now(), {1},
                        static_cast<char>(MessageKind::prepare) + wire::encode(prepare), out);
  cluster.end_turn({2}, out);
  cluster.settle();
  BOOST_TEST(cluster.messages[MessageKind::vote] > 0U);
  BOOST_TEST(cluster.errors.empty());
  check_alike(cluster, 3);
}

BOOST_AUTO_TEST_CASE(a_message_that_no_replica_can_have_sent_is_passed_over) {
  Cluster cluster{3};
  cluster.told(1, put("k", "v"));
  const TxnId of_nobody{{99}, 1, 1};
  const auto post = [&](MessageKind kind, const auto& item) {
    ListMessage<std::remove_cvref_t<decltype(item)>> message;
    message.header.boot = cluster.at(1).coordinator().boot();
    message.items.push_back(item);
    Effects out;
    cluster.at(2).receive(cluster.now(), {1}, static_cast<char>(kind) + wire::encode(message), out);
    cluster.end_turn({2}, out);
    cluster.settle();
  };
  post(MessageKind::inquire, of_nobody);
  post(MessageKind::ack, of_nobody);
  post(MessageKind::vote, Vote{of_nobody, Ballot::yes});
  post(MessageKind::decide, Decision{of_nobody, true});
  post(MessageKind::decide, Decision{of_nobody, false});
  const Part twice{.key = "k", .before = 0, .change = Change::put, .value = "w"};
  const std::uint64_t boot = cluster.at(1).coordinator().boot();
  post(MessageKind::prepare,
       Transaction{.id = {{1}, boot, 900}, .age = {}, .asker = {{1}}, .parts = {twice, twice}});
  post(MessageKind::prepare, Transaction{.id = of_nobody, .asker = {{1}}, .parts = {twice}});
  BOOST_TEST(cluster.at(2).participant().prepared() == 0U);
  BOOST_TEST((cluster.told(2, put("k", "w")).status == Status::ok));
  check_alike(cluster, 3);
}

BOOST_AUTO_TEST_CASE(one_replica_alone_needs_nobody) {
  Cluster cluster{1};
  BOOST_TEST((cluster.told(1, put("k", "v")).status == Status::ok));
  BOOST_TEST(cluster.told(1, get("k")).value == "v");
  BOOST_TEST(cluster.messages_sent() == 0);
  cluster.crash({1});
  cluster.start({1});
  BOOST_TEST(cluster.told(1, get("k")).value == "v");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::two_phase
