#include "phase1_sockets/tcp_server.h"

#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <boost/test/unit_test.hpp>

#include "common/core/random.h"
#include "common/wire/legacy.h"
#include "common/wire/line.h"
#include "tests/phase1_sockets/door_world.h"
#include "tests/phase1_sockets/socket_client.h"

namespace kv::sockets {
BOOST_AUTO_TEST_SUITE(sockets_tcp)

namespace {

using namespace std::chrono_literals;

std::string frame(std::string_view text) {
  Bytes bytes;
  wire::append_legacy_frame(bytes, text);
  return bytes;
}

bool is_served(const DoorWorld& world) {
  return TcpTalk{world.door->tcp()}.ask("PING\n") == "OK\n";
}

/// Sets the soft limit of descriptors, and back at the end.
class DescriptorLimit {
 public:
  DescriptorLimit() { ::getrlimit(RLIMIT_NOFILE, &before_); }
  ~DescriptorLimit() { ::setrlimit(RLIMIT_NOFILE, &before_); }

  void set(rlim_t most) {
    const rlimit limit{.rlim_cur = most, .rlim_max = before_.rlim_max};
    BOOST_REQUIRE(::setrlimit(RLIMIT_NOFILE, &limit) == 0);
  }
  void set_to_most() { set(before_.rlim_max); }
  /// No descriptor more than are open now.
  void set_to_what_is_open() {
    const Descriptor next{::dup(STDERR_FILENO)};  // the lowest that is free
    BOOST_REQUIRE(next.open());
    set(static_cast<rlim_t>(next.number()));
  }

