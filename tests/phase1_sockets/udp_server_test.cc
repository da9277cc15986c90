#include "phase1_sockets/udp_server.h"

#include <filesystem>
#include <string>
#include <string_view>

#include <boost/test/unit_test.hpp>

#include "tests/phase1_sockets/door_world.h"
#include "tests/phase1_sockets/socket_client.h"

namespace kv::sockets {
namespace {

/// At all addresses of the machine: `host` is 0.0.0.0 or [::].
FrontDoorOptions everywhere(const std::string& host) {
  return {.udp = {.host = host, .port = 0, .off = false}, .threads = 2};
}

/// The door's port at one of its addresses.
host::SocketAddress at(const std::string& host, const DoorWorld& world) {
  std::string why;
  const auto found = host::resolve({.host = host, .port = world.door->udp().port(), .off = false},
                                   SOCK_DGRAM, host::Purpose::connect, why);
  BOOST_REQUIRE_MESSAGE(!found.empty(), why);
  return found.front();
}

bool has_ipv6() {
  const bool there = std::filesystem::exists("/proc/net/if_inet6");
  if (!there) {
    BOOST_TEST_MESSAGE("skipped: this machine has no IPv6");
  }
  return there;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(sockets_udp)

BOOST_AUTO_TEST_CASE(each_datagram_is_a_request_with_or_without_a_line_end) {
  DoorWorld world;
  UdpTalk client{world.door->udp()};
  BOOST_TEST(client.ask("PUT a some value") == "OK\n");
  BOOST_TEST(client.ask("@c.2 GET a\n") == "@c.2 VALUE some value\n");
  BOOST_TEST(client.ask("DELETE a\r\n") == "OK\n");
  BOOST_TEST(client.ask("PING") == "OK\n");
}

BOOST_AUTO_TEST_CASE(tcp_and_udp_serve_one_store) {
  DoorWorld world;
  BOOST_TEST(UdpTalk{world.door->udp()}.ask("PUT a 1") == "OK\n");
  BOOST_TEST(TcpTalk{world.door->tcp()}.ask("GET a\n") == "VALUE 1\n");
}

BOOST_AUTO_TEST_CASE(a_repeated_id_is_answered_alike_without_being_executed_again) {
  DoorWorld world;
  UdpTalk client{world.door->udp()};
  BOOST_TEST(client.ask("@c.1 CAS k x y") == "@c.1 NOT_FOUND\n");
  BOOST_TEST(client.ask("PUT k x") == "OK\n");
  BOOST_TEST(client.ask("@c.1 CAS k x y") == "@c.1 NOT_FOUND\n");
  BOOST_TEST(TcpTalk{world.door->tcp()}.ask("@c.1 CAS k x y\n") == "@c.1 NOT_FOUND\n");
  BOOST_TEST(client.ask("GET k") == "VALUE x\n");
}

BOOST_AUTO_TEST_CASE(the_largest_datagram_is_a_request_and_an_answer) {
  DoorWorld world;
  UdpTalk client{world.door->udp()};
  const std::string head = "PUT k ";
  const std::string value(datagram_bytes_max - head.size(), 'v');
  BOOST_TEST((head + value).size() == 65'507U);
  BOOST_TEST(client.ask(head + value) == "OK\n");
  // The value came without a line end, but its answer has one: a byte too many for a datagram.
  BOOST_TEST(client.ask("GET k") ==
             "ERROR the answer has 65508 bytes, too many for a datagram here: use TCP\n");
  BOOST_TEST(client.ask(head + value.substr(1)) == "OK\n");
  BOOST_TEST((client.ask("GET k") == "VALUE " + value.substr(1) + "\n"));
}

BOOST_AUTO_TEST_CASE(an_answer_beyond_the_cap_becomes_an_error) {
  DoorWorld world{FrontDoorOptions{.udp_answer_bytes_max = 20}};
  UdpTalk client{world.door->udp()};
  BOOST_TEST(client.ask("PUT k 1234567890123") == "OK\n");
  BOOST_TEST(client.ask("GET k") == "VALUE 1234567890123\n");
  BOOST_TEST(client.ask("PUT k 12345678901234") == "OK\n");
  BOOST_TEST(client.ask("@c.1 GET k").starts_with("@c.1 ERROR the answer has 26 bytes"));
}

BOOST_AUTO_TEST_CASE(malformed_datagrams_are_answered_with_errors_and_logged_without_their_bytes) {
  DoorWorld world;
  UdpTalk client{world.door->udp()};
  BOOST_TEST(client.ask("secret nonsense").starts_with("ERROR "));
  BOOST_TEST(client.ask("@c.1 nonsense").starts_with("@c.1 ERROR "));
  BOOST_TEST(client.ask("PUT a 1\nPUT a 2").starts_with("ERROR "));
  BOOST_TEST(client.ask("").starts_with("ERROR "));
  BOOST_TEST(client.ask("EXIT").starts_with("ERROR "));
  const std::string log = world.stop_and_read_log();
  BOOST_TEST(log.find("event=malformed bytes=15 from=127.0.0.1:") != std::string::npos);
  BOOST_TEST(log.find("secret") == std::string::npos);
}

BOOST_AUTO_TEST_CASE(what_is_an_answer_itself_is_not_answered) {
  DoorWorld world;
  UdpTalk client{world.door->udp()};
  for (const char* answer :
       {"OK", "ERROR why\n", "@c.1 VALUE 1\n", "NOT_FOUND", "Invalid command"}) {
    client.send(answer);
  }
  BOOST_TEST(client.ask("@me.1 PING") == "@me.1 OK\n");  // the first that is answered
}

BOOST_AUTO_TEST_CASE(with_legacy_bare_text_is_answered_in_its_own_words) {
  DoorWorld world{FrontDoorOptions{.udp_legacy = true}};
  UdpTalk client{world.door->udp()};
  BOOST_TEST(client.ask("PUT key a value") == "Stored key -> a value");
  BOOST_TEST(client.ask("GET key") == "Retrieved key -> a value");
  BOOST_TEST(client.ask("DELETE key") == "Deleted key");
  BOOST_TEST(client.ask("GET key") == "Key not found");
  BOOST_TEST(client.ask("nonsense") == "Invalid command");
  BOOST_TEST(client.ask("@c.1 GET key") == "@c.1 NOT_FOUND\n");
}

BOOST_AUTO_TEST_CASE(with_legacy_too_what_is_an_answer_itself_is_not_answered) {
  DoorWorld world{FrontDoorOptions{.udp_legacy = true}};
  UdpTalk client{world.door->udp()};
  for (const char* answer : {"Stored k -> v", "Retrieved k -> v", "Deleted k", "Key not found",
                             "Not done: why", "Perhaps done, perhaps not: why"}) {
    client.send(answer);
  }
  BOOST_TEST(client.ask("nonsense") == "Invalid command");  // the first that is answered
}

BOOST_AUTO_TEST_CASE(late_answers_go_to_whom_they_belong) {
  PatientService service;
  DoorWorld world{&service, FrontDoorOptions{.udp_legacy = true}};
  UdpTalk first{world.door->udp()};
  UdpTalk second{world.door->udp()};
  first.send("@c.1 GET a");
  service.wait_for(1);
  second.send("GET b");
  service.wait_for(2);
  service.answer(1);
  BOOST_TEST(second.receive() == "Retrieved b -> b");
  service.answer(0);
  BOOST_TEST(first.receive() == "@c.1 VALUE a\n");
}

BOOST_AUTO_TEST_CASE(a_late_answer_beyond_the_cap_becomes_an_error_too) {
  PatientService service;
  DoorWorld world{&service, FrontDoorOptions{.udp_answer_bytes_max = 20}};
  UdpTalk client{world.door->udp()};
  client.send("@c.1 GET " + std::string(21, 'k'));
  service.wait_for(1);
  service.answer(0);
  BOOST_TEST(client.receive().starts_with("@c.1 ERROR the answer has 21 bytes"));
}

BOOST_AUTO_TEST_CASE(beyond_the_limit_of_waiting_requests_the_answer_is_unavailable) {
  PatientService service;
  DoorWorld world{&service, {}, Level::warn};
  UdpTalk client{world.door->udp()};
  for (std::size_t sent = 0; sent < UdpServer::in_flight_max; ++sent) {
    client.send("GET a");
    service.wait_for(sent + 1);  // so that the kernel drops none
  }
  BOOST_TEST(client.ask("@c.1 GET a") == "@c.1 UNAVAILABLE too many requests are waiting\n");
  for (std::size_t place = 0; place < UdpServer::in_flight_max; ++place) {
    service.answer(place);
    BOOST_REQUIRE_EQUAL(client.receive(), "VALUE a\n");
  }
  client.send("GET b");
  service.wait_for(UdpServer::in_flight_max + 1);
  service.answer(UdpServer::in_flight_max);
  BOOST_TEST(client.receive() == "VALUE b\n");
}

BOOST_AUTO_TEST_CASE(a_server_at_all_addresses_answers_from_the_one_that_was_asked) {
  DoorWorld world{everywhere("0.0.0.0")};
  // A UdpTalk is connected, so it takes nothing from elsewhere.
  BOOST_TEST(UdpTalk{at("127.0.0.2", world)}.ask("PUT a 1") == "OK\n");
  BOOST_TEST(UdpTalk{at("127.0.0.1", world)}.ask("GET a") == "VALUE 1\n");
  BOOST_TEST(UdpTalk{at("127.0.0.3", world)}.ask("nonsense").starts_with("ERROR "));
}

BOOST_AUTO_TEST_CASE(a_server_at_all_addresses_of_ipv6_answers_from_the_one_that_was_asked) {
  if (!has_ipv6()) {
    return;
  }
  DoorWorld world{everywhere("::")};
  BOOST_TEST(UdpTalk{at("::1", world)}.ask("PUT a 1") == "OK\n");
  BOOST_TEST(UdpTalk{at("127.0.0.2", world)}.ask("GET a") == "VALUE 1\n");
  BOOST_TEST(UdpTalk{at("127.0.0.1", world)}.ask("GET a") == "VALUE 1\n");
}

BOOST_AUTO_TEST_CASE(a_late_answer_too_comes_from_the_address_that_was_asked) {
  PatientService service;
  DoorWorld world{&service, everywhere("0.0.0.0")};
  UdpTalk first{at("127.0.0.2", world)};
  UdpTalk second{at("127.0.0.3", world)};
  first.send("GET a");
  service.wait_for(1);
  second.send("GET b");
  service.wait_for(2);
  service.answer(1);
  BOOST_TEST(second.receive() == "VALUE b\n");
  service.answer(0);
  BOOST_TEST(first.receive() == "VALUE a\n");
}

BOOST_AUTO_TEST_CASE(a_broadcast_is_answered_from_an_address_of_the_machine) {
  DoorWorld world{everywhere("0.0.0.0")};
  const host::SocketAddress all = at("127.255.255.255", world);
  const Descriptor client{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  const int on = 1;
  ::setsockopt(client.number(), SOL_SOCKET, SO_BROADCAST, &on, sizeof on);
  BOOST_REQUIRE(::sendto(client.number(), "PING", 4, 0, all.get(), all.length) == 4);
  BOOST_REQUIRE(wait_until(client.number(), POLLIN));
  char answer[8];
  BOOST_TEST(::recv(client.number(), answer, sizeof answer, 0) == 3);
  BOOST_TEST((std::string_view{answer, 3} == "OK\n"));
}

BOOST_AUTO_TEST_CASE(requests_and_answers_are_logged_with_the_clients_address) {
  DoorWorld world;
  UdpTalk client{world.door->udp()};
  BOOST_TEST(client.ask("@c.1 PUT a 1") == "@c.1 OK\n");
  const std::string log = world.stop_and_read_log();
  BOOST_TEST(log.find("event=request op=c.1 from=127.0.0.1:") != std::string::npos);
  BOOST_TEST(log.find("transport=udp verb=put key=a bytes=1\n") != std::string::npos);
  BOOST_TEST(log.find("event=answer op=c.1 to=127.0.0.1:") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::sockets
