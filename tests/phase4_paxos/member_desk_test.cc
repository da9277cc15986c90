// An operator's wish at the desk, and what a proposer makes of it.
#include "phase4_paxos/member_desk.h"

#include <boost/test/unit_test.hpp>

#include "phase4_paxos/member_rules.h"
#include "tests/phase4_paxos/role_step.h"

namespace kv::paxos {
namespace {

const PaxosOptions options;
const std::vector<NodeId> members{one, two, three};

/// The desk of node 1; node 9 may wait to be let in.
struct AtDesk {
  void ask(MemberVerb verb, NodeId node) {
    desk.ask(at(0), {7}, {.verb = verb, .node = node, .address = "h:9"}, said.post);
  }
  void tick(int ms, NodeId leader) { desk.tick(at(ms), acquaintance, leader, said.post); }
  /// What it asked of its proposer since the last clear.
  std::optional<ChangeAsk> asked() { return said.to<ChangeAsk>(one); }
  std::string answer() const {
    const std::vector<Answer>& answers = said.effects.answers;
    return answers.size() == 1 ? answers[0].reply.why : std::to_string(answers.size());
  }
  Status status() const { return said.effects.answers.at(0).reply.status; }

  MemberDesk desk{options};
  Acquaintance acquaintance{one, members, options};
  Said said{one};
};

}  // namespace

BOOST_AUTO_TEST_SUITE(phase4_member_desk)

BOOST_FIXTURE_TEST_CASE(the_leaders_desk_asks_its_proposer_again_until_it_is_told, AtDesk) {
  ask(MemberVerb::remove, two);
  tick(0, one);
  BOOST_REQUIRE(asked().has_value());
  BOOST_TEST((asked()->change.verb == MemberVerb::remove));
  const std::uint64_t number = asked()->number;
  said.clear();
  desk.on_told({.number = number, .status = std::nullopt, .why = "not yet"}, said.post);
  BOOST_TEST(answer() == "0");
  tick(100, one);
  BOOST_TEST(asked().has_value());
  desk.on_told({.number = number, .status = Status::ok, .why = {}}, said.post);
  BOOST_TEST((status() == Status::ok));
  BOOST_TEST((desk.wake_at() == never));
}

BOOST_FIXTURE_TEST_CASE(whoever_does_not_lead_says_who_does, AtDesk) {
  ask(MemberVerb::remove, two);
  tick(0, three);
  BOOST_TEST(answer() == "ask the leader, node 3");
  BOOST_TEST((status() == Status::unavailable));
}

BOOST_FIXTURE_TEST_CASE(who_waits_too_long_is_told_why_it_took_so_long, AtDesk) {
  ask(MemberVerb::remove, two);
  tick(0, one);
  desk.on_told({.number = asked()->number, .status = std::nullopt, .why = "not yet"}, said.post);
  tick(10'000, one);
  BOOST_TEST(answer() == "not yet");
  BOOST_TEST((status() == Status::unavailable));
}

BOOST_FIXTURE_TEST_CASE(what_can_never_be_done_is_refused_at_once, AtDesk) {
  ask(MemberVerb::transfer, two);
  BOOST_TEST((status() == Status::bad_request));
  said.clear();
  ask(MemberVerb::remove, {0});
  BOOST_TEST((status() == Status::bad_request));
  PaxosOptions diskless;
  diskless.acceptor = AcceptorMemory::diskless;
  MemberDesk another{diskless};
  said.clear();
  another.ask(at(0), {7}, {.verb = MemberVerb::remove, .node = two, .address = {}}, said.post);
  BOOST_TEST((status() == Status::bad_request));
}

BOOST_FIXTURE_TEST_CASE(no_more_wishes_wait_than_its_limit, AtDesk) {
  for (std::size_t i = 0; i < MemberDesk::asks_max; ++i) {
    ask(MemberVerb::remove, two);
  }
  BOOST_TEST(answer() == "0");
  ask(MemberVerb::remove, two);
  BOOST_TEST((status() == Status::unavailable));
}

BOOST_FIXTURE_TEST_CASE(who_is_being_added_is_listened_to, AtDesk) {
  ask(MemberVerb::add, {9});
  BOOST_TEST((desk.joining() == std::vector<Member>{{{9}, "h:9", MemberStanding::joining}}));
  tick(0, one);
  BOOST_TEST(asked()->birth == 0U);
  acquaintance.on_greet(at(10), {9}, {.birth = 5, .founds = false, .applied = {}}, {}, said.post);
  said.clear();
  tick(100, one);
  BOOST_TEST(asked()->birth == 5U);
  BOOST_TEST(!asked()->caught_up);
  acquaintance.on_greet(at(110), {9}, {.birth = 5, .founds = false, .applied = {}}, {}, said.post);
  said.clear();
  tick(200, one);
  BOOST_TEST(asked()->caught_up);
}

BOOST_AUTO_TEST_SUITE_END()

// --- what a proposer makes of it -----------------------------------------------------------------

namespace {

/// Node 1 leads two others, and its learner has applied all.
struct Leading {
  Leading() {
    proposer.start(at(0));
    proposer.on_booted(1);
    proposer.tick(at(1000), said.post);
    mine = proposer.ballot();
    for (const NodeId from : {two, one}) {
      proposer.on_promise(at(1001), from,
                          {.ballot = mine, .from = {1}, .next = {}, .floor = {}, .accepted = {}},
                          said.post);
    }
    hear({one, two, three});
    said.clear();
  }

  /// They confirm the ballot, and have applied as much.
  void hear(const std::vector<NodeId>& nodes, Slot applied = {}) {
    for (const NodeId node : nodes) {
      proposer.on_confirmed(at(1002), node, {mine, 1, 0, applied}, said.post);
    }
  }
  ChangeTold judged(MemberVerb verb, NodeId node, std::uint64_t birth = 0, bool caught_up = false,
                    int ms = 1003) {
    return judge(at(ms),
                 {.number = 3,
                  .change = {.verb = verb, .node = node, .address = "h:9"},
                  .birth = birth,
                  .caught_up = caught_up},
                 proposer);
  }
  /// The change of members that it proposes next; nothing if there is none.
  std::optional<Reconfigure> proposed() {
    said.clear();
    proposer.tick(at(1004), said.post);
    for (const Send& send : said.effects.sends) {
      if (send.to == two && kind_of(send.message) == Kind::accept) {
        ByteView value = unpack_with_body<Accept>(send.message)->second;
        read_time(value);
        return unpack_change(*read_string(value));
      }
    }
    return std::nullopt;
  }
  std::vector<std::uint32_t> proposed_nodes() {
    std::vector<std::uint32_t> nodes;
    const auto change = proposed();
    for (const Voter& voter : change ? change->voters : std::vector<Voter>{}) {
      nodes.push_back(voter.node.value);
    }
    return nodes;
  }

  Proposer proposer{one, Configurations{members}, options, 1, 42};
  Said said{one};
  Ballot mine;
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(phase4_member_rules, Leading)

BOOST_AUTO_TEST_CASE(a_node_that_waits_and_has_caught_up_is_added_with_its_disk) {
  BOOST_TEST(!judged(MemberVerb::add, {9}, 5, true).status.has_value());
  const auto change = proposed();
  BOOST_REQUIRE(change.has_value());
  BOOST_TEST((change->voters.back() == Voter{{9}, 1, 5, "h:9"}));
  BOOST_TEST(change->voters.size() == 4U);
}

BOOST_AUTO_TEST_CASE(a_node_that_is_not_heard_or_lags_is_not_added_yet) {
  BOOST_TEST(judged(MemberVerb::add, {9}).why.starts_with("node 9 is not heard"));
  BOOST_TEST(judged(MemberVerb::add, {9}, 5).why.starts_with("node 9 has not caught up"));
  BOOST_TEST(proposed_nodes().empty());
}

BOOST_AUTO_TEST_CASE(the_new_disk_of_a_member_takes_the_place_of_the_one_it_lost) {
  judged(MemberVerb::add, two, 5, true);
  const auto change = proposed();
  BOOST_REQUIRE(change.has_value());
  BOOST_TEST(change->voters.size() == 3U);
  BOOST_TEST((change->voters[1] == Voter{two, 1, 5, "h:9"}));
}

BOOST_AUTO_TEST_CASE(a_member_is_removed_while_a_majority_of_the_others_is_heard) {
  judged(MemberVerb::remove, three);
  BOOST_TEST((proposed_nodes() == std::vector<std::uint32_t>{1, 2}));
}

BOOST_AUTO_TEST_CASE(nobody_is_removed_while_no_majority_of_the_others_is_heard) {
  const ChangeTold told = judged(MemberVerb::remove, three, 0, false, 1002 + 300);
  BOOST_TEST(!told.status.has_value());
  BOOST_TEST(told.why.starts_with("no majority"));
  BOOST_TEST(proposed_nodes().empty());
}

BOOST_AUTO_TEST_CASE(one_change_is_under_way_at_a_time) {
  judged(MemberVerb::remove, three);
  const ChangeTold told = judged(MemberVerb::add, {9}, 5, true);
  BOOST_TEST(told.why == "another change is under way");
  BOOST_TEST((proposed_nodes() == std::vector<std::uint32_t>{1, 2}));
}

BOOST_AUTO_TEST_CASE(what_is_so_already_is_done) {
  BOOST_TEST((judged(MemberVerb::add, two).status == Status::ok));
  BOOST_TEST((judged(MemberVerb::remove, {9}).status == Status::ok));
}

BOOST_AUTO_TEST_CASE(a_member_that_is_silent_may_have_lost_its_disk_and_is_not_said_to_be_added) {
  const ChangeTold told = judged(MemberVerb::add, two, 0, false, 1002 + 300);
  BOOST_TEST(!told.status.has_value());
  BOOST_TEST(told.why == "node 2 is a member, and is not heard");
}

BOOST_AUTO_TEST_CASE(who_does_not_lead_changes_nothing) {
  proposer.on_leader(at(1003), ballot(99, 2), {}, said.post);
  BOOST_TEST((judged(MemberVerb::remove, three).status == Status::unavailable));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::paxos