 private:
  rlimit before_{};
};

}  // namespace

BOOST_AUTO_TEST_CASE(every_verb_is_answered) {
  DoorWorld world;
  TcpTalk client{world.door->tcp()};
  client.send(
      "PUT a some value\nGET a\nget b\nCAS a x y\nPUT c 1\nCAS c 1 2\n@me.1 GET c\nDELETE c\n"
      "DELETE c\nCAS c 1 2\nPING\n");
  client.half_close();
  BOOST_TEST(client.receive_until_closed() ==
             "OK\nVALUE some value\nNOT_FOUND\nCONFLICT\nOK\nOK\n@me.1 VALUE 2\nOK\nNOT_FOUND\n"
             "NOT_FOUND\nOK\n");
}

BOOST_AUTO_TEST_CASE(a_request_arrives_byte_by_byte) {
  DoorWorld world;
  TcpTalk client{world.door->tcp()};
  for (const char byte : std::string_view{"PUT a 1\nGET a\n"}) {
    client.send({&byte, 1});
  }
  BOOST_TEST(client.receive(11) == "OK\nVALUE 1\n");
}

BOOST_AUTO_TEST_CASE(ten_thousand_pipelined_requests_are_answered_in_order) {
  DoorWorld world;
  std::string requests;
  std::string expected;
  for (int i = 0; i < 10'000; ++i) {
    const std::string number = std::to_string(i);
    requests += i % 2 == 0 ? "PUT k " + number + "\n" : "@c." + number + " GET k\n";
    expected += i % 2 == 0 ? "OK\n" : "@c." + number + " VALUE " + std::to_string(i - 1) + "\n";
  }
  TcpTalk client{world.door->tcp()};
  BOOST_TEST((client.exchange(requests, expected.size()) == expected));
}

BOOST_AUTO_TEST_CASE(both_dialects_are_spoken_on_one_port) {
  DoorWorld world;
  TcpTalk line{world.door->tcp()};
  TcpTalk legacy{world.door->tcp()};
  BOOST_TEST(line.ask("PUT k v\n") == "OK\n");
  const std::string expected =
      frame("Retrieved k -> v") + frame("Key not found") + frame("Invalid command");
  BOOST_TEST(legacy.exchange(frame("GET k") + frame("GET x") + frame("PING"), expected.size()) ==
             expected);
}

BOOST_AUTO_TEST_CASE(a_repeated_id_is_answered_alike_without_being_executed_again) {
  DoorWorld world;
  TcpTalk client{world.door->tcp()};
  BOOST_TEST(client.ask("@c.1 CAS k x y\n") == "@c.1 NOT_FOUND\n");
  BOOST_TEST(client.ask("PUT k x\n") == "OK\n");
  BOOST_TEST(client.ask("@c.1 CAS k x y\n") == "@c.1 NOT_FOUND\n");
  BOOST_TEST(client.ask("GET k\n") == "VALUE x\n");
}

BOOST_AUTO_TEST_CASE(a_megabyte_of_garbage_is_answered_with_errors_and_harms_nobody) {
  DoorWorld world;
  Random random{11};
  std::string garbage(1'000'000, 'x');
  for (char& byte : garbage) {
    byte = random.chance(0.01) ? '\n' : static_cast<char>(0x80 | random.next());
  }
  TcpTalk client{world.door->tcp()};
  std::string answers = client.exchange(garbage, 0);
  client.half_close();
  answers += client.receive_until_closed();
  BOOST_TEST(answers.starts_with("ERROR "));
  BOOST_TEST(answers.find("\nOK") == std::string::npos);
  BOOST_TEST(is_served(world));
  const std::string log = world.stop_and_read_log();
  BOOST_TEST(log.find("event=malformed bytes=") != std::string::npos);
  BOOST_TEST(log.find('\xff') == std::string::npos);
}

BOOST_AUTO_TEST_CASE(an_oversized_line_is_told_so_and_the_connection_closed) {
  DoorWorld world;
  TcpTalk client{world.door->tcp()};
  client.send("PUT a 1\nPUT b " + std::string(wire::line_bytes_max, 'x'));
  BOOST_TEST(client.receive_until_closed() == "OK\nERROR the line is too long\n");
  BOOST_TEST(world.stop_and_read_log().find("why=oversized") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(the_largest_value_comes_back_whole) {
  DoorWorld world;
  const std::string value(value_bytes_max, 'v');
  TcpTalk client{world.door->tcp()};
  const std::string expected = "OK\nVALUE " + value + "\n";
  BOOST_TEST((client.exchange("PUT k " + value + "\nGET k\n", expected.size()) == expected));
}

BOOST_AUTO_TEST_CASE(exit_closes_after_the_answers_before_it) {
  DoorWorld world;
  TcpTalk client{world.door->tcp()};
  client.send("PUT a 1\nEXIT\nPUT a 2\n");
  BOOST_TEST(client.receive_until_closed() == "OK\n");
  BOOST_TEST(TcpTalk{world.door->tcp()}.ask("GET a\n") == "VALUE 1\n");
}

BOOST_AUTO_TEST_CASE(a_half_closed_client_gets_all_its_answers) {
  PatientService service;
  DoorWorld world{&service};
  TcpTalk client{world.door->tcp()};
  client.send("GET a\nGET b\nPUT c");
  client.half_close();
  service.wait_for(2);
  service.answer(1);
  service.answer(0);
  BOOST_TEST(client.receive_until_closed() == "VALUE a\nVALUE b\nERROR the line has no end\n");
  BOOST_TEST(service.count() == 2U);
}

BOOST_AUTO_TEST_CASE(late_answers_from_another_thread_leave_in_order) {
  PatientService service;
  DoorWorld world{&service};
  TcpTalk client{world.door->tcp()};
  client.send("GET a\nGET b\nGET c\n");
  service.wait_for(3);
  service.answer(2);
  service.answer(1);
  service.answer(0);
  BOOST_TEST(client.receive(24) == "VALUE a\nVALUE b\nVALUE c\n");
}

BOOST_AUTO_TEST_CASE(no_more_than_the_limit_of_one_connections_requests_wait_at_once) {
  PatientService service;
  DoorWorld world{&service};
  TcpTalk client{world.door->tcp()};
  std::string requests;
  for (std::size_t i = 0; i < Session::in_flight_max + 1; ++i) {
    requests += "PUT a 1\n";
  }
  client.send(requests);
  service.wait_for(Session::in_flight_max);
  BOOST_TEST(service.count() == Session::in_flight_max);
  service.answer(0);
  service.wait_for(Session::in_flight_max + 1);
  for (std::size_t place = 1; place <= Session::in_flight_max; ++place) {
    service.answer(place);
  }
  client.half_close();
  BOOST_TEST(client.receive_until_closed().size() == 3 * (Session::in_flight_max + 1));
}

BOOST_AUTO_TEST_CASE(an_answer_for_a_client_that_has_gone_is_dropped) {
  PatientService service;
  DoorWorld world{&service};
  {
    TcpTalk client{world.door->tcp()};
    client.send("GET a\nGET b\n");
    service.wait_for(2);
  }
  TcpTalk other{world.door->tcp()};
  other.send("GET c\n");
  service.wait_for(3);
  service.answer(0);
  service.answer(1);
  service.answer(2);
  BOOST_TEST(other.receive_line() == "VALUE c\n");
}

// --- deadlines and limits ------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(a_half_sent_request_is_ended_by_its_deadline) {
  DoorWorld world{FrontDoorOptions{.request_patience = 20ms}};
  TcpTalk client{world.door->tcp()};
  client.send("GET a\nPUT b 1");
  BOOST_TEST(client.receive_until_closed() == "NOT_FOUND\n");
  BOOST_TEST(world.figure("timeouts_total", "wait=\"request\"") == 1);
}

BOOST_AUTO_TEST_CASE(a_client_between_requests_is_not_ended_by_the_deadline_of_requests) {
  DoorWorld world{FrontDoorOptions{.request_patience = 20ms}};
  TcpTalk quiet{world.door->tcp()};
  BOOST_TEST(quiet.ask("PING\n") == "OK\n");
  TcpTalk other{world.door->tcp()};
  other.send("half");
  other.receive_until_closed();  // a deadline has passed meanwhile
  BOOST_TEST(quiet.ask("PING\n") == "OK\n");
}

BOOST_AUTO_TEST_CASE(an_idle_client_is_ended_if_that_is_wanted) {
  DoorWorld world{FrontDoorOptions{.idle_patience = 20ms}};
  TcpTalk client{world.door->tcp()};
  BOOST_TEST(client.receive_until_closed().empty());
  BOOST_TEST(world.figure("timeouts_total", "wait=\"idle\"") == 1);
}

BOOST_AUTO_TEST_CASE(a_client_that_waits_for_us_is_not_idle) {
  PatientService service;
  DoorWorld world{&service, FrontDoorOptions{.idle_patience = 20ms}};
  TcpTalk client{world.door->tcp()};
  client.send("GET a\n");
  service.wait_for(1);
  TcpTalk other{world.door->tcp()};
  other.receive_until_closed();  // an idle deadline has passed meanwhile
  service.answer(0);
  BOOST_TEST(client.receive_until_closed() == "VALUE a\n");
}

BOOST_AUTO_TEST_CASE(a_client_that_never_reads_stays_within_the_limit_and_is_ended) {
  constexpr std::size_t value_bytes = 100'000;
  constexpr std::size_t output_bytes_max = 200'000;
  DoorWorld world{FrontDoorOptions{.tcp_limits = {.output_bytes_max = output_bytes_max},
                                   .progress_patience = 200ms}};
  const std::string put = "PUT k " + std::string(value_bytes, 'v') + "\n";
  BOOST_TEST(TcpTalk{world.door->tcp()}.ask(put) == "OK\n");

  TcpTalk client{world.door->tcp(), 4096};
  std::string requests;
  for (int i = 0; i < 2000; ++i) {  // answers of 200 MB
    requests += "GET k\n";
  }
  client.send(requests);
  while (world.figure("timeouts_total", "wait=\"progress\"") < 1) {
    std::this_thread::yield();
  }
  const double answered = world.figure("requests_total", "verb=\"get\"") * value_bytes;
  BOOST_TEST(answered - world.figure("sent_bytes_total") <= output_bytes_max + value_bytes);
  BOOST_TEST(world.figure("requests_total", "verb=\"get\"") < 2000);
  BOOST_TEST(is_served(world));
}

/// Answers on a thread of its own, all that came together at once and backwards: a value that names
/// its key, or the number of changes so far.
class LateService final : public Service {
 public:
  explicit LateService(std::size_t value_bytes) : value_bytes_(value_bytes) {}
  ~LateService() override {
    {
      const std::lock_guard lock{mutex_};
      stopping_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }
  void submit(const Command& command, Done done) override {
    const std::lock_guard lock{mutex_};
    waiting_.emplace_back(command, std::move(done));
    changed_.notify_all();
  }
  bool healthy() const override { return true; }

  std::string value_of(const std::string& key) const {
    return key + std::string(value_bytes_ - key.size(), 'v');
  }
  std::size_t reads() const { return reads_; }

 private:
  void run() {
    for (std::unique_lock lock{mutex_};;) {
      changed_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
      if (waiting_.empty()) {
        return;
      }
      auto batch = std::exchange(waiting_, {});
      lock.unlock();
      std::ranges::reverse(batch);
      for (const auto& [command, done] : batch) {
        const bool is_get = command.verb == Verb::get;
        reads_ += is_get ? 1 : 0;
        done({.status = Status::ok, .value = is_get ? value_of(command.key) : "", .why = {}});
      }
      lock.lock();
    }
  }

  const std::size_t value_bytes_;
  std::atomic<std::size_t> reads_{0};
  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::vector<std::pair<Command, Done>> waiting_;
  bool stopping_ = false;
  std::thread thread_{[this] { run(); }};
};

BOOST_AUTO_TEST_CASE(late_answers_for_a_client_that_never_reads_stay_within_the_limit) {
  constexpr std::size_t value_bytes = 100'000;
  constexpr std::size_t output_bytes_max = 200'000;
  LateService service{value_bytes};
  DoorWorld world{&service, FrontDoorOptions{.tcp_limits = {.output_bytes_max = output_bytes_max},
                                             .progress_patience = 200ms}};
  TcpTalk client{world.door->tcp(), 4096};
  std::string requests;
  for (std::size_t i = 0; i < Session::in_flight_max; ++i) {  // answers of 26 MB
    requests += "GET k\n";
  }
  client.send(requests);
  double held_most = 0;
  while (world.figure("timeouts_total", "wait=\"progress\"") < 1) {
    held_most = std::max(held_most, world.figure("answer_bytes_held"));
    std::this_thread::yield();
  }
  BOOST_TEST(held_most > 0);
  BOOST_TEST(held_most <= output_bytes_max + 2 * value_bytes + 100);
  BOOST_TEST(world.figure("reads_put_off_total") > 0);
}

BOOST_AUTO_TEST_CASE(a_client_that_reads_late_gets_every_late_answer_in_its_order) {
  LateService service{20'000};
  DoorWorld world{&service, FrontDoorOptions{.tcp_limits = {.output_bytes_max = 50'000}}};
  TcpTalk client{world.door->tcp(), 4096};
  std::string requests;
  std::string expected;
  for (int i = 0; i < 1000; ++i) {
    const std::string key = "k" + std::to_string(i);
    requests += "GET " + key + "\n";
    expected += "VALUE " + service.value_of(key) + "\n";
    if (i % 100 == 99) {
      requests += "PUT k v\nPING\nnonsense\n";
      expected += "OK\nOK\nERROR an unknown verb: PUT, GET, DELETE, CAS, MULTI, PING or EXIT\n";
    }
  }
  client.send(requests);
  client.half_close();
  BOOST_TEST((client.receive_until_closed() == expected));
  BOOST_TEST(world.figure("reads_put_off_total") > 0);
  BOOST_TEST(service.reads() <= 3000U);  // not again and again
}

BOOST_AUTO_TEST_CASE(a_client_that_reads_late_gets_everything) {
  DoorWorld world{FrontDoorOptions{.tcp_limits = {.output_bytes_max = 10'000}}};
  const std::string value(20'000, 'v');
  TcpTalk client{world.door->tcp(), 4096};
  BOOST_TEST(client.ask("PUT k " + value + "\n") == "OK\n");
  std::string requests;
  std::string expected;
  for (int i = 0; i < 100; ++i) {
    requests += "GET k\n";
    expected += "VALUE " + value + "\n";
  }
  client.send(requests);
  client.half_close();
  BOOST_TEST((client.receive_until_closed() == expected));
}

BOOST_AUTO_TEST_CASE(one_busy_connection_does_not_keep_the_others_waiting) {
  DoorWorld world{FrontDoorOptions{.tcp_limits = {.requests_per_turn = 1}}};
  std::string requests;
  for (int i = 0; i < 5000; ++i) {
    requests += "PING\n";
  }
  TcpTalk busy{world.door->tcp()};
  busy.send(requests);
  BOOST_TEST(is_served(world));
  BOOST_TEST(busy.receive(15'000).size() == 15'000U);
}

BOOST_AUTO_TEST_CASE(of_1001_connections_at_a_limit_of_1000_one_is_told_so) {
  DescriptorLimit limit;
  limit.set_to_most();
  DoorWorld world{nullptr, FrontDoorOptions{.connections_max = 1000}, Level::warn};
  std::vector<TcpTalk> clients;
  clients.reserve(1000);
  for (int i = 0; i < 1000; ++i) {
    clients.emplace_back(world.door->tcp());
  }
  BOOST_TEST(clients.back().ask("PING\n") == "OK\n");
  TcpTalk surplus{world.door->tcp()};
  surplus.send("PING\n");
  BOOST_TEST(surplus.receive_until_closed() == too_many_connections);
  BOOST_TEST(clients.front().ask("PING\n") == "OK\n");
  BOOST_TEST(world.figure("connections") == 1000);
  BOOST_TEST(world.figure("connections_refused_total") == 1);

  clients.clear();
  while (world.figure("connections") > 0) {
    std::this_thread::yield();
  }
  BOOST_TEST(is_served(world));
  BOOST_TEST(world.stop_and_read_log().find("event=refused from=127.0.0.1:") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(without_descriptors_a_client_is_told_so_and_later_ones_are_served) {
  DoorWorld world;
  TcpTalk refused;
  TcpTalk waiting;
  TcpTalk served;
  DescriptorLimit limit;
  served.connect(world.door->tcp());
  BOOST_TEST(served.ask("PING\n") == "OK\n");
  limit.set_to_what_is_open();
  refused.connect(world.door->tcp());
  BOOST_TEST(refused.receive_until_closed() == too_many_connections);
  BOOST_TEST(served.ask("PING\n") == "OK\n");
  waiting.connect(world.door->tcp());
  limit.set_to_most();
  const std::string answer = waiting.ask("PING\n");
  BOOST_TEST((answer == "OK\n" || answer == too_many_connections));
  BOOST_TEST(is_served(world));
  const std::string log = world.stop_and_read_log();
  const std::size_t first = log.find("event=descriptors_exhausted");
  BOOST_TEST(first != std::string::npos);
  BOOST_TEST(log.find("event=descriptors_exhausted", first + 1) == std::string::npos);
}

// --- the log -------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(requests_and_answers_are_logged_with_the_clients_id_and_address) {
  DoorWorld world;
  {
    TcpTalk client{world.door->tcp()};
    BOOST_TEST(client.ask("@c7.12 PUT a\"b hello\n") == "@c7.12 OK\n");
    BOOST_TEST(client.ask("GET x\n") == "NOT_FOUND\n");
    client.send("EXIT\n");
    client.receive_until_closed();
  }
  const std::string log = world.stop_and_read_log();
  for (const char* text :
       {"event=connected connection=1 from=127.0.0.1:", "event=request op=c7.12 from=127.0.0.1:",
        "transport=tcp verb=put key=\"a\\\"b\" bytes=5\n", "event=answer op=c7.12 to=127.0.0.1:",
        "verb=put result=ok us=", "event=request op=tcp1.2 from=", "result=not_found us=",
        "event=closed connection=1 from=127.0.0.1:", "why=exit\n"}) {
    BOOST_TEST(log.find(text) != std::string::npos, "no " << text << " in\n" << log);
  }
  BOOST_TEST(log.find("hello") == std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_request_without_an_id_is_named_for_other_nodes_logs_where_that_is_asked) {
  FrontDoorOptions options = on_free_ports();
  options.names_from = 7'000'000;
  DoorWorld world{options};
  {
    TcpTalk client{world.door->tcp()};
    BOOST_TEST(client.ask("PUT k v\n") == "OK\n");
    BOOST_TEST(client.ask("@c7.12 GET k\n") == "@c7.12 VALUE v\n");
    BOOST_TEST(client.ask("GET k\n") == "VALUE v\n");
    client.send("EXIT\n");
    client.receive_until_closed();
  }
  const std::string log = world.stop_and_read_log();
  for (const char* text : {"event=request op=.7000000 from=", "event=answer op=.7000000 to=",
                           "event=request op=c7.12 from=", "event=request op=.7000001 from="}) {
    BOOST_TEST(log.find(text) != std::string::npos, "no " << text << " in\n" << log);
  }
}

BOOST_AUTO_TEST_CASE(malformed_bytes_are_counted_in_the_log_and_never_shown) {
  DoorWorld world;
  TcpTalk client{world.door->tcp()};
  BOOST_TEST(client.ask("secret nonsense\n").starts_with("ERROR "));
  const std::string log = world.stop_and_read_log();
  BOOST_TEST(log.find("event=malformed bytes=15 from=127.0.0.1:") != std::string::npos);
  BOOST_TEST(log.find("secret") == std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::sockets
