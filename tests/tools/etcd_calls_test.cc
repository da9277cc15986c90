#include "tools/etcd_calls.h"

#include <string>
#include <vector>

#include <boost/test/unit_test.hpp>

namespace kv::load {
namespace {

Bytes frame(std::uint8_t type, std::uint8_t flags, std::uint32_t stream, const Bytes& payload) {
  Bytes bytes{'\0', '\0', static_cast<char>(payload.size()), static_cast<char>(type),
              static_cast<char>(flags)};
  for (const unsigned shift : {24U, 16U, 8U, 0U}) {
    bytes += static_cast<char>(stream >> shift);
  }
  return bytes + payload;
}

/// A gRPC message in a DATA frame.
Bytes data(std::uint32_t stream, const Bytes& message) {
  return frame(0, 0, stream,
               Bytes{'\0', '\0', '\0', '\0', static_cast<char>(message.size())} + message);
}

Bytes trailers(std::uint32_t stream) {
  return frame(1, 0x5, stream, "\x88");
}

// RangeResponse {header {cluster_id 7}, kvs {key "k", mod_revision 3, value "v1"}, count 1}
const Bytes range_response{"\x0a\x02\x08\x07\x12\x09\x0a\x01k\x18\x03\x2a\x02v1\x20\x01", 17};

}  // namespace

BOOST_AUTO_TEST_SUITE(tools_etcd_calls)

BOOST_AUTO_TEST_CASE(an_answer_that_comes_byte_by_byte_is_one_answer) {
  EtcdCalls calls{"localhost:1"};
  const auto stream = calls.get("k");
  std::vector<EtcdCalls::Answer> answers;
  for (const char byte : data(stream, range_response) + trailers(stream)) {
    BOOST_TEST(calls.receive({&byte, 1}, answers));
  }
  BOOST_REQUIRE(answers.size() == 1U);
  BOOST_TEST(answers[0].stream == stream);
  BOOST_TEST(answers[0].answered);
  BOOST_TEST(answers[0].value == "v1");
}

BOOST_AUTO_TEST_CASE(a_call_that_ends_without_a_message_failed) {
  EtcdCalls calls{"localhost:1"};
  const auto first = calls.put("k", "v");
  const auto second = calls.put("k", "v");
  std::vector<EtcdCalls::Answer> answers;
  BOOST_TEST(calls.receive(trailers(second) + frame(3, 0, first, Bytes(4, '\0')), answers));
  BOOST_REQUIRE(answers.size() == 2U);
  BOOST_TEST(answers[0].stream == second);
  BOOST_TEST(!answers[0].answered);
  BOOST_TEST(answers[1].stream == first);
  BOOST_TEST(!answers[1].answered);
}

BOOST_AUTO_TEST_CASE(a_ping_and_settings_are_acknowledged) {
  EtcdCalls calls{"localhost:1"};
  calls.output().clear();
  std::vector<EtcdCalls::Answer> answers;
  BOOST_TEST(calls.receive(frame(4, 0, 0, "") + frame(6, 0, 0, "12345678"), answers));
  BOOST_TEST(calls.output() == frame(4, 1, 0, "") + frame(6, 1, 0, "12345678"));
}

BOOST_AUTO_TEST_CASE(what_the_server_has_no_room_for_waits_until_it_has) {
  EtcdCalls calls{"localhost:1"};
  const Bytes value(40'000, 'v');
  calls.put("k", value);
  calls.output().clear();
  calls.put("k", value);  // beyond the 65,535 bytes that a connection begins with
  BOOST_TEST(calls.output().size() < value.size());
  std::vector<EtcdCalls::Answer> answers;
  BOOST_TEST(calls.receive(frame(8, 0, 0, Bytes{"\x00\x00\xff\xff", 4}), answers));
  BOOST_TEST(calls.output().size() > value.size());
}

BOOST_AUTO_TEST_CASE(a_server_that_goes_away_ends_the_connection) {
  EtcdCalls calls{"localhost:1"};
  std::vector<EtcdCalls::Answer> answers;
  BOOST_TEST(!calls.receive(frame(7, 0, 0, Bytes(8, '\0')), answers));
}

BOOST_AUTO_TEST_CASE(a_damaged_range_response_has_no_value) {
  BOOST_TEST(range_value(range_response) == "v1");
  for (std::size_t length = 0; length < range_response.size() - 2; ++length) {
    BOOST_TEST(range_value(ByteView{range_response}.substr(0, length)).empty());
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::load
