#include "common/sim/journaling_replica.h"

#include <boost/test/unit_test.hpp>

namespace kv {
namespace {

Command put(std::string key, std::string value, std::uint64_t sequence) {
  return {.verb = Verb::put,
          .origin = {.client = "c", .sequence = sequence, .first_outstanding = sequence},
          .key = std::move(key),
          .value = std::move(value)};
}

Reply ask(sim::JournalingReplica& replica, const Command& command, Effects& out) {
  replica.request(Instant{}, {1}, command, out);
  BOOST_REQUIRE(!out.answers.empty());
  return out.answers.back().reply;
}

Reply get(sim::JournalingReplica& replica, std::string key) {
  Effects out;
  return ask(replica, {.verb = Verb::get, .key = std::move(key)}, out);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(sim_journaling_replica)

BOOST_AUTO_TEST_CASE(a_change_is_a_record_and_a_get_is_none) {
  sim::JournalingReplica replica;
  Effects out;
  BOOST_TEST((ask(replica, put("k", "1", 1), out).status == Status::ok));
  BOOST_TEST(out.records.size() == 1);
  BOOST_TEST((ask(replica, {.verb = Verb::get, .key = "k"}, out).value == "1"));
  BOOST_TEST(out.records.size() == 1);
}

BOOST_AUTO_TEST_CASE(its_records_are_its_state) {
  sim::JournalingReplica first;
  Effects out;
  ask(first, put("k", "1", 1), out);
  ask(first, put("k", "2", 2), out);
  sim::JournalingReplica second;
  for (const Bytes& record : out.records) {
    second.recover(record);
  }
  BOOST_TEST(get(second, "k").value == "2");
  BOOST_TEST(second.checksum() == first.checksum());
}

BOOST_AUTO_TEST_CASE(a_snapshot_and_the_records_after_it_are_its_state) {
  sim::JournalingReplica first;
  Effects out;
  ask(first, put("k", "1", 1), out);
  first.begin_snapshot();
  out.clear();
  ask(first, put("k", "2", 2), out);
  sim::JournalingReplica second;
  for (Bytes piece = first.next_snapshot_piece(); !piece.empty();
       piece = first.next_snapshot_piece()) {
    second.restore(piece);
  }
  BOOST_TEST(get(second, "k").value == "1");
  second.recover(out.records.front());
  BOOST_TEST(get(second, "k").value == "2");
  BOOST_TEST(second.checksum() == first.checksum());
}

BOOST_AUTO_TEST_CASE(a_repeated_request_is_answered_again_and_not_done_again) {
  sim::JournalingReplica replica;
  Effects out;
  ask(replica, put("k", "1", 1), out);
  Command swap = put("k", "2", 2);
  swap.verb = Verb::compare_and_set;
  swap.expected = "1";
  BOOST_TEST((ask(replica, swap, out).status == Status::ok));
  BOOST_TEST((ask(replica, swap, out).status == Status::ok));
  BOOST_TEST(get(replica, "k").value == "2");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv
