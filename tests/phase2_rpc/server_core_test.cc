#include "phase2_rpc/server_core.h"

#include <boost/test/unit_test.hpp>

#include "common/wire/fields.h"
#include "tests/phase2_rpc/core_pair.h"

namespace kv::rpc {

BOOST_AUTO_TEST_SUITE(phase2_server_core)

BOOST_AUTO_TEST_CASE(a_client_that_does_not_say_hello_first_is_dropped) {
  CorePair pair;
  Bytes request;
  append_frame(request, {.type = FrameType::request, .method = 20, .id = 1}, {}, {});
  BOOST_TEST(!pair.server.feed(pair.now, request));
  BOOST_TEST(pair.server.why() == "the client did not say hello");
  BOOST_TEST(pair.calls.calls.empty());
}

BOOST_AUTO_TEST_CASE(a_deadline_arrives_as_what_is_left_of_it) {
  CorePair pair;
  pair.start("x", std::chrono::milliseconds{250});
  BOOST_REQUIRE(pair.exchange());
  BOOST_TEST((pair.calls.calls[0].deadline == pair.now + std::chrono::milliseconds{250}));
}

BOOST_AUTO_TEST_CASE(a_one_way_call_is_told_and_not_answered) {
  CorePair pair;
  BOOST_TEST(
      pair.client.notify(pair.now, {.method = 20, .metadata = {}, .body = "fyi"}, pair.refusal));
  BOOST_REQUIRE(pair.exchange());
  BOOST_REQUIRE(pair.calls.calls.size() == 1);
  BOOST_TEST(pair.calls.calls[0].one_way);
  pair.server.answer(pair.calls.calls[0].id, Code::ok, Executed::maybe, "?");
  BOOST_TEST(!pair.server.has_output());
  BOOST_TEST(pair.server.calls_in_flight() == 0U);
}

BOOST_AUTO_TEST_CASE(a_one_way_call_is_in_flight_until_it_has_ended) {
  CorePair pair{{}, {.calls_in_flight_max = 2, .bytes_in_flight_max = 10}};
  const auto notify = [&](ByteView body) {
    BOOST_TEST(
        pair.client.notify(pair.now, {.method = 20, .metadata = {}, .body = body}, pair.refusal));
    BOOST_REQUIRE(pair.exchange());
  };
  notify("12345678");
  BOOST_TEST(pair.server.bytes_in_flight() == 8U);
  notify("345");  // one byte too many: nobody is told, but it is counted
  BOOST_TEST(pair.server.calls_refused() == 1U);
  notify("9");
  notify("");  // one call too many
  BOOST_TEST(pair.server.calls_refused() == 2U);
  BOOST_REQUIRE(pair.calls.calls.size() == 2U);
  for (const KeptCall& call : pair.calls.calls) {
    pair.server.answer(call.id, Code::ok, Executed::maybe, {});
  }
  BOOST_TEST(pair.server.calls_in_flight() == 0U);
  BOOST_TEST(pair.server.bytes_in_flight() == 0U);
  BOOST_TEST(!pair.server.has_output());
}

BOOST_AUTO_TEST_CASE(a_call_with_an_id_that_is_not_the_clients_to_use_ends_the_connection) {
  for (const CallId id : {CallId{0}, CallId{1} << 63}) {
    CorePair pair;
    BOOST_REQUIRE(pair.exchange());
    Bytes request;
    append_frame(request, {.type = FrameType::request, .method = 20, .id = id}, {}, {});
    BOOST_TEST(!pair.server.feed(pair.now, request));
  }
}

BOOST_AUTO_TEST_CASE(a_call_id_used_twice_ends_the_connection) {
  CorePair pair;
  BOOST_REQUIRE(pair.exchange());
  Bytes request;
  append_frame(request, {.type = FrameType::request, .method = 20, .id = 5}, {}, {});
  BOOST_TEST(pair.server.feed(pair.now, request));
  BOOST_TEST(!pair.server.feed(pair.now, request));
}

BOOST_AUTO_TEST_CASE(a_client_that_ignores_the_limits_is_refused_call_by_call) {
  CorePair pair{{}, {.calls_in_flight_max = 1}};
  for (int i = 0; i < 3; ++i) {
    pair.start("x");  // before the server's hello, and with it its limit, has come
  }
  BOOST_REQUIRE(pair.exchange());
  BOOST_TEST(pair.calls.calls.size() == 1);
  BOOST_TEST((pair.results.at(2).code == Code::resource_exhausted));
  BOOST_TEST((pair.results.at(3).executed == Executed::no));
}

BOOST_AUTO_TEST_CASE(answers_to_many_calls_leave_in_one_piece_of_output) {
  CorePair pair;
  for (int i = 0; i < 3; ++i) {
    pair.start("call");
  }
  BOOST_TEST(pair.exchange());
  for (const KeptCall& call : pair.calls.calls) {
    pair.server.answer(call.id, Code::ok, Executed::maybe, "answer");
  }
  Bytes output;
  pair.server.swap_output(output);
  BOOST_TEST(!pair.server.has_output());
  BOOST_TEST(pair.client.feed(pair.now, output));
  BOOST_TEST(pair.results.size() == 3U);
}

BOOST_AUTO_TEST_CASE(bytes_in_flight_are_given_back_when_the_answer_goes) {
  CorePair pair;
  pair.start("12345678");
  BOOST_REQUIRE(pair.exchange());
  BOOST_TEST(pair.server.bytes_in_flight() == 8U);
  pair.server.answer(pair.calls.calls[0].id, Code::ok, Executed::maybe, {});
  BOOST_TEST(pair.server.bytes_in_flight() == 0U);
}

BOOST_AUTO_TEST_CASE(an_answer_larger_than_a_frame_becomes_an_error) {
  CorePair pair;
  pair.start("x");
  BOOST_REQUIRE(pair.exchange());
  const std::string huge(payload_bytes_max + 1, 'x');
  pair.server.answer(pair.calls.calls[0].id, Code::ok, Executed::maybe, huge);
  BOOST_REQUIRE(pair.exchange());
  BOOST_TEST((pair.results.at(1).code == Code::internal));
}

BOOST_AUTO_TEST_CASE(who_knows_the_secret_is_trusted) {
  CorePair pair{{.keep_alive = {}, .prove = [](ByteView nonce) { return Bytes{nonce} + "!"; }},
                {.keep_alive = {}, .nonce = "n0nce", .verify = [](ByteView proof) {
                   return proof == "n0nce!";
                 }}};
  BOOST_REQUIRE(pair.exchange());
  pair.start("x");
  BOOST_REQUIRE(pair.exchange());
  BOOST_TEST(pair.calls.calls.at(0).trusted);
}

BOOST_AUTO_TEST_CASE(who_says_nothing_of_the_secret_is_served_as_a_stranger) {
  CorePair pair{{}, {.keep_alive = {}, .nonce = "n0nce", .verify = [](ByteView) { return true; }}};
  pair.start("x");
  BOOST_REQUIRE(pair.exchange());
  BOOST_TEST(!pair.calls.calls.at(0).trusted);
}

BOOST_AUTO_TEST_CASE(who_guesses_the_secret_wrong_is_dropped) {
  CorePair pair{{.keep_alive = {}, .prove = [](ByteView) { return Bytes{"guess"}; }},
                {.keep_alive = {}, .nonce = "n0nce", .verify = [](ByteView proof) {
                   return proof == "n0nce!";
                 }}};
  BOOST_TEST(!pair.exchange());
  BOOST_TEST(pair.server.why() == "the client does not know this cluster's secret");
}

BOOST_AUTO_TEST_CASE(a_hello_with_features_nobody_knows_is_welcome) {
  CorePair pair;
  const Hello hello{.calls_in_flight_max = 1,
                    .bytes_in_flight_max = 1,
                    .features = {{.id = 4'711, .value = "from the future"}}};
  Bytes bytes;
  append_frame(bytes, {.type = FrameType::hello}, {}, wire::encode(hello) + "more fields");
  BOOST_TEST(pair.server.feed(pair.now, bytes));
}

BOOST_AUTO_TEST_CASE(a_hello_of_very_many_features_ends_the_connection) {
  CorePair pair;
  Hello hello;
  hello.features.resize(10'000);
  Bytes bytes;
  append_frame(bytes, {.type = FrameType::hello}, {}, wire::encode(hello));
  BOOST_TEST(!pair.server.feed(pair.now, bytes));
  BOOST_TEST(pair.server.why() == "the client's hello is longer than it may be");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::rpc
