#include "phase1_sockets/http_server.h"

#include <event2/event.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <string_view>

#include <boost/test/unit_test.hpp>

namespace kv::sockets {
namespace {

/// A client on the server's own loop: sends at once, and gathers what comes until the end.
class Client {
 public:
  Client(event_base* base, const host::SocketAddress& server)
      : base_{base}, fd_{socket(server.family(), SOCK_STREAM | SOCK_CLOEXEC, 0)} {
    BOOST_REQUIRE_EQUAL(connect(fd_, server.get(), server.length), 0);
    readable_ = event_new(base, fd_, EV_READ | EV_PERSIST, on_readable, this);
    event_add(readable_, nullptr);
  }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  ~Client() {
    event_free(readable_);
    close(fd_);
  }

  void send(std::string_view text) {
    BOOST_REQUIRE_EQUAL(::send(fd_, text.data(), text.size(), MSG_NOSIGNAL),
                        static_cast<ssize_t>(text.size()));
  }

  /// Runs the loop until the server has closed.
  const std::string& wait_for_end() {
    while (!ended_) {
      event_base_loop(base_, EVLOOP_ONCE);
    }
    return answer_;
  }

 private:
  static void on_readable(evutil_socket_t fd, short, void* context) {
    auto& self = *static_cast<Client*>(context);
    char bytes[4096];
    const ssize_t n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n > 0) {
      self.answer_.append(bytes, static_cast<std::size_t>(n));
      return;
    }
    self.ended_ = true;
    event_del(self.readable_);
  }

  event_base* base_;
  int fd_;
  event* readable_ = nullptr;
  std::string answer_;
  bool ended_ = false;
};

struct World {
  explicit World(const HttpLimits& limits = {}) {
    std::signal(SIGPIPE, SIG_IGN);
    HttpPages pages{.metrics = [] { return std::string{"quintet_up 1\n"}; },
                    .status = [] { return std::string{"{\"phase\":1}"}; },
                    .healthy = [this] { return healthy; }};
    std::string why;
    server = HttpServer::listen(base, {.host = "127.0.0.1", .port = 0, .off = false},
                                std::move(pages), why, limits);
    BOOST_REQUIRE_MESSAGE(server, why);
  }
  World(const World&) = delete;
  World& operator=(const World&) = delete;
  ~World() {
    server.reset();
    event_base_free(base);
  }

  std::string ask(std::string_view request) {
    Client client{base, server->address()};
    client.send(request);
    return client.wait_for_end();
  }
  std::string get(const std::string& path) {
    return ask("GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n");
  }

  bool healthy = true;
  event_base* base = event_base_new();
  std::unique_ptr<HttpServer> server;
};

bool begins(const std::string& answer, std::string_view status) {
  return answer.starts_with("HTTP/1.1 " + std::string{status} + " ");
}

}  // namespace

BOOST_AUTO_TEST_SUITE(phase1_http_server)

BOOST_AUTO_TEST_CASE(metrics_are_prometheus_text) {
  World world;
  const std::string answer = world.get("/metrics?x=1");
  BOOST_TEST(begins(answer, "200"), answer);
  BOOST_TEST(answer.find("Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n") !=
             std::string::npos);
  BOOST_TEST(answer.ends_with("\r\n\r\nquintet_up 1\n"));
}

BOOST_AUTO_TEST_CASE(the_status_is_json) {
  World world;
  const std::string answer = world.get("/status");
  BOOST_TEST(answer.find("Content-Type: application/json\r\n") != std::string::npos);
  BOOST_TEST(answer.ends_with("\r\n\r\n{\"phase\":1}"));
}

BOOST_AUTO_TEST_CASE(healthz_is_200_only_while_a_write_could_succeed) {
  World world;
  BOOST_TEST(begins(world.get("/healthz"), "200"));
  world.healthy = false;
  BOOST_TEST(begins(world.get("/healthz"), "503"));
}

BOOST_AUTO_TEST_CASE(any_other_page_is_404_and_any_other_method_405) {
  World world;
  for (const char* path : {"/", "/metrics/", "/../metrics", "/%2e", "//status"}) {
    BOOST_TEST(begins(world.get(path), "404"), path);
  }
  for (const char* method : {"POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"}) {
    const std::string answer =
        world.ask(std::string{method} + " /status HTTP/1.1\r\nContent-Length: 0\r\n\r\n");
    BOOST_TEST(begins(answer, "405"), method << ": " << answer);
    BOOST_TEST(answer.find("Allow: GET, HEAD\r\n") != std::string::npos, method);
  }
}

BOOST_AUTO_TEST_CASE(a_head_is_answered_as_a_get_without_its_body) {
  World world;
  const std::string answer = world.ask("HEAD /status HTTP/1.1\r\n\r\n");
  BOOST_TEST(begins(answer, "200"), answer);
  BOOST_TEST(answer.ends_with("\r\n\r\n"), answer);
}

BOOST_AUTO_TEST_CASE(every_connection_closes_after_its_answer) {
  World world;
  const std::string answer = world.ask(
      "GET /healthz HTTP/1.1\r\nConnection: keep-alive\r\n\r\nGET /healthz HTTP/1.1\r\n\r\n");
  BOOST_TEST(answer.find("Connection: close\r\n") != std::string::npos);
  BOOST_TEST(answer.find("HTTP/1.1", 1) == std::string::npos);
  BOOST_TEST(world.server->connections() <= 1);
}

