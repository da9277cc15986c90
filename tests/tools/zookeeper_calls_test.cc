#include "tools/zookeeper_calls.h"

#include <string>
#include <vector>

#include <boost/test/unit_test.hpp>

namespace kv::load {
BOOST_AUTO_TEST_SUITE(tools_zookeeper_calls)

namespace {

Bytes number(std::int32_t value) {
  Bytes bytes;
  for (const int shift : {24, 16, 8, 0}) {
    bytes += static_cast<char>(static_cast<std::uint32_t>(value) >> shift & 0xFF);
  }
  return bytes;
}

Bytes record(const Bytes& bytes) {
  return number(static_cast<std::int32_t>(bytes.size())) + bytes;
}

Bytes answer(std::int32_t to, std::int32_t error, const Bytes& rest = {}) {
  return record(number(to) + Bytes(8, '\0') + number(error) + rest);
}

/// A connection whose session is made.
struct World {
  World() {
    BOOST_TEST(receive(record(Bytes(36, '\0'))));
    calls.output().clear();
  }
  bool receive(const Bytes& bytes) { return calls.receive(bytes, answers); }

  ZookeeperCalls calls{"localhost:1"};
  std::vector<ZookeeperCalls::Answer> answers;
};

constexpr std::int32_t no_node = -101;
constexpr std::int32_t node_exists = -110;

}  // namespace

BOOST_AUTO_TEST_CASE(a_connection_begins_with_a_new_session) {
  ZookeeperCalls calls{"localhost:1"};
  BOOST_TEST(calls.output() == record(number(0) + Bytes(8, '\0') + number(30'000) + Bytes(8, '\0') +
                                      record(Bytes(16, '\0')) + Bytes(1, '\0')));
}

BOOST_AUTO_TEST_CASE(a_put_sets_whatever_version_the_node_has) {
  World world;
  const auto stream = world.calls.put("k", "v1");
  BOOST_TEST(world.calls.output() ==
             record(number(1) + number(5) + record("/k") + record("v1") + number(-1)));
  BOOST_TEST(world.receive(answer(1, 0, Bytes(68, '\0'))));
  BOOST_REQUIRE(world.answers.size() == 1U);
  BOOST_TEST(world.answers[0].stream == stream);
  BOOST_TEST(world.answers[0].answered);
}

BOOST_AUTO_TEST_CASE(a_put_makes_the_node_if_there_is_none_and_sets_it_if_another_was_faster) {
  World world;
  const auto stream = world.calls.put("k", "v1");
  BOOST_TEST(world.receive(answer(1, no_node)));
  BOOST_TEST(world.receive(answer(2, node_exists)));
  BOOST_TEST(world.answers.empty());
  BOOST_TEST(world.receive(answer(3, 0)));
  BOOST_REQUIRE(world.answers.size() == 1U);
  BOOST_TEST(world.answers[0].stream == stream);
}

BOOST_AUTO_TEST_CASE(a_get_syncs_first_and_is_one_answer_byte_by_byte_too) {
  World world;
  const auto stream = world.calls.get("k");
  BOOST_TEST(world.calls.output() ==
             record(number(1) + number(9) + record("/k")) +
                 record(number(2) + number(4) + record("/k") + Bytes(1, '\0')));
  for (const char byte :
       answer(1, 0, record("/k")) + answer(2, 0, record("v1") + Bytes(68, '\0'))) {
    BOOST_TEST(world.receive(Bytes{byte}));
  }
  BOOST_REQUIRE(world.answers.size() == 1U);
  BOOST_TEST(world.answers[0].stream == stream);
  BOOST_TEST(world.answers[0].value == "v1");
}

BOOST_AUTO_TEST_CASE(an_error_is_a_call_that_failed) {
  World world;
  world.calls.put("k", "v");
  BOOST_TEST(world.receive(answer(1, -4)));
  BOOST_REQUIRE(world.answers.size() == 1U);
  BOOST_TEST(!world.answers[0].answered);
}

BOOST_AUTO_TEST_CASE(an_answer_out_of_its_turn_or_cut_short_ends_the_connection) {
  World out_of_turn;
  out_of_turn.calls.put("k", "v");
  BOOST_TEST(!out_of_turn.receive(answer(7, 0)));
  World unasked;
  BOOST_TEST(!unasked.receive(answer(1, 0)));
  World cut_short;
  cut_short.calls.put("k", "v");
  BOOST_TEST(!cut_short.receive(record(number(1) + Bytes(3, '\0'))));
  World too_long;
  BOOST_TEST(!too_long.receive(number(1 << 30)));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::load
