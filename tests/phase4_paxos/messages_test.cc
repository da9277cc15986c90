// The bytes of docs/PROTOCOL.md, phase 4.
#include "phase4_paxos/messages.h"

#include <boost/test/unit_test.hpp>

namespace kv::paxos {
BOOST_AUTO_TEST_SUITE(phase4_messages)

namespace {

constexpr Ballot some{.round = 2, .node = 3, .boot = 1};

Bytes bytes(std::initializer_list<int> list) {
  Bytes all;
  for (const int byte : list) {
    all.push_back(static_cast<char>(byte));
  }
  return all;
}

}  // namespace

BOOST_AUTO_TEST_CASE(messages_have_the_bytes_that_the_protocol_page_shows) {
  BOOST_TEST((pack(Prepare{some, {7}}) == bytes({1, 2, 3, 1, 7})));
  const Accept accept{.ballot = some, .slot = {7}, .chosen = {6}};
  BOOST_TEST((pack(accept, "") == bytes({3, 5, 2, 3, 1, 7, 6})));
  const Accepted accepted{.ballot = some, .slots = {{{7}, {9}}}, .lives = {}};
  BOOST_TEST((pack(accepted) == bytes({4, 2, 3, 1, 1, 2, 7, 9, 0, 0})));
}

BOOST_AUTO_TEST_CASE(a_body_is_the_rest_whatever_is_in_it) {
  const std::string value("\0\xff body", 7);
  const Bytes message = pack(Accept{.ballot = some, .slot = {300}, .chosen = {299}}, value);
  const auto accept = unpack_with_body<Accept>(message);
  BOOST_REQUIRE(accept.has_value());
  BOOST_TEST((accept->first.slot == Slot{300}));
  BOOST_TEST((accept->second == value));
}

BOOST_AUTO_TEST_CASE(the_kinds_keep_their_numbers) {
  BOOST_TEST(static_cast<int>(Kind::forward) == 8);
  BOOST_TEST(static_cast<int>(Kind::image_piece) == 14);
  BOOST_TEST(static_cast<int>(Kind::recover_tell) == 16);
  BOOST_TEST(static_cast<int>(Kind::met) == 19);
  BOOST_TEST(static_cast<int>(Kind::machine) == 23);
  BOOST_TEST(static_cast<int>(Kind::founded) == 25);
}

BOOST_AUTO_TEST_CASE(another_kind_and_a_message_cut_short_are_none) {
  const Bytes message = pack(Prepare{some, {7}});
  BOOST_TEST(!unpack<Promise>(message).has_value());
  BOOST_TEST(!unpack<Prepare>("").has_value());
  BOOST_TEST(!unpack<Prepare>("\x01\x82").has_value());
  BOOST_TEST(!unpack_with_body<Accept>(Bytes{"\x03\x09\x01"}).has_value());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::paxos
