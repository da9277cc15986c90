#include <future>
#include <latch>
#include <string>
#include <vector>

#include <boost/test/unit_test.hpp>

#include "phase1_sockets/tcp_transport.h"
#include "tests/phase1_sockets/fake_servers.h"

using namespace kv;
using namespace kv::sockets;
using namespace kv::test;
using client::CallResult;
using client::Outcome;

BOOST_AUTO_TEST_SUITE(phase1_tcp_client)

namespace {

struct Client {
  explicit Client(std::vector<host::SocketAddress> addresses)
      : transport(std::move(addresses), "fake:1", events) {}
  explicit Client(const FakeTcpServer& server) : Client(std::vector{server.address()}) {}

  CallResult call(Verb verb, std::uint64_t sequence, Duration timeout = long_enough) {
    return transport.call(numbered(verb, sequence), timeout);
  }

  RecordedEvents events;
  TcpTransport transport;
};

bool answered_with(const CallResult& result, Status status) {
  return result.outcome == Outcome::answered && result.reply.status == status;
}

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

BOOST_AUTO_TEST_CASE(operations_share_one_connection) {
  std::vector<std::string> requests;
  FakeTcpServer server{{[&](FakeConnection& connection) {
    for (const char* answer : {"OK", "VALUE v w", "NOT_FOUND"}) {
      requests.push_back(connection.read_line());
      connection.write(FakeConnection::id_of(requests.back()) + " " + answer + "\n");
    }
  }}};
  Client client{server};
  BOOST_TEST(answered_with(client.call(Verb::put, 1), Status::ok));
  const CallResult got = client.call(Verb::get, 2);
  BOOST_TEST(answered_with(got, Status::ok));
  BOOST_TEST(got.reply.value == "v w");
  BOOST_TEST(answered_with(client.call(Verb::erase, 3), Status::not_found));
  server.join();
  BOOST_TEST(
      (requests == std::vector<std::string>{"@me.1 PUT k v", "@me.2 GET k", "@me.3 DELETE k"}));
  BOOST_TEST(client.events.count("event=connected to=") == 1U);
}

BOOST_AUTO_TEST_CASE(an_answer_may_come_in_pieces_and_with_crlf) {
  FakeTcpServer server{{[](FakeConnection& connection) {
    connection.read_line();
    for (const char byte : std::string_view{"@me.1 VALUE in pieces\r\n"}) {
      connection.write({&byte, 1});
    }
  }}};
  Client client{server};
  BOOST_TEST(client.call(Verb::get, 1).reply.value == "in pieces");
}

BOOST_AUTO_TEST_CASE(a_late_answer_is_not_taken_for_the_next_operations) {
  FakeTcpServer server{{[](FakeConnection& connection) {
    connection.read_line();
    connection.read_line();
    connection.write("@me.1 VALUE late\n@me.2 VALUE right\n");
  }}};
  Client client{server};
  const CallResult first = client.call(Verb::get, 1, soon_over);
  BOOST_TEST((first.outcome == Outcome::timed_out));
  BOOST_TEST(client.call(Verb::get, 2).reply.value == "right");
  BOOST_TEST(client.events.count("event=unsolicited bytes=16") == 1U);
  BOOST_TEST(client.events.count("op=me.1 why=\"late or repeated\"") == 1U);
}

BOOST_AUTO_TEST_CASE(an_answer_given_twice_counts_once) {
  FakeTcpServer server{{[](FakeConnection& connection) {
    connection.read_line();
    connection.write("@me.1 VALUE first\n@me.1 VALUE again\n");
    connection.answer("VALUE second");
  }}};
  Client client{server};
  BOOST_TEST(client.call(Verb::get, 1).reply.value == "first");
  BOOST_TEST(client.call(Verb::get, 2).reply.value == "second");
  BOOST_TEST(client.events.count("event=unsolicited") == 1U);
}

BOOST_AUTO_TEST_CASE(what_is_not_the_awaited_answer_is_reported_and_ignored) {
  FakeTcpServer server{{[](FakeConnection& connection) {
    connection.read_line();
    connection.write(
        "@me.7 OK\n@you.1 OK\nOK\ngarbage \x01\n\n"
        "@me.1 OK\n@me.1 CONFLICT\n@me.1 VALUE right\n");
  }}};
  Client client{server};
  BOOST_TEST(client.call(Verb::get, 1).reply.value == "right");
  BOOST_TEST(client.events.count("event=unsolicited") == 3U);
  BOOST_TEST(client.events.count("why=\"an ID of somebody else\"") == 1U);
  BOOST_TEST(client.events.count("event=malformed bytes=9") == 1U);  // garbage, not shown
  BOOST_TEST(client.events.count("garbage") == 0U);
  BOOST_TEST(client.events.count("why=\"the answer to another verb\"") == 2U);  // OK, CONFLICT
}

BOOST_AUTO_TEST_CASE(what_no_server_says_to_a_put_is_not_its_answer) {
  FakeTcpServer server{{[](FakeConnection& connection) {
    connection.read_line();
    connection.write("@me.1 NOT_FOUND\n@me.1 CONFLICT\n@me.1 OK\n");
  }}};
  Client client{server};
  BOOST_TEST((client.call(Verb::put, 1).reply.status == Status::ok));
  BOOST_TEST(client.events.count("event=malformed") == 2U);
}

BOOST_AUTO_TEST_CASE(endless_rubbish_neither_fills_the_log_nor_outlasts_the_timeout) {
  FakeTcpServer server{{[](FakeConnection& connection) {
    connection.read_line();
    std::string rubbish;
    for (int i = 0; i < 10'000; ++i) {
      rubbish += "rubbish\n";
    }
    connection.write(rubbish);
    connection.answer("OK");
  }}};
  Client client{server};
  BOOST_TEST((client.call(Verb::put, 1, soon_over).outcome == Outcome::timed_out));
  BOOST_TEST(answered_with(client.call(Verb::put, 2), Status::ok));
  BOOST_TEST(client.events.count("event=malformed") <= 2 * AnswerFilter::logged_max);
  BOOST_TEST(client.events.count("event=ignored_more count=") >= 1U);
}

BOOST_AUTO_TEST_CASE(a_megabyte_without_a_line_end_ends_the_connection_and_not_the_client) {
  FakeTcpServer server{{[](FakeConnection& connection) {
                          connection.read_line();
                          connection.write(std::string(TcpTransport::answer_bytes_max * 2, 'x'));
                          connection.read_line();
                        },
                        [](FakeConnection& connection) { connection.answer("OK"); }}};
  Client client{server};
  const CallResult result = client.call(Verb::put, 1);
  BOOST_TEST((result.outcome == Outcome::lost));
  BOOST_TEST(has(result.why, "it sends no line ends"));
  BOOST_TEST(answered_with(client.call(Verb::put, 2), Status::ok));
}

BOOST_AUTO_TEST_CASE(a_server_that_dies_in_the_middle_loses_one_operation_and_is_found_again) {
  FakeTcpServer server{{[](FakeConnection& connection) {
                          connection.answer("OK");
                          connection.read_line();
                        },
                        [](FakeConnection& connection) { connection.answer("OK"); }}};
  Client client{server};
  BOOST_TEST(answered_with(client.call(Verb::put, 1), Status::ok));
  BOOST_TEST((client.call(Verb::put, 2).outcome == Outcome::lost));
  BOOST_TEST(answered_with(client.call(Verb::put, 3), Status::ok));
  server.join();
  const CallResult gone = client.call(Verb::put, 4);
  BOOST_TEST((gone.outcome == Outcome::not_sent));
  BOOST_TEST(client.events.count("event=connected") == 2U);
  BOOST_TEST(client.events.count("event=connect_failed") == 1U);
}

BOOST_AUTO_TEST_CASE(half_an_answer_is_none) {
  FakeTcpServer server{{[](FakeConnection& connection) {
    connection.read_line();
    connection.write("@me.1 VALUE cut of");
  }}};
  Client client{server};
  const CallResult result = client.call(Verb::get, 1);
  BOOST_TEST((result.outcome == Outcome::lost));
  BOOST_TEST(has(result.why, "the server closed it"));
}

BOOST_AUTO_TEST_CASE(a_connection_that_ended_between_operations_costs_none) {
  std::latch closed{1};
  FakeTcpServer server{{[&](FakeConnection& connection) {
                          connection.answer("OK");
                          connection.close();
                          closed.count_down();
                        },
                        [](FakeConnection& connection) { connection.answer("OK"); }}};
  Client client{server};
  BOOST_TEST(answered_with(client.call(Verb::put, 1), Status::ok));
  closed.wait();
  BOOST_TEST(answered_with(client.call(Verb::put, 2), Status::ok));
  BOOST_TEST(client.events.count("event=disconnected") == 1U);
}

BOOST_AUTO_TEST_CASE(where_nobody_listens_nothing_is_sent) {
  Client client{{unused_address(SOCK_STREAM)}};
  const CallResult result = client.call(Verb::put, 1);
  BOOST_TEST((result.outcome == Outcome::not_sent));
  BOOST_TEST(has(result.why, "no connection to fake:1: Connection refused"));
}

BOOST_AUTO_TEST_CASE(all_addresses_of_a_name_are_tried) {
  FakeTcpServer server{{[](FakeConnection& connection) { connection.answer("OK"); }}};
  Client client{{unused_address(SOCK_STREAM), server.address()}};
  BOOST_TEST(answered_with(client.call(Verb::put, 1), Status::ok));
  BOOST_TEST(client.events.count("event=connect_failed") == 1U);
}

BOOST_AUTO_TEST_CASE(a_server_that_accepts_nobody_is_given_up_in_time) {
  const int listener = bound_socket(SOCK_STREAM);
  BOOST_REQUIRE(listen(listener, 0) == 0);
  const host::SocketAddress address = host::address_of(listener);
  std::vector<Descriptor> queue;  // until the kernel takes no more
  for (int error = 0; queue.size() < 4;) {
    queue.push_back(begin_connect(address, SOCK_STREAM, error));
  }
  Client client{{address}};
  const CallResult result = client.call(Verb::put, 1, soon_over);
  BOOST_TEST((result.outcome == Outcome::not_sent));
  BOOST_TEST(has(result.why, "it does not answer in time"));
  close(listener);
}

BOOST_AUTO_TEST_CASE(after_half_a_request_the_connection_is_not_used_again) {
  std::promise<void> end;
  FakeTcpServer server{{[&](FakeConnection& connection) {
                          end.get_future().wait();
                          connection.close();
                        },
                        [](FakeConnection& connection) { connection.answer("OK"); }},
                       4096};
  Client client{server};
  Command large = numbered(Verb::put, 1);
  large.value.assign(value_bytes_max, 'v');
  const CallResult result = client.transport.call(large, soon_over);
  end.set_value();
  BOOST_TEST((result.outcome == Outcome::timed_out));
  BOOST_TEST(has(result.why, "the server does not read"));
  BOOST_TEST(answered_with(client.call(Verb::put, 2), Status::ok));
}

BOOST_AUTO_TEST_CASE(the_largest_value_passes_both_ways) {
  const std::string value(value_bytes_max, 'v');
  FakeTcpServer server{{[](FakeConnection& connection) {
    const std::string put = connection.read_line();
    connection.write("@me.1 OK\n");
    connection.answer("VALUE " + put.substr(std::string_view{"@me.1 PUT k "}.size()));
  }}};
  Client client{server};
  Command put = numbered(Verb::put, 1);
  put.value = value;
  BOOST_TEST(answered_with(client.transport.call(put, long_enough), Status::ok));
  BOOST_TEST((client.call(Verb::get, 2).reply.value == value));
}

BOOST_AUTO_TEST_CASE(what_a_server_says_before_it_closes_is_handed_on) {
  FakeTcpServer server{{[](FakeConnection& connection) {
    connection.read_line();
    connection.write("ERROR too many connections\n");
  }}};
  Client client{server};
  const CallResult result = client.call(Verb::put, 1);
  BOOST_TEST((result.outcome == Outcome::lost));
  BOOST_TEST(has(result.why, "it had said: too many connections"));
}

BOOST_AUTO_TEST_CASE(a_connection_that_stays_silent_is_replaced) {
  FakeTcpServer server{{[](FakeConnection& connection) {
                          while (!connection.read_line().empty()) {
                          }
                        },
                        [](FakeConnection& connection) { connection.answer("OK"); }}};
  Client client{server};
  BOOST_TEST((client.call(Verb::put, 1, soon_over).outcome == Outcome::timed_out));
  BOOST_TEST((client.call(Verb::put, 2, soon_over).outcome == Outcome::timed_out));
  BOOST_TEST(answered_with(client.call(Verb::put, 3), Status::ok));
}

BOOST_AUTO_TEST_CASE(what_a_line_cannot_carry_is_not_sent) {
  Client client{{unused_address(SOCK_STREAM)}};
  Command command = numbered(Verb::put, 1);
  command.value = "two\nlines";
  BOOST_TEST((client.transport.call(command, long_enough).outcome == Outcome::not_sent));
  BOOST_TEST(client.events.lines.empty());
}

BOOST_AUTO_TEST_SUITE_END()
