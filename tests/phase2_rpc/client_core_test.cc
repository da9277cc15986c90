#include "phase2_rpc/client_core.h"

#include <boost/test/unit_test.hpp>

#include "tests/phase2_rpc/core_pair.h"

namespace kv::rpc {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

}  // namespace

BOOST_AUTO_TEST_SUITE(phase2_client_core)

BOOST_AUTO_TEST_CASE(a_call_ends_with_its_answer) {
  CorePair pair;
  pair.start("ask");
  BOOST_REQUIRE(pair.exchange());
  BOOST_REQUIRE(pair.calls.calls.size() == 1);
  BOOST_TEST(pair.calls.calls[0].body == "ask");
  pair.server.answer(pair.calls.calls[0].id, Code::ok, Executed::maybe, "told");
  BOOST_REQUIRE(pair.exchange());
  BOOST_TEST(pair.results.at(1).body == "told");
  BOOST_TEST(pair.client.calls_in_flight() == 0);
}

BOOST_AUTO_TEST_CASE(answers_may_come_in_any_order) {
  CorePair pair;
  for (int i = 0; i < 100; ++i) {
    pair.start(std::to_string(i));
  }
  BOOST_REQUIRE(pair.exchange());
  for (auto call = pair.calls.calls.rbegin(); call != pair.calls.calls.rend(); ++call) {
    pair.server.answer(call->id, Code::ok, Executed::maybe, call->body);
  }
  BOOST_REQUIRE(pair.exchange());
  for (std::uint64_t serial = 1; serial <= 100; ++serial) {
    BOOST_TEST(pair.results.at(serial).body == std::to_string(serial - 1));
  }
}

BOOST_AUTO_TEST_CASE(a_lost_connection_ends_every_call_at_once) {
  CorePair pair;
  pair.start("sent");
  BOOST_REQUIRE(pair.exchange());
  pair.start("never sent");
  pair.client.lost("the server closed the connection");
  BOOST_TEST((pair.results.at(1) ==
              failure(Code::unavailable, Executed::maybe, "the server closed the connection")));
  BOOST_TEST((pair.results.at(2).executed == Executed::no));
  BOOST_TEST(pair.client.calls_in_flight() == 0);
  BOOST_TEST(!pair.client.has_output());
}

BOOST_AUTO_TEST_CASE(a_call_whose_write_took_nothing_is_not_executed) {
  CorePair pair;
  pair.start("sent");
  BOOST_REQUIRE(pair.exchange());
  pair.start("refused by the socket");
  Bytes output;
  pair.client.swap_output(output);
  pair.client.output_not_taken();
  pair.client.lost("Broken pipe");
  BOOST_TEST((pair.results.at(1).executed == Executed::maybe));
  BOOST_TEST((pair.results.at(2).executed == Executed::no));
}

BOOST_AUTO_TEST_CASE(a_call_that_is_overdue_ends_and_leaves_nothing_behind) {
  CorePair pair;
  pair.start("slow", milliseconds{10});
  BOOST_REQUIRE(pair.exchange());
  BOOST_TEST((pair.client.wake_at() == pair.now + milliseconds{10}));
  pair.now += milliseconds{10};
  BOOST_TEST(pair.client.tick(pair.now));
  BOOST_TEST((pair.results.at(1).code == Code::deadline_exceeded));
  BOOST_TEST(pair.client.calls_in_flight() == 0);
  BOOST_TEST(pair.client.bytes_in_flight() == 0);
  pair.server.answer(pair.calls.calls[0].id, Code::ok, Executed::maybe, "too late");
  BOOST_REQUIRE(pair.exchange());
  BOOST_TEST(pair.ended.at(1) == 1);
  BOOST_TEST(pair.client.counts().answers_unasked == 1U);
}

BOOST_AUTO_TEST_CASE(a_late_answer_is_not_taken_for_the_slots_next_call) {
  CorePair pair;
  pair.start("first", milliseconds{10});
  BOOST_REQUIRE(pair.exchange());
  pair.now += milliseconds{10};
  BOOST_TEST(pair.client.tick(pair.now));
  pair.start("second");
  pair.server.answer(pair.calls.calls[0].id, Code::ok, Executed::maybe, "for the first");
  BOOST_REQUIRE(pair.exchange());
  BOOST_TEST(!pair.results.contains(2));
}

