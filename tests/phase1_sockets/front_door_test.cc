#include "phase1_sockets/front_door.h"

#include <fmt/format.h>

#include <atomic>
#include <filesystem>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <boost/test/unit_test.hpp>

#include "tests/phase1_sockets/door_world.h"
#include "tests/phase1_sockets/socket_client.h"

namespace kv::sockets {
namespace {

using namespace std::chrono_literals;

host::Endpoint at(const host::SocketAddress& taken) {
  return {.host = "127.0.0.1", .port = taken.port(), .off = false};
}

/// Why a door with these options cannot be opened; empty if it can.
std::string reason_against(const FrontDoorOptions& options) {
  LogFile file{Level::info};
  ShardedStore store;
  ShardedStoreService service{store};
  std::string why;
  return FrontDoor::open(service, file.log(), options, why) == nullptr ? why : std::string{};
}

/// Answers nothing before begin(), and then all it was given, with how many that was.
class GatheringService final : public Service {
 public:
  void submit(const Command&, Done) override { BOOST_FAIL("the door gathers"); }
  void gather(const Command&, Done done) override { gathered_.push_back(std::move(done)); }
  void begin() override {
    const std::string count = std::to_string(gathered_.size());
    for (const Done& done : std::exchange(gathered_, {})) {
      done({.status = Status::ok, .value = count, .why = {}});
    }
  }
  bool healthy() const override { return true; }

