#include "phase4_paxos/parcel.h"

#include <boost/test/unit_test.hpp>

namespace kv::paxos {
BOOST_AUTO_TEST_SUITE(phase4_parcel)

namespace {

constexpr NodeId node{3};

ParcelId parcel(std::uint64_t boot, std::uint64_t number) {
  return {node, boot, number};
}

}  // namespace

BOOST_AUTO_TEST_CASE(commands_come_out_as_they_went_in) {
  const Command put{.verb = Verb::put, .origin = {"c", 7, 5}, .key = "k", .value = "v"};
  const Command get{.verb = Verb::get, .key = "other"};
  Bytes bytes = begin_parcel(parcel(2, 9));
  Bytes scratch;
  append_command(bytes, put, scratch);
  append_command(bytes, get, scratch);
  ByteView rest = bytes;
  BOOST_TEST((read_parcel_id(rest) == parcel(2, 9)));
  Command command;
  BOOST_TEST(read_command(rest, command));
  BOOST_TEST((command == put));
  BOOST_TEST(read_command(rest, command));
  BOOST_TEST((command == get));
  BOOST_TEST(!read_command(rest, command));
}

BOOST_AUTO_TEST_CASE(a_command_cut_short_leaves_nothing_of_the_one_before) {
  Bytes bytes = begin_parcel(parcel(1, 1));
  bytes.push_back(1);  // a command of one byte: its verb alone
  bytes.push_back(static_cast<char>(Verb::put));
  ByteView rest = bytes;
  read_parcel_id(rest);
  Command command{.verb = Verb::erase, .origin = {"c", 1, 1}, .key = "stale", .value = "stale"};
  BOOST_TEST(read_command(rest, command));
  BOOST_TEST((command == Command{.verb = Verb::put}));
}

BOOST_AUTO_TEST_CASE(a_parcel_takes_effect_once_in_whatever_order) {
  ParcelWindows windows;
  for (const std::uint64_t number : {1U, 3U, 2U, 900U}) {
    BOOST_TEST(!windows.taken(parcel(1, number)));
    BOOST_TEST(windows.take(parcel(1, number)));
    BOOST_TEST(windows.taken(parcel(1, number)));
    BOOST_TEST(!windows.take(parcel(1, number)));
  }
  BOOST_TEST(!windows.taken(parcel(1, 899)));
}

BOOST_AUTO_TEST_CASE(the_window_moves_on_and_what_lies_before_it_counts_as_taken) {
  ParcelWindows windows;
  BOOST_TEST(windows.take(parcel(1, 1)));
  BOOST_TEST(windows.take(parcel(1, 1 + ParcelWindows::window)));
  BOOST_TEST(!windows.take(parcel(1, 1)));
  BOOST_TEST(windows.take(parcel(1, 2)));
  BOOST_TEST(windows.take(parcel(1, 10 * ParcelWindows::window)));
  BOOST_TEST(!windows.taken(parcel(1, 10 * ParcelWindows::window - 1)));
  BOOST_TEST(!windows.take(parcel(1, 5)));
}

BOOST_AUTO_TEST_CASE(an_earlier_life_s_parcels_have_no_effect_any_more) {
  ParcelWindows windows;
  BOOST_TEST(windows.take(parcel(2, 1)));
  BOOST_TEST(!windows.take(parcel(1, 7)));
  BOOST_TEST(windows.take(parcel(3, 1)));
  BOOST_TEST(!windows.take(parcel(2, 2)));
}

BOOST_AUTO_TEST_CASE(windows_survive_a_snapshot) {
  ParcelWindows windows;
  windows.take(parcel(2, 5));
  windows.take({{1}, 1, 1});
  Bytes bytes;
  windows.encode_to(bytes);
  ParcelWindows restored;
  BOOST_TEST(restored.decode(bytes));
  BOOST_TEST((restored == windows));
  BOOST_TEST(!restored.decode(ByteView{bytes}.substr(0, bytes.size() - 1)));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::paxos
