#include <memory>
#include <string>
#include <vector>

#include <boost/test/unit_test.hpp>

#include "common/wire/line.h"
#include "phase1_sockets/udp_transport.h"
#include "tests/phase1_sockets/fake_servers.h"

using namespace kv;
using namespace kv::sockets;
using namespace kv::test;
using client::CallResult;
using client::Outcome;

BOOST_AUTO_TEST_SUITE(phase1_udp_client)

namespace {

struct Client {
  explicit Client(std::vector<host::SocketAddress> addresses)
      : transport(std::move(addresses), "fake:1", events) {}
  explicit Client(const FakeUdpServer& server) : Client(std::vector{server.address()}) {}

  CallResult call(Verb verb, std::uint64_t sequence, Duration timeout = long_enough) {
    return transport.call(numbered(verb, sequence), timeout);
  }

  RecordedEvents events;
  UdpTransport transport;
};

bool answered_with(const CallResult& result, Status status) {
  return result.outcome == Outcome::answered && result.reply.status == status;
}

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

/// Reads on until the client's next operation: repeats of an earlier one do not count.
std::string read_operation(FakeUdpSocket& socket, std::string_view id) {
  std::string request;
  do {
    request = socket.read();
  } while (!request.empty() && FakeConnection::id_of(request) != id);
  return request;
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_request_is_a_datagram_and_so_is_its_answer) {
  std::vector<std::string> requests;
  FakeUdpServer server{[&](FakeUdpSocket& socket) {
    requests.push_back(socket.read());
    socket.write("@me.1 OK\n");
    requests.push_back(read_operation(socket, "@me.2"));
    socket.write("@me.2 VALUE v w");  // the line end may be missing
  }};
  Client client{server};
  BOOST_TEST(answered_with(client.call(Verb::put, 1), Status::ok));
  BOOST_TEST(client.call(Verb::get, 2).reply.value == "v w");
  server.join();
  BOOST_TEST((requests == std::vector<std::string>{"@me.1 PUT k v", "@me.2 GET k"}));
}

BOOST_AUTO_TEST_CASE(a_lost_datagram_is_sent_again_with_the_same_id) {
  std::vector<std::string> requests;
  FakeUdpServer server{[&](FakeUdpSocket& socket) {
    for (int i = 0; i < 3; ++i) {
      requests.push_back(socket.read());
    }
    socket.answer(requests.back(), "OK");
  }};
  Client client{server};
  BOOST_TEST(answered_with(client.call(Verb::put, 1), Status::ok));
  server.join();
  BOOST_TEST((requests == std::vector<std::string>(3, "@me.1 PUT k v")));
  BOOST_TEST(client.events.count("event=resend op=me.1") >= 2U);
}

BOOST_AUTO_TEST_CASE(the_intervals_grow_so_that_silence_costs_few_datagrams) {
  FakeUdpServer server{[](FakeUdpSocket& socket) {
    while (!socket.read().empty()) {
    }
  }};
  Client client{server};
  const CallResult result = client.call(Verb::put, 1, std::chrono::milliseconds{150});
  BOOST_TEST((result.outcome == Outcome::timed_out));
  BOOST_TEST(client.events.count("event=resend") >= 1U);
  BOOST_TEST(client.events.count("event=resend") <= 3U);  // at 10, 30 and 70 ms; none is caught up
}

BOOST_AUTO_TEST_CASE(what_is_not_the_awaited_answer_is_reported_and_ignored) {
  FakeUdpServer server{[](FakeUdpSocket& socket) {
    socket.read();
    for (const char* text : {"@me.7 OK\n", "@you.1 OK\n", "OK\n", "\x01\x02\x03", "",
                             "@me.1 VALUE two\nlines\n", "@me.1 VALUE right\n"}) {
      socket.write(text);
    }
  }};
  Client client{server};
  BOOST_TEST(client.call(Verb::get, 1).reply.value == "right");
  BOOST_TEST(client.events.count("event=unsolicited") == 3U);
  BOOST_TEST(client.events.count("event=malformed bytes=3") == 1U);
  BOOST_TEST(client.events.count("event=malformed bytes=0") == 1U);
  BOOST_TEST(client.events.count("event=malformed") == 3U);
  BOOST_TEST(client.events.count("from=" + to_text(server.address())) >= 6U);
}

BOOST_AUTO_TEST_CASE(a_late_answer_is_not_taken_for_the_next_operations) {
  FakeUdpServer server{[](FakeUdpSocket& socket) {
    read_operation(socket, "@me.2");
    socket.write("@me.1 VALUE late\n");
    socket.write("@me.2 VALUE right\n");
  }};
  Client client{server};
  BOOST_TEST((client.call(Verb::get, 1, soon_over).outcome == Outcome::timed_out));
  BOOST_TEST(client.call(Verb::get, 2).reply.value == "right");
  BOOST_TEST(client.events.count("op=me.1 why=\"late or repeated\"") == 1U);
}

BOOST_AUTO_TEST_CASE(an_answer_given_twice_counts_once) {
  FakeUdpServer server{[](FakeUdpSocket& socket) {
    socket.read();
    socket.write("@me.1 VALUE first\n");
    socket.write("@me.1 VALUE again\n");
    read_operation(socket, "@me.2");
    socket.write("@me.2 VALUE second\n");
  }};
  Client client{server};
  BOOST_TEST(client.call(Verb::get, 1).reply.value == "first");
  BOOST_TEST(client.call(Verb::get, 2).reply.value == "second");
  BOOST_TEST(client.events.count("event=unsolicited") == 1U);
}

BOOST_AUTO_TEST_CASE(an_answer_from_a_stranger_is_not_heard) {
  const int stranger = bound_socket(SOCK_DGRAM);
  FakeUdpServer server{[&](FakeUdpSocket& socket) {
    socket.read();
    socket.write_from(stranger, "@me.1 VALUE forged\n");
    socket.write("@me.1 VALUE right\n");
  }};
  Client client{server};
  BOOST_TEST(client.call(Verb::get, 1).reply.value == "right");
  close(stranger);
}

BOOST_AUTO_TEST_CASE(a_refusal_is_logged_and_waited_out) {
  Client client{{unused_address(SOCK_DGRAM)}};
  const CallResult result = client.call(Verb::put, 1, soon_over);
  BOOST_TEST((result.outcome == Outcome::timed_out));
  BOOST_TEST(has(result.why, " refused"));
  BOOST_TEST(client.events.count("event=refused op=me.1") >= 1U);
}

BOOST_AUTO_TEST_CASE(a_server_that_starts_within_the_timeout_is_reached) {
  const host::SocketAddress address = unused_address(SOCK_DGRAM);
  std::unique_ptr<FakeUdpServer> server;
  Client client{{address}};
  client.events.on_event = [&](std::string_view fields) {
    if (!server && fields.starts_with("event=refused")) {
      server = std::make_unique<FakeUdpServer>(
          [](FakeUdpSocket& socket) { socket.answer(socket.read(), "OK"); }, address.port());
    }
  };
  BOOST_TEST(answered_with(client.call(Verb::put, 1), Status::ok));
}

BOOST_AUTO_TEST_CASE(the_next_address_is_tried_at_once_where_nobody_listens) {
  FakeUdpServer server{[](FakeUdpSocket& socket) { socket.answer(socket.read(), "OK"); }};
  Client client{{unused_address(SOCK_DGRAM), server.address()}};
  BOOST_TEST(answered_with(client.call(Verb::put, 1), Status::ok));
}

BOOST_AUTO_TEST_CASE(where_an_address_is_silent_the_next_operation_goes_to_the_next_one) {
  std::vector<std::string> seen;
  FakeUdpServer silent{[](FakeUdpSocket& socket) {
    while (!socket.read().empty()) {
    }
  }};
  FakeUdpServer server{[&](FakeUdpSocket& socket) {
    seen.push_back(socket.read());
    socket.answer(seen.back(), "OK");
  }};
  Client client{{silent.address(), server.address()}};
  BOOST_TEST((client.call(Verb::put, 1, soon_over).outcome == Outcome::timed_out));
  BOOST_TEST(answered_with(client.call(Verb::put, 2), Status::ok));
  server.join();
  BOOST_TEST((seen == std::vector<std::string>{"@me.2 PUT k v"}));  // never the first operation
}

BOOST_AUTO_TEST_CASE(a_request_longer_than_a_datagram_is_not_sent) {
  Client client{{unused_address(SOCK_DGRAM)}};
  Command command = numbered(Verb::put, 1);
  command.value.assign(wire::datagram_bytes_max, 'v');
  const CallResult result = client.transport.call(command, long_enough);
  BOOST_TEST((result.outcome == Outcome::not_sent));
  BOOST_TEST(has(result.why, "longer than a datagram"));
}

BOOST_AUTO_TEST_CASE(the_largest_datagrams_pass_both_ways) {
  const std::string_view around = "@me.1 PUT k \n";
  Command command = numbered(Verb::put, 1);
  command.value.assign(wire::datagram_bytes_max - around.size(), 'v');
  std::string value(wire::datagram_bytes_max - std::string_view{"@me.2 VALUE \n"}.size(), 'w');
  FakeUdpServer server{[&](FakeUdpSocket& socket) {
    const bool whole = socket.read() == "@me.1 PUT k " + command.value;
    socket.write(whole ? "@me.1 OK\n" : "@me.1 ERROR cut\n");
    read_operation(socket, "@me.2");
    socket.write("@me.2 VALUE " + value + "\n");
  }};
  Client client{server};
  BOOST_TEST(answered_with(client.transport.call(command, long_enough), Status::ok));
  BOOST_TEST((client.call(Verb::get, 2).reply.value == value));
}

BOOST_AUTO_TEST_SUITE_END()