 private:
  std::vector<Done> gathered_;  // of the door's one loop
};

}  // namespace

BOOST_AUTO_TEST_SUITE(sockets_front_door)

BOOST_AUTO_TEST_CASE(what_a_loop_reads_in_one_turn_is_begun_together_over_either_transport) {
  GatheringService service;
  DoorWorld world{&service, FrontDoorOptions{.threads = 1}};
  TcpTalk tcp{world.door->tcp()};
  BOOST_TEST(tcp.ask("GET a\nGET b\nGET c\n") == "VALUE 3\n");
  BOOST_TEST(tcp.receive_line() == "VALUE 3\n");
  BOOST_TEST(tcp.receive_line() == "VALUE 3\n");
  BOOST_TEST(UdpTalk{world.door->udp()}.ask("GET a") == "VALUE 1\n");
}

BOOST_AUTO_TEST_CASE(four_loops_serve_many_clients_over_both_transports) {
  constexpr int rounds = 200;
  DoorWorld world{FrontDoorOptions{.threads = 4}};
  std::atomic<int> wrong = 0;
  std::vector<std::thread> clients;
  for (int i = 0; i < 8; ++i) {
    clients.emplace_back([&, i] {
      TcpTalk tcp{world.door->tcp()};
      UdpTalk udp{world.door->udp()};
      const std::string key = "k" + std::to_string(i);
      for (int round = 0; round < rounds; ++round) {
        const std::string id = fmt::format("@{}.{}", key, round + 1);
        const std::string value = std::to_string(round);
        wrong += tcp.ask(fmt::format("{} PUT {} {}\n", id, key, value)) == id + " OK\n" ? 0 : 1;
        wrong += udp.ask("GET " + key) == "VALUE " + value + "\n" ? 0 : 1;
        wrong += tcp.ask("GET shared\nPUT shared x\n").empty() ? 1 : 0;
        wrong += tcp.receive_line() == "OK\n" ? 0 : 1;
      }
    });
  }
  for (std::thread& client : clients) {
    client.join();
  }
  BOOST_TEST(wrong == 0);
  BOOST_TEST(world.figure("requests_total") == 8 * rounds * 4);
  BOOST_TEST(world.figure("connections_total") == 8);
}

BOOST_AUTO_TEST_CASE(late_answers_reach_the_right_clients_of_four_loops) {
  PatientService service;
  DoorWorld world{&service, FrontDoorOptions{.threads = 4}};
  std::vector<TcpTalk> clients;
  for (std::size_t i = 0; i < 20; ++i) {
    clients.emplace_back(world.door->tcp());
    clients.back().send("GET k" + std::to_string(i) + "\n");
    service.wait_for(i + 1);
  }
  for (std::size_t i = 20; i-- > 0;) {
    service.answer(i);
    BOOST_TEST(clients[i].receive_line() == "VALUE k" + std::to_string(i) + "\n");
  }
}

BOOST_AUTO_TEST_CASE(a_stop_waits_for_the_answers_that_are_owed) {
  PatientService service;
  DoorWorld world{&service};
  TcpTalk client{world.door->tcp()};
  UdpTalk datagrams{world.door->udp()};
  client.send("GET a\nGET b\nPUT c hal");
  datagrams.send("GET d");
  service.wait_for(3);
  std::thread stopping{[&] { world.door->stop(); }};
  for (std::size_t place = 0; place < 3; ++place) {
    service.answer(place);
  }
  BOOST_TEST(client.receive_until_closed() == "VALUE a\nVALUE b\n");
  BOOST_TEST(datagrams.receive() == "VALUE d\n");
  stopping.join();
  BOOST_TEST(world.stop_and_read_log().find("event=drain_deadline") == std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_stop_closes_quiet_connections_at_once) {
  DoorWorld world{FrontDoorOptions{.threads = 2, .drain_patience = 1h}};
  TcpTalk quiet{world.door->tcp()};
  TcpTalk half{world.door->tcp()};
  BOOST_TEST(quiet.ask("PING\n") == "OK\n");
  half.send("PUT a hal");
  world.door->stop();
  BOOST_TEST(quiet.receive_until_closed().empty());
  BOOST_TEST(half.receive_until_closed().empty());
}

BOOST_AUTO_TEST_CASE(a_stop_waits_no_longer_than_its_deadline) {
  PatientService service;
  DoorWorld world{&service, FrontDoorOptions{.drain_patience = 20ms}};
  TcpTalk client{world.door->tcp()};
  client.send("GET a\n");
  service.wait_for(1);
  world.door->stop();
  BOOST_TEST(client.receive_until_closed().empty());
  service.answer(0);  // as every service must before the door's end
  BOOST_TEST(world.stop_and_read_log().find("event=drain_deadline") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_client_that_does_not_read_cannot_hold_up_a_stop) {
  DoorWorld world{FrontDoorOptions{.drain_patience = 20ms}};
  TcpTalk client{world.door->tcp(), 4096};
  BOOST_TEST(client.ask("PUT k " + std::string(1'000'000, 'v') + "\n") == "OK\n");
  std::string requests;
  for (int i = 0; i < 100; ++i) {
    requests += "GET k\n";
  }
  client.send(requests);
  world.door->stop();
  BOOST_TEST(world.figure("connections") == 0);
}

BOOST_AUTO_TEST_CASE(a_port_in_use_is_told_in_one_line) {
  DoorWorld world{FrontDoorOptions{.threads = 2}};
  const host::Endpoint tcp = at(world.door->tcp());
  const std::string tcp_reason = reason_against({.tcp = tcp});
  BOOST_TEST(tcp_reason == "cannot listen on tcp 127.0.0.1:" + std::to_string(tcp.port) +
                               ": Address already in use");
  const host::Endpoint udp = at(world.door->udp());
  for (const std::size_t threads : {1U, 2U}) {
    BOOST_TEST(reason_against({.udp = udp, .threads = threads}) ==
               "cannot listen on udp 127.0.0.1:" + std::to_string(udp.port) +
                   ": Address already in use");
  }
}

BOOST_AUTO_TEST_CASE(a_host_that_does_not_exist_is_told) {
  const std::string why =
      reason_against({.tcp = {.host = "no-such-host.invalid", .port = 0, .off = false}});
  BOOST_TEST(why.find("no-such-host.invalid") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(clients_come_over_ipv6_too) {
  if (!std::filesystem::exists("/proc/net/if_inet6")) {
    BOOST_TEST_MESSAGE("skipped: this machine has no IPv6");
    return;
  }
  const host::Endpoint six{.host = "::1", .port = 0, .off = false};
  DoorWorld world{FrontDoorOptions{.tcp = six, .udp = six, .threads = 2}};
  BOOST_TEST(TcpTalk{world.door->tcp()}.ask("PUT a 1\n") == "OK\n");
  BOOST_TEST(UdpTalk{world.door->udp()}.ask("GET a") == "VALUE 1\n");
  BOOST_TEST(world.door->ready_line().starts_with("ready tcp=[::1]:"));
  const std::string log = world.stop_and_read_log();
  BOOST_TEST(log.find("from=[::1]:") != std::string::npos);
  BOOST_TEST(log.find("transport=udp verb=get key=a\n") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_host_name_is_resolved) {
  const host::Endpoint name{.host = "localhost", .port = 0, .off = false};
  DoorWorld world{FrontDoorOptions{.tcp = name}};
  BOOST_TEST(TcpTalk{world.door->tcp()}.ask("PING\n") == "OK\n");
  BOOST_TEST(world.door->ready_line().ends_with(" udp=off http=off"));
}

BOOST_AUTO_TEST_CASE(operators_ask_over_http) {
  FrontDoorOptions options = on_free_ports();
  options.http = {.host = "127.0.0.1", .port = 0, .off = false};
  DoorWorld world{options};
  for (const auto& [path, expected] :
       {std::pair{"/healthz", "ok"}, std::pair{"/metrics", "quintet_connections 0\n"},
        std::pair{"/status", "\"connections\": 0"}}) {
    TcpTalk client{world.door->http()};
    client.send(std::string{"GET "} + path + " HTTP/1.0\r\n\r\n");
    const std::string page = client.receive_until_closed();
    BOOST_TEST(page.starts_with("HTTP/1.0 200 OK\r\n"), page);
    BOOST_TEST(page.find(expected) != std::string::npos, page);
  }
}

BOOST_AUTO_TEST_CASE(what_was_counted_is_shown) {
  DoorWorld world{FrontDoorOptions{.gauges = {{"items", "Keys in the store", [] { return 7.0; }}}}};
  TcpTalk client{world.door->tcp()};
  BOOST_TEST(client.ask("PUT a 1\n") == "OK\n");
  BOOST_TEST(client.ask("bad\n").starts_with("ERROR"));
  const std::string metrics = to_prometheus(world.door->figures());
  for (const char* line : {"# TYPE quintet_connections gauge\nquintet_connections 1\n",
                           "quintet_requests_total{verb=\"put\"} 1\n",
                           "quintet_malformed_total 1\n", "quintet_received_bytes_total 12\n",
                           "quintet_items 7\n", "quintet_log_lines_dropped_total 0\n"}) {
    BOOST_TEST(metrics.find(line) != std::string::npos, "no " << line << " in\n" << metrics);
  }
  const std::string json = to_json(world.door->figures());
  BOOST_TEST(json.starts_with("{\"connections\": 1, "));
  BOOST_TEST(json.find("\"requests_total\": {\"get\": 0, \"put\": 1, ") != std::string::npos);
  BOOST_TEST(json.ends_with("\"items\": 7}\n"));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::sockets
