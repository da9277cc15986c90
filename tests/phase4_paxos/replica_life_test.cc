// Lives of a replica and of its roles, as whoever drives it sees them.
#include <boost/test/unit_test.hpp>

#include "phase4_paxos/paxos_replica.h"
#include "tests/phase4_paxos/role_step.h"

namespace kv::paxos {
BOOST_AUTO_TEST_SUITE(phase4_replica_life)

namespace {

/// A cluster of one, driven by hand: all that it writes is durable when its step ends.
struct World {
  explicit World(const std::vector<Bytes>& before = {}, ReadsBy reads = ReadsBy::majority)
      : replica{one, {one}, {.seed = 5, .note_level = Level::error, .reads = reads}},
        records(before) {
    for (const Bytes& record : before) {
      replica.recover(record);
    }
    replica.start(now, out);
    ship();
  }

  void ship() {
    records.insert(records.end(), out.records.begin(), out.records.end());
    std::ranges::move(out.answers, std::back_inserter(answers));
    const std::vector<Send> sends = std::move(out.sends);
    out.clear();
    for (const Send& send : sends) {
      replica.receive(now, send.to, send.message, out);
    }
    if (!sends.empty()) {
      ship();
    }
  }
  void pass(Duration time) {
    now += time;
    for (int i = 0; i < 20 && replica.wake_at() <= now; ++i) {
      replica.tick(now, out);
      ship();
    }
  }
  void put(std::uint64_t id, const char* client = "") {
    replica.request(now, {id},
                    {.verb = Verb::put, .origin = {client, 1, 1}, .key = "k", .value = "v"}, out);
    ship();
  }
  /// A role dies, and comes back with what is durable.
  void kill(const char* role) { replica.kill_role(role); }
  void bear(const char* role) {
    for (const Bytes& record : records) {
      replica.recover_role(role, record);
    }
    replica.start_role(role, now, out);
    ship();
  }
  bool promises_to(NodeId node) {
    replica.receive(now, node, pack(Prepare{ballot(99, node.value), {1}}), out);
    const bool promised = std::ranges::any_of(
        out.sends, [](const Send& send) { return kind_of(send.message) == Kind::promise; });
    out.clear();
    return promised;
  }
  std::uint64_t ballots_boot() const { return replica.proposer()->ballot().boot; }

  Instant now = at(0);
  PaxosReplica replica;
  std::vector<Bytes> records;
  std::vector<Answer> answers;
  Effects out;
};

constexpr Duration long_enough = std::chrono::seconds{1};

}  // namespace

BOOST_AUTO_TEST_CASE(each_life_has_ballots_of_its_own) {
  World first;
  first.pass(long_enough);
  BOOST_TEST(first.replica.plays("leader"));
  World second{first.records};
  second.pass(long_enough);
  BOOST_TEST(second.ballots_boot() > first.ballots_boot());
  second.kill("proposer");
  second.bear("proposer");
  second.pass(long_enough);
  BOOST_TEST(second.ballots_boot() > first.ballots_boot() + 1);
}

BOOST_AUTO_TEST_CASE(an_acceptor_that_returns_promises_nothing_while_an_earlier_grant_may_last) {
  World world{{}, ReadsBy::lease};
  world.pass(long_enough);
  world.kill("proposer");
  world.pass(long_enough);
  world.kill("acceptor");
  world.bear("acceptor");
  BOOST_TEST(!world.promises_to(two));
  world.pass(PaxosOptions{}.grant());
  BOOST_TEST(world.promises_to(two));
}

BOOST_AUTO_TEST_CASE(a_new_life_applies_what_the_last_one_had_chosen) {
  World first;
  first.pass(long_enough);
  first.put(1);
  first.pass(long_enough);
  BOOST_REQUIRE(first.answers.size() == 1U);
  World second{first.records};
  second.pass(long_enough);
  BOOST_TEST(second.replica.learner()->checksum() == first.replica.learner()->checksum());
}

BOOST_AUTO_TEST_CASE(who_waits_while_the_learner_is_dead_is_answered_by_its_next_life) {
  World world;
  world.pass(long_enough);
  world.kill("learner");
  world.put(1);
  world.pass(std::chrono::milliseconds{50});
  BOOST_TEST(world.answers.empty());
  world.bear("learner");
  world.pass(long_enough);
  BOOST_REQUIRE(world.answers.size() == 1U);
  BOOST_TEST((world.answers[0].reply.status == Status::ok));
}

// Another disk of this node may have handed in a parcel of that number: its replies are not ours.
BOOST_AUTO_TEST_CASE(nothing_is_handed_in_before_it_is_known_whether_this_disk_may_speak) {
  PaxosReplica replica{one, {one, two, three}, {.seed = 5, .note_level = Level::error}};
  std::uint64_t birth = 0;
  const auto forwarded = [&replica, &birth](Instant now) {
    Effects out;
    replica.tick(now, out);
    for (const Send& send : out.sends) {
      const auto greet = unpack<Greet>(send.message);
      birth = greet ? greet->birth : birth;
    }
    return std::ranges::any_of(
        out.sends, [](const Send& send) { return kind_of(send.message) == Kind::forward; });
  };
  Effects out;
  replica.start(at(0), out);
  replica.receive(at(1), one, pack(Booted{1}), out);
  replica.receive(at(1), two, pack(Beat{.ballot = ballot(3, 2)}), out);
  replica.request(at(1), {1}, {.verb = Verb::put, .key = "k", .value = "v"}, out);
  BOOST_TEST(!forwarded(at(1)));
  BOOST_TEST(out.answers.empty());
  for (const NodeId other : {two, three}) {
    replica.receive(at(3), other, pack(Greeted{birth, birth}), out);
  }
  BOOST_TEST(forwarded(at(3)));
}

BOOST_AUTO_TEST_CASE(a_disk_that_is_let_in_numbers_its_lives_as_no_other_of_its_node_did) {
  const std::vector<NodeId> founders{two, three};
  PaxosReplica replica{one, founders, {.seed = 5, .note_level = Level::error}};
  Effects out;
  replica.start(at(0), out);
  replica.tick(at(0), out);
  std::uint64_t birth = 0;
  for (const Send& send : out.sends) {
    const auto greet = unpack<Greet>(send.message);
    birth = greet ? greet->birth : birth;
  }
  Configurations all{founders};
  const std::vector<Voter> before = all.latest().voters;
  std::vector<Voter> voters = before;
  voters.insert(voters.begin(), {one, 1, birth, {}});
  all.apply({5}, {.base = 0, .before = before, .voters = voters}, 10);
  replica.receive(at(1), one, pack(Deciders{{5}, all}), out);
  std::uint64_t life = 0;
  for (const Bytes& record : out.records) {
    const auto booted = unpack<Booted>(record);
    life = booted ? booted->boot : life;
  }
  BOOST_TEST(life > std::uint64_t{1} << 32);
}

BOOST_AUTO_TEST_CASE(a_snapshot_from_before_members_changed_is_read) {
  World first;
  first.pass(long_enough);
  first.put(1);
  first.pass(long_enough);
  BOOST_REQUIRE(first.replica.begin_snapshot());
  PaxosReplica later{one, {one}, {.seed = 5, .note_level = Level::error}};
  for (Bytes piece = first.replica.next_snapshot_piece(); !piece.empty();
       piece = first.replica.next_snapshot_piece()) {
    if (const auto head = unpack_with_body<Head>(piece)) {
      ByteView body = head->second;
      piece = pack(head->first, *read_string(body));  // the parcel windows, and nothing else
    }
    later.restore(piece);
  }
  Effects out;
  later.start(first.now, out);
  BOOST_TEST(later.learner()->checksum() == first.replica.learner()->checksum());
  BOOST_TEST((later.configurations() == Configurations{{one}}));
}

BOOST_AUTO_TEST_CASE(while_a_role_is_dead_no_snapshot_is_taken) {
  World world;
  world.pass(long_enough);
  world.kill("acceptor");
  BOOST_TEST(!world.replica.begin_snapshot());
  world.bear("acceptor");
  BOOST_TEST(world.replica.begin_snapshot());
}

BOOST_AUTO_TEST_CASE(a_snapshot_goes_on_when_its_learner_dies) {
  World world;
  world.pass(long_enough);
  world.put(1);
  world.pass(long_enough);
  const std::uint64_t checksum = world.replica.learner()->checksum();
  BOOST_TEST(world.replica.begin_snapshot());
  world.kill("learner");
  PaxosReplica restored{one, {one}, {}};
  for (Bytes piece = world.replica.next_snapshot_piece(); !piece.empty();
       piece = world.replica.next_snapshot_piece()) {
    restored.restore(piece);
  }
  Effects out;
  restored.start(world.now, out);
  BOOST_TEST(restored.learner()->checksum() == checksum);
  BOOST_TEST((restored.acceptor()->promised() == world.replica.acceptor()->promised()));
}

BOOST_AUTO_TEST_CASE(a_ping_needs_nobody_and_a_get_needs_a_leader) {
  World world;
  world.replica.request(world.now, {1}, {.verb = Verb::ping}, world.out);
  world.replica.request(world.now, {2}, {.verb = Verb::get, .key = "k"}, world.out);
  world.ship();
  BOOST_TEST(world.answers.size() == 1U);
  world.pass(long_enough);
  BOOST_REQUIRE(world.answers.size() == 2U);
  BOOST_TEST((world.answers[1].reply.status == Status::not_found));
}

BOOST_AUTO_TEST_CASE(damaged_messages_are_dropped) {
  World world;
  world.pass(long_enough);
  for (int kind = 0; kind < 40; ++kind) {
    for (const char* rest : {"", "\x05", "\xff\xff\xff", "\x01\x02\x03\x04\x05\x06\x07"}) {
      world.replica.receive(world.now, one, std::string(1, static_cast<char>(kind)) + rest,
                            world.out);
    }
  }
  world.replica.check_invariants();
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::paxos
