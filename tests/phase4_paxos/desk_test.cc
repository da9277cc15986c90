#include "phase4_paxos/desk.h"

#include <boost/test/unit_test.hpp>

#include "common/core/hash.h"
#include "phase4_paxos/paxos_replica.h"
#include "tests/phase4_paxos/role_step.h"

namespace kv::paxos {
BOOST_AUTO_TEST_SUITE(phase4_desk)

namespace {

constexpr std::uint64_t boot = 7;

Command put(const char* value, const char* client = "alice") {
  return {.verb = Verb::put, .origin = {client, 1, 1}, .key = "k", .value = value};
}

/// A desk in its seventh life that hears node 2 lead.
struct Open {
  Open() {
    desk.start(at(0), boot);
    desk.on_booted(boot);
    desk.on_born();
    desk.on_leader(at(0), ballot(3, 2));
  }
  void hand_in(std::uint64_t id, const Command& command) {
    desk.request(at(1), {id}, command, said.post);
    desk.tick(at(1), said.post);
  }
  /// The body of the parcel that was handed in last.
  Bytes parcel() {
    for (const Send& send : said.effects.sends) {
      if (kind_of(send.message) == Kind::forward) {
        last = unpack_with_body<Forward>(send.message)->second;
      }
    }
    return last;
  }
  const Reply& answer() { return said.effects.answers.at(0).reply; }

  PaxosOptions options;
  Said said{one};
  Desk desk{one, options};
  Bytes last;
};

Bytes windows_of(const ParcelId& id) {
  ParcelWindows windows;
  BOOST_TEST(windows.take(id));
  Bytes bytes;
  windows.encode_to(bytes);
  return bytes;
}

Replied replied(std::uint64_t life, std::uint64_t number, ByteView parcel) {
  return {.boot = life, .number = number, .print = hash_of(parcel), .replies = {Reply{}}};
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_parcel_comes_back_with_its_replies) {
  Open open;
  open.hand_in(42, put("v"));
  open.desk.on_replied(replied(boot, 1, open.parcel()), open.said.post);
  BOOST_TEST((open.answer().status == Status::ok));
  BOOST_TEST(!open.desk.is_older_copy());
}

// An image said that it took effect, and the log says right after that this replica was removed.
BOOST_AUTO_TEST_CASE(what_took_effect_unseen_is_never_told_to_be_undone) {
  Open open;
  open.hand_in(42, put("v"));
  open.desk.on_leapt(windows_of({one, boot, 1}), open.said.post);
  open.desk.abandon("this replica is no member", open.said.post);
  BOOST_TEST((open.answer().status == Status::unknown));
}

BOOST_AUTO_TEST_CASE(what_took_effect_unseen_is_unknown_too_when_its_patience_ends_before_it_left) {
  Open open;
  open.hand_in(42, put("v"));
  open.desk.on_leapt(windows_of({one, boot, 1}), open.said.post);
  open.desk.request(at(2), {43}, put("w", "bob"), open.said.post);  // this one never left
  open.desk.abandon("nobody leads", open.said.post);
  BOOST_TEST((open.answer().status == Status::unknown));
  BOOST_TEST((open.said.effects.answers.at(1).reply.status == Status::unavailable));
}

BOOST_AUTO_TEST_CASE(another_lifes_parcel_of_the_same_number_answers_nobody) {
  Open open;
  open.hand_in(42, put("v"));
  open.desk.on_replied(replied(boot, 1, "another parcel"), open.said.post);
  BOOST_TEST(open.said.effects.answers.empty());
  BOOST_TEST(open.desk.is_older_copy());
}

BOOST_AUTO_TEST_CASE(a_parcel_that_was_not_handed_in_yet_shows_an_older_copy) {
  Open open;
  open.hand_in(42, put("v"));
  open.desk.on_replied(replied(boot, 2, "of the life that the copy lacks"), open.said.post);
  BOOST_TEST(open.desk.is_older_copy());
}

BOOST_AUTO_TEST_CASE(a_parcel_of_a_later_life_shows_an_older_copy) {
  Open open;
  open.desk.on_replied(replied(boot + 1, 1, "of a life to come"), open.said.post);
  BOOST_TEST(open.desk.is_older_copy());
}

BOOST_AUTO_TEST_CASE(an_image_with_parcels_of_a_later_life_shows_an_older_copy) {
  Open open;
  open.desk.on_leapt(windows_of({one, boot + 1, 1}), open.said.post);
  BOOST_TEST(open.desk.is_older_copy());
}

BOOST_AUTO_TEST_CASE(parcels_of_earlier_lives_show_nothing) {
  Open open;
  open.desk.on_leapt(windows_of({one, boot - 1, 900}), open.said.post);
  open.hand_in(42, put("v"));
  open.desk.on_replied(replied(boot - 1, 1, "of a life before"), open.said.post);
  BOOST_TEST(open.said.effects.answers.empty());
  BOOST_TEST(!open.desk.is_older_copy());
}

namespace {

/// Replica 1 of three, in the life that follows `records`; what it says is told apart by the test.
struct Third {
  explicit Third(const std::vector<Bytes>& before)
      : replica{one, {one, two, three}, {.seed = 5, .note_level = Level::error}}, records(before) {
    for (const Bytes& record : before) {
      replica.recover(record);
    }
    replica.start(at(0), out);
    take();
  }
  void take() {
    std::ranges::copy(out.records, std::back_inserter(records));
    for (const Note& note : std::exchange(out.notes, {})) {
      notes += note.fields + "\n";
    }
    const std::vector<Send> sends = std::exchange(out.sends, {});
    out.clear();
    for (const Send& send : sends) {
      if (send.to == one) {
        hear(one, send.message);
      }
    }
  }
  void hear(NodeId from, const Bytes& message) {
    replica.receive(at(1), from, message, out);
    take();
  }
  /// Slot 1 holds a parcel of this node's.
  void learn_parcel_of(std::uint64_t life) {
    Bytes value = begin_value({});
    append_parcel(value, begin_parcel({one, life, 1}));
    hear(two, pack(Learned{.first = {1}, .values = {value}, .kept_from = {1}, .applied = {1}}));
  }

  PaxosReplica replica;
  std::vector<Bytes> records;
  std::string notes;
  Effects out;
};

std::vector<Bytes> records_of_first_life() {
  return {pack(Founded{Configurations{{one, two, three}}}),
          pack(Met{.node = 1, .birth = 9, .born = true}), pack(Booted{1})};
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_replica_on_an_older_copy_of_its_disk_is_silent_once_the_log_shows_it) {
  Third life{records_of_first_life()};  // its second; the one whose disk this is had a third
  BOOST_TEST(life.replica.speaks());
  life.learn_parcel_of(3);
  BOOST_TEST(life.replica.refuses());
  BOOST_TEST(life.notes.find("event=refused") != std::string::npos);
  life.replica.request(at(2), {1}, put("v"), life.out);
  BOOST_TEST((life.out.answers.at(0).reply.status == Status::unavailable));
  Third next{life.records};  // the copy has caught up, and is known for what it is all the same
  BOOST_TEST(!next.replica.speaks());
}

BOOST_AUTO_TEST_CASE(a_replica_that_learns_of_its_earlier_lives_goes_on) {
  Third life{records_of_first_life()};
  life.learn_parcel_of(1);
  BOOST_TEST(!life.replica.refuses());
  BOOST_TEST(life.notes == "");
}

BOOST_AUTO_TEST_SUITE_END()
}  // namespace kv::paxos
