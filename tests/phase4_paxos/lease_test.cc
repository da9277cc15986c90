// Leases: what an acceptor grants to the leader it hears, and what the leader makes of it.
#include <algorithm>

#include <boost/test/unit_test.hpp>

#include "phase4_paxos/proposer.h"
#include "tests/phase4_paxos/played_scenario.h"
#include "tests/phase4_paxos/role_step.h"

namespace kv::paxos {
BOOST_AUTO_TEST_SUITE(phase4_lease)

namespace {

PaxosOptions with_leases() {
  PaxosOptions options;
  options.reads = ReadsBy::lease;
  return options;
}

const PaxosOptions majority;
const PaxosOptions leases = with_leases();
const int grant_ms = static_cast<int>(leases.grant() / std::chrono::milliseconds{1});
const auto whole_grant_us =
    static_cast<std::uint64_t>(leases.grant() / std::chrono::microseconds{1});
const int lease_ms = static_cast<int>(lease_of(leases.grant()) / std::chrono::milliseconds{1});

/// An acceptor whose life began at 0 ms.
struct Granting {
  explicit Granting(const PaxosOptions& options = leases) : acceptor{options} {
    acceptor.start(at(0));
  }

  std::uint64_t grant_to(const Ballot& leader, int ms) {
    said.clear();
    acceptor.on_beat(at(ms), {.ballot = leader, .chosen = {}, .round = 1, .at = {}}, said.post);
    return said.to<Confirmed>({leader.node}).value().grant_us;
  }
  bool promises(const Ballot& ballot, int ms) {
    said.clear();
    acceptor.on_prepare(at(ms), {ballot.node}, {ballot, {1}}, said.post);
    return said.to<Promise>({ballot.node}).has_value();
  }

  Acceptor acceptor;
  Said said{three};
};

/// The proposer of node 1 of three, which leads since 1,001 ms.
struct Leading {
  explicit Leading(const PaxosOptions& options = leases)
      : proposer{one, Configurations{{one, two, three}}, options, 1, 42} {
    proposer.start(at(0));
    proposer.on_booted(1);
    proposer.tick(at(1000), said.post);
    promise(two);
    promise(one);
    round = said.to<Beat>(two).value().round;
    said.clear();
  }

  void promise(NodeId from) {
    const Promise promise{.ballot = proposer.ballot(), .from = {1}, .next = {}, .floor = {}};
    proposer.on_promise(at(1001), from, promise, said.post);
  }
  void confirm(NodeId from, int ms, std::uint64_t grant_us) {
    proposer.on_confirmed(
        at(ms), from,
        {.ballot = proposer.ballot(), .round = round, .applied = {}, .grant_us = grant_us},
        said.post);
  }
  void grant(NodeId from, int ms) { confirm(from, ms, whole_grant_us); }
  /// Whether a read that comes then is answered without another word.
  bool answers_at_once(int ms) {
    said.clear();
    proposer.on_read_ask(three, {.boot = 1, .number = ++question});
    proposer.tick(at(ms), said.post);
    return std::ranges::any_of(said.effects.sends, [this](const Send& send) {
      const auto read_at = unpack<ReadAt>(send.message);
      return read_at && read_at->number == question;
    });
  }

