// Raft, section 7: a follower that is too far behind gets the state; and whether states are equal.
#include <boost/test/unit_test.hpp>

#include "tests/phase5_raft/raft_group.h"

namespace kv::raft {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// 1 leads, and 3 has acknowledged so many pieces of an image of its state.
void image_up_to(RaftGroup& group, std::uint64_t pieces) {
  BOOST_REQUIRE(group.make_leader(1));
  group.cut(3);
  for (int i = 0; i < 800; ++i) {
    group.put(1, "k" + std::to_string(i), std::string(2000, 'v'));
    group.settle();
  }
  group.heal();
  std::uint64_t wanted = 0;
  for (int i = 0; i < 100'000 && wanted < pieces; ++i) {
    if (group.mail().empty()) {
      group.nudge(1);
      continue;
    }
    const auto message = decode_message(group.mail().front().bytes);
    if (message && std::holds_alternative<Installed>(*message)) {
      wanted = std::max(wanted, std::get<Installed>(*message).next);
    }
    group.deliver_one();
  }
  BOOST_REQUIRE(wanted == pieces);
}

RaftReplicaOptions one_piece_at_a_time() {
  RaftReplicaOptions options;
  options.log_bytes_kept = 1024;
  options.image_pieces_in_flight_max = 1;
  return options;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(phase5_snapshot)

BOOST_AUTO_TEST_CASE(a_follower_whose_next_entry_is_gone_gets_the_state_in_pieces) {
  RaftReplicaOptions options;
  options.log_bytes_kept = 1024;
  RaftGroup group{3, options};
  BOOST_REQUIRE(group.make_leader(1));
  group.cut(3);
  for (int i = 0; i < 400; ++i) {
    group.put(1, "k" + std::to_string(i), std::string(2000, 'v'));
    group.settle();
  }
  BOOST_TEST((group.raft(1).log().base() > group.raft(3).log().last()));
  group.heal();
  group.run(seconds{2});
  BOOST_TEST((group.raft(3).commit() == group.raft(1).commit()));
  BOOST_TEST(group.replica(3).life()->checksum() == group.replica(1).life()->checksum());
  const RequestId read = group.get(3, "k7");
  group.settle();
  BOOST_TEST(group.is(read, Status::ok, std::string(2000, 'v')));
  group.restart(3);
  group.run(seconds{1});
  BOOST_TEST(group.replica(3).life()->checksum() == group.replica(1).life()->checksum());
}

BOOST_AUTO_TEST_CASE(a_follower_that_restarts_goes_on_with_the_piece_it_wanted) {
  RaftGroup group{3, one_piece_at_a_time()};
  image_up_to(group, 3);
  group.restart(3);
  group.notes().clear();
  group.run(seconds{2});
  BOOST_TEST((group.raft(3).commit() == group.raft(1).commit()));
  for (const NotedLine& line : group.notes()) {
    BOOST_TEST(line.fields.find("event=image_begins") == std::string::npos);
  }
}

BOOST_AUTO_TEST_CASE(no_snapshot_is_taken_in_the_middle_of_an_image_after_a_restart_either) {
  RaftGroup group{3, one_piece_at_a_time()};
  image_up_to(group, 3);
  BOOST_TEST(!group.snapshot(3));
  group.restart(3);
  BOOST_TEST(!group.snapshot(3));
}

BOOST_AUTO_TEST_CASE(a_late_piece_of_an_image_is_no_record_after_a_snapshot) {
  RaftGroup group{3, one_piece_at_a_time()};
  image_up_to(group, 3);
  const auto late = group.take_mail<InstallSnapshot>(1, 3);
  BOOST_REQUIRE((late && late->number == 3U));
  group.cut(3);
  group.run(seconds{6});  // the image is given up
  BOOST_REQUIRE(group.snapshot(3));
  group.heal();
  group.post(1, 3, *late);
  group.deliver_one();
  group.restart(3);
  group.run(seconds{2});
  BOOST_TEST((group.raft(3).commit() == group.raft(1).commit()));
}

BOOST_AUTO_TEST_CASE(a_replica_is_where_it_was_after_its_own_snapshot) {
  RaftGroup group{3};
  BOOST_REQUIRE(group.make_leader(1));
  for (int i = 0; i < 50; ++i) {
    group.put(1, "k" + std::to_string(i), "v");
  }
  group.settle();
  group.cut(2);
  group.cut(3);
  group.put(1, "open", "v");  // in the log, not committed
  group.settle();
  const std::string terms = group.terms(1);
  const std::uint64_t checksum = group.replica(1).life()->checksum();
  BOOST_REQUIRE(group.snapshot(1));
  group.restart(1);
  BOOST_TEST(group.replica(1).life()->checksum() == checksum);
  BOOST_TEST((group.raft(1).log().last() == Index{52}));
  BOOST_TEST((group.raft(1).term() == Term{1}));
  group.heal();
  BOOST_TEST(group.elect() != 0U);
  group.run(seconds{1});
  BOOST_TEST(group.replica(2).life()->checksum() == group.replica(1).life()->checksum());
}

BOOST_AUTO_TEST_CASE(what_an_image_stands_for_is_not_waited_for_though_the_log_is_kept) {
  RaftGroup group{3};
  BOOST_REQUIRE(group.make_leader(1));
  group.cut(2, 1);
  group.cut(3, 1);
  const RequestId put = group.put(1, "k", "v");
  group.settle();
  // Somebody else leads, has it committed, and is far ahead of what 1 knows to be committed.
  BOOST_REQUIRE(group.raft(2).log().last() == Index{2});
  group.post(2, 1, AppendEntries{.term = {2}, .previous = {2}, .previous_term = {1}});
  StateMachine theirs;
  theirs.begin_snapshot();
  InstallSnapshot piece{.term = {2},
                        .image = 1,
                        .last_index = {2},
                        .last_term = {1},
                        .membership = group.raft(1).membership()};
  for (piece.piece = theirs.next_snapshot_piece(); !piece.piece.empty();
       piece.piece = theirs.next_snapshot_piece()) {
    group.post(2, 1, piece);
    ++piece.number;
  }
  group.heal();
  for (std::uint64_t i = 0; i < piece.number + 1; ++i) {
    group.deliver_one();
  }
  BOOST_TEST((group.raft(1).log().base() == Index{2}));
  BOOST_REQUIRE(group.answer(put) != nullptr);
  BOOST_TEST((group.answer(put)->status == Status::unknown));
}

// --- divergence ----------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(a_state_that_differs_from_the_leaders_is_noted_and_serves_no_more) {
  RaftReplicaOptions options;
  options.sample_every = 4;
  RaftGroup group{3, options};
  BOOST_REQUIRE(group.make_leader(1));
  for (int i = 0; i < 10; ++i) {
    group.put(1, "k", std::to_string(i));
    group.settle();
  }
  group.run(std::chrono::milliseconds{200});
  group.post(
      1, 2,
      AppendEntries{
          .term = {1}, .previous = {11}, .previous_term = {1}, .sampled = {8}, .checksum = 0xbad});
  group.notes().clear();
  group.settle();
  // It was compared before: the same sample is not looked at twice. The next one is.
  for (int i = 0; i < 4; ++i) {
    group.put(1, "k", "more");
  }
  group.run(std::chrono::milliseconds{60});
  group.post(1, 2, AppendEntries{.term = {1}, .sampled = {4}, .checksum = 0xbad});
  group.settle();
  BOOST_REQUIRE(!group.notes().empty());
  BOOST_TEST(group.notes().back().fields.find("event=divergence") != std::string::npos);
  const RequestId read = group.get(2, "k");
  BOOST_TEST(group.is(read, Status::unavailable));
}

BOOST_AUTO_TEST_CASE(whoever_takes_an_image_slowly_stops_no_writes) {
  RaftReplicaOptions options;
  options.log_bytes_kept = options.log_bytes_worth = 64 * 1024;
  options.commit_lag_bytes_max = 256 * 1024;
  options.image_log_bytes_max = 512 * 1024;
  RaftGroup group{3, options};
  BOOST_REQUIRE(group.make_leader(1));
  group.crash(3);
  const std::string value(10'000, 'v');
  for (int i = 0; i < 100; ++i) {
    group.put(1, "k" + std::to_string(i), value);
    group.run(milliseconds{1});
  }
  group.start(3);
  BOOST_REQUIRE(group.run_until([&] { return group.raft(1).sending_image(); }));
  group.crash(3);  // it is waited for all the same, for a while
  for (int i = 0; i < 200; ++i) {
    const RequestId put = group.put(1, "k" + std::to_string(i % 100), value);
    group.run(milliseconds{1});
    BOOST_TEST(group.is(put, Status::ok), "write " << i << " of two megabytes");
  }
  BOOST_TEST(group.raft(1).sending_image());
  BOOST_TEST(group.raft(1).log().bytes() < 700U * 1024);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::raft