BOOST_AUTO_TEST_CASE(an_answer_with_an_unknown_id_is_counted_and_dropped) {
  CorePair pair;
  Bytes answer;
  append_frame(answer, {.type = FrameType::answer, .id = 999'999}, {}, "who asked?");
  BOOST_TEST(pair.client.feed(pair.now, answer));
  BOOST_TEST(pair.client.counts().answers_unasked == 1U);
}

BOOST_AUTO_TEST_CASE(many_calls_leave_in_one_piece_of_output) {
  CorePair pair;
  for (int i = 0; i < 64; ++i) {
    pair.start("x");
  }
  Bytes output;
  pair.client.swap_output(output);
  BOOST_TEST(output.size() > 64 * header_bytes);
  BOOST_TEST(!pair.client.has_output());
}

BOOST_AUTO_TEST_CASE(a_cancelled_call_ends_at_once_and_the_server_hears_of_it) {
  CorePair pair;
  const CallId id = pair.start("work");
  BOOST_REQUIRE(pair.exchange());
  BOOST_TEST(pair.client.cancel(id));
  BOOST_TEST((pair.results.at(1).code == Code::cancelled));
  BOOST_REQUIRE(pair.exchange());
  BOOST_TEST(pair.calls.cancelled == std::vector<CallId>{id});
  BOOST_TEST(!pair.client.cancel(id));
}

BOOST_AUTO_TEST_CASE(calls_beyond_the_servers_limit_are_refused_as_not_executed) {
  CorePair pair{{}, {.calls_in_flight_max = 2}};
  BOOST_REQUIRE(pair.exchange());  // hellos
  pair.start("1");
  pair.start("2");
  BOOST_TEST(pair.start("3") == 0U);
  BOOST_TEST((pair.refusal.code == Code::resource_exhausted));
  BOOST_TEST((pair.refusal.executed == Executed::no));
}

BOOST_AUTO_TEST_CASE(bytes_beyond_the_limit_are_refused_but_one_large_call_may_go_alone) {
  CorePair pair{{.bytes_in_flight_max = 100}};
  BOOST_REQUIRE(pair.exchange());
  BOOST_TEST(pair.start(std::string(500, 'x')) != 0U);
  BOOST_TEST(pair.start("y") == 0U);
  BOOST_TEST((pair.refusal.code == Code::resource_exhausted));
}

BOOST_AUTO_TEST_CASE(a_body_larger_than_a_frame_is_refused_at_once) {
  CorePair pair;
  BOOST_TEST(pair.start(std::string(payload_bytes_max + 1, 'x')) == 0U);
  BOOST_TEST((pair.refusal.code == Code::invalid_argument));
}

BOOST_AUTO_TEST_CASE(a_silent_server_is_pinged_and_then_given_up) {
  CorePair pair;
  BOOST_REQUIRE(pair.exchange());
  pair.now += seconds{10};
  BOOST_TEST(pair.client.tick(pair.now));
  BOOST_TEST(pair.client.has_output());  // the ping
  BOOST_REQUIRE(pair.exchange());        // and its pong
  pair.now += seconds{10};
  BOOST_TEST(pair.client.tick(pair.now));
  pair.now += seconds{5};
  BOOST_TEST(!pair.client.tick(pair.now));
  BOOST_TEST(pair.client.why() == "the server answers no ping");
}

BOOST_AUTO_TEST_CASE(a_server_that_goes_away_gets_no_new_calls_and_answers_the_old) {
  CorePair pair;
  pair.start("old");
  BOOST_REQUIRE(pair.exchange());
  pair.server.go_away();
  BOOST_REQUIRE(pair.exchange());
  BOOST_TEST(pair.start("new") == 0U);
  BOOST_TEST((pair.refusal.executed == Executed::no));
  BOOST_TEST(!pair.server.drained());
  pair.server.answer(pair.calls.calls[0].id, Code::ok, Executed::maybe, "done");
  BOOST_REQUIRE(pair.exchange());
  BOOST_TEST(pair.server.drained());
  BOOST_TEST(pair.results.at(1).body == "done");
}

BOOST_AUTO_TEST_CASE(a_servers_hello_names_its_memory) {
  CorePair named{{}, {.memory = "of one life"}};
  BOOST_TEST(!named.client.greeted());
  BOOST_REQUIRE(named.exchange());
  BOOST_TEST(named.client.greeted());
  BOOST_TEST(named.client.server_memory() == "of one life");
  CorePair nameless;
  BOOST_REQUIRE(nameless.exchange());
  BOOST_TEST(nameless.client.server_memory() == "");
}

BOOST_AUTO_TEST_CASE(a_call_may_be_started_from_a_done) {
  CorePair pair;
  const OutgoingCall call{.method = 20, .metadata = {}, .body = "x", .deadline = never};
  int ended = 0;
  const auto count_and_go_on = [&](CallResult&&) {
    ++ended;
    for (int i = 0; i < 50; ++i) {
      pair.client.start(
          pair.now, call, [&](CallResult&&) { ++ended; }, pair.refusal);
    }
  };
  pair.client.start(pair.now, call, count_and_go_on, pair.refusal);
  BOOST_REQUIRE(pair.exchange());
  pair.server.answer(pair.calls.calls[0].id, Code::ok, Executed::maybe, {});
  BOOST_REQUIRE(pair.exchange());
  BOOST_TEST(ended == 1);
  BOOST_TEST(pair.client.calls_in_flight() == 50U);
  pair.client.lost("gone");
  BOOST_TEST(ended == 51);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::rpc