  Proposer proposer;
  Said said{one};
  std::uint64_t round = 0;
  std::uint64_t question = 0;
};

}  // namespace

BOOST_AUTO_TEST_CASE(without_leases_none_is_granted) {
  Granting granting{majority};
  BOOST_TEST(granting.grant_to(ballot(1, 1), 1000) == 0U);
  BOOST_TEST(granting.promises(ballot(2, 1), 1001));
}

BOOST_AUTO_TEST_CASE(who_granted_a_lease_promises_nobody_else_until_it_is_over) {
  Granting granting;
  BOOST_TEST(granting.grant_to(ballot(1, 1), 1000) == whole_grant_us);
  BOOST_TEST(!granting.promises(ballot(2, 2), 1000 + grant_ms - 1));
  BOOST_TEST(granting.promises(ballot(2, 2), 1000 + grant_ms));
}

BOOST_AUTO_TEST_CASE(the_leader_itself_may_run_for_a_greater_ballot_at_any_time) {
  Granting granting;
  granting.grant_to(ballot(1, 1), 1000);
  BOOST_TEST(granting.promises(ballot(2, 1), 1001));
}

BOOST_AUTO_TEST_CASE(a_new_life_promises_nobody_while_a_grant_of_the_last_may_last) {
  Granting granting;
  BOOST_TEST(!granting.promises(ballot(2, 2), grant_ms - 1));
  BOOST_TEST(granting.grant_to(ballot(1, 1), grant_ms - 1) == 0U);
  BOOST_TEST(!granting.promises(ballot(2, 1), grant_ms - 1));
  BOOST_TEST(granting.grant_to(ballot(1, 1), grant_ms) > 0U);
}

BOOST_AUTO_TEST_CASE(a_late_beat_of_an_earlier_leader_does_not_end_what_was_granted_since) {
  Granting granting;
  granting.grant_to(ballot(2, 2), 1000);
  BOOST_TEST(granting.grant_to(ballot(1, 1), 1001) == 0U);
  BOOST_TEST(!granting.promises(ballot(3, 1), 1002));
}

BOOST_AUTO_TEST_CASE(a_leader_with_grants_of_a_majority_answers_reads_by_itself) {
  Leading leading;
  BOOST_TEST(!leading.answers_at_once(1002));
  leading.grant(two, 1003);
  BOOST_TEST(!leading.answers_at_once(1003));
  leading.grant(one, 1003);
  BOOST_TEST(leading.answers_at_once(1004));
  BOOST_TEST(!leading.said.to<Beat>(two).has_value());
}

BOOST_AUTO_TEST_CASE(a_lease_counts_from_when_it_was_asked_for) {
  Leading leading;
  leading.grant(two, 1100);
  leading.grant(one, 1100);
  BOOST_TEST(leading.answers_at_once(1001 + lease_ms - 1));
  BOOST_TEST(!leading.answers_at_once(1001 + lease_ms));
}

BOOST_AUTO_TEST_CASE(a_lease_is_over_before_what_was_granted_by_two_clocks_that_differ) {
  BOOST_TEST(static_cast<double>(lease_ms) / 0.95 <= static_cast<double>(grant_ms) / 1.05);
}

BOOST_AUTO_TEST_CASE(who_grants_nothing_or_less_is_counted_so) {
  Leading leading;
  leading.grant(one, 1002);
  leading.confirm(two, 1002, 0);
  BOOST_TEST(!leading.answers_at_once(1003));
  leading.confirm(three, 1003, 10'000);
  BOOST_TEST(leading.answers_at_once(1009));
  BOOST_TEST(!leading.answers_at_once(1010));
}

BOOST_AUTO_TEST_CASE(a_greater_ballot_begins_without_a_lease) {
  Leading leading;
  leading.grant(one, 1002);
  leading.grant(two, 1002);
  leading.proposer.give_up(at(1003), leading.said.post);
  leading.proposer.tick(at(1004), leading.said.post);
  leading.promise(two);
  leading.promise(one);
  BOOST_TEST(leading.proposer.leading());
  BOOST_TEST(!leading.answers_at_once(1006));
}

BOOST_AUTO_TEST_CASE(a_leader_that_is_cut_off_reads_nothing_old_while_clocks_are_right) {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    BOOST_TEST(holds("tests/scenarios/lease.scn", seed, leases));
  }
}

BOOST_AUTO_TEST_CASE(with_a_clock_at_a_fifth_of_its_pace_a_lease_fails_and_a_majority_does_not) {
  BOOST_TEST(!holds("tests/scenarios/lease_outlived.scn", 1, leases));
  BOOST_TEST(holds("tests/scenarios/lease_outlived.scn", 1, {}));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::paxos