BOOST_AUTO_TEST_CASE(headers_and_bodies_beyond_their_limits_are_refused) {
  World world{{.connection_deadline = std::chrono::milliseconds{50}}};
  const std::string headers = world.ask("GET /status HTTP/1.1\r\nX: " + std::string(9000, 'x'));
  BOOST_TEST((headers.empty() || begins(headers, "400")), headers);
  const std::string body = world.ask("POST /status HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n" +
                                     std::string(2000, 'x'));
  BOOST_TEST((body.empty() || begins(body, "413")), body);
}

BOOST_AUTO_TEST_CASE(garbage_ends_its_connection_and_nothing_else) {
  World world;
  for (const std::string& garbage :
       {std::string{"\x01\x02\r\n\r\n"}, std::string{"GET\r\n\r\n"},
        std::string{"\r\n\r\n\r\n\r\n"}, std::string(3000, 'A') + "\r\n\r\n",
        std::string{"GET /status HTTP/9\r\n\r\n"}}) {
    Client client{world.base, world.server->address()};
    client.send(garbage);
    BOOST_TEST(begins(world.get("/healthz"), "200"));
  }
}

BOOST_AUTO_TEST_CASE(who_sends_half_a_request_is_closed_at_the_deadline) {
  World world{{.connection_deadline = std::chrono::milliseconds{20}}};
  BOOST_TEST(!begins(world.ask("GET /status HT"), "200"));
  BOOST_TEST(!begins(world.ask(""), "200"));
}

BOOST_AUTO_TEST_CASE(who_does_not_read_is_closed_at_the_deadline) {
  World world{{.connection_deadline = std::chrono::milliseconds{20}}};
  HttpPages pages{.metrics = [] { return std::string(64 << 20, 'x'); },
                  .status = [] { return std::string{}; },
                  .healthy = [] { return true; }};
  std::string why;
  const auto server = HttpServer::listen(world.base, {.host = "127.0.0.1", .port = 0, .off = false},
                                         std::move(pages), why,
                                         {.connection_deadline = std::chrono::milliseconds{20}});
  const auto address = server->address();
  const int fd = socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0);
  BOOST_TEST_REQUIRE(connect(fd, address.get(), address.length) == 0);
  const std::string_view request = "GET /metrics HTTP/1.1\r\n\r\n";
  BOOST_TEST_REQUIRE(send(fd, request.data(), request.size(), 0) == 25);
  while (server->connections() == 0) {
    event_base_loop(world.base, EVLOOP_ONCE);
  }
  while (server->connections() > 0) {
    event_base_loop(world.base, EVLOOP_ONCE);
  }
  close(fd);
}

BOOST_AUTO_TEST_CASE(clients_that_say_nothing_do_not_keep_out_one_that_asks) {
  World world{{.connections_max = 2, .connection_deadline = std::chrono::hours{1}}};
  Client first{world.base, world.server->address()};
  Client second{world.base, world.server->address()};
  while (world.server->connections() < 2) {
    event_base_loop(world.base, EVLOOP_ONCE);
  }
  Client third{world.base, world.server->address()};
  third.send("GET /healthz HTTP/1.1\r\n\r\n");
  BOOST_TEST(begins(third.wait_for_end(), "200"));
  BOOST_TEST(first.wait_for_end().empty());  // the oldest has made room
  BOOST_TEST(world.server->connections() <= 2);
  second.send("GET /healthz HTTP/1.1\r\n\r\n");
  BOOST_TEST(begins(second.wait_for_end(), "200"));
}

BOOST_AUTO_TEST_CASE(without_descriptors_the_server_rests_and_then_serves_again) {
  World world{{.sweep_interval = std::chrono::milliseconds{5}}};
  Client client{world.base, world.server->address()};
  client.send("GET /healthz HTTP/1.1\r\n\r\n");
  rlimit before{};
  getrlimit(RLIMIT_NOFILE, &before);
  const int next_free = dup(0);
  close(next_free);
  const rlimit none{.rlim_cur = static_cast<rlim_t>(next_free), .rlim_max = before.rlim_max};
  BOOST_TEST_REQUIRE(setrlimit(RLIMIT_NOFILE, &none) == 0);
  event_base_loop(world.base, EVLOOP_ONCE);
  BOOST_TEST(world.server->connections() == 0);
  BOOST_TEST(event_base_loop(world.base, EVLOOP_NONBLOCK) == 0);
  setrlimit(RLIMIT_NOFILE, &before);
  BOOST_TEST(begins(client.wait_for_end(), "200"));
}

BOOST_AUTO_TEST_CASE(a_taken_port_is_refused_with_the_reason) {
  World world;
  std::string why;
  const host::Endpoint same{
      .host = "127.0.0.1", .port = world.server->address().port(), .off = false};
  BOOST_TEST(!HttpServer::listen(world.base, same, {}, why));
  BOOST_TEST(why == "cannot listen on http " + to_text(same) + ": Address already in use");
}

BOOST_AUTO_TEST_CASE(a_server_may_go_while_connections_are_open) {
  World world;
  Client client{world.base, world.server->address()};
  while (world.server->connections() == 0) {
    event_base_loop(world.base, EVLOOP_ONCE);
  }
  world.server.reset();
  BOOST_TEST(client.wait_for_end().empty());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::sockets
