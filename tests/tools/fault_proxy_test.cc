// The links between replicas, with real sockets at both ends.
#include "tools/fault_proxy.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <future>
#include <string>
#include <thread>

#include <boost/test/unit_test.hpp>

#include "common/host/address.h"
#include "phase1_sockets/listen.h"

namespace kv::cluster {
namespace {

using host::Descriptor;

constexpr timeval patience{.tv_sec = 20, .tv_usec = 0};
constexpr Link there{{1}, {2}};
constexpr Link back{{2}, {1}};

/// Two nodes with a proxy between them, which runs on a thread of its own; the test plays both.
class World {
 public:
  World() {
    std::string why;
    loop_ = sockets::EventLoop::open(why);
    BOOST_TEST_REQUIRE(loop_ != nullptr, why);
    proxy_ = FaultProxy::open(*loop_, 2, 1, why);
    BOOST_TEST_REQUIRE(proxy_ != nullptr, why);
    server_ = sockets::listen_tcp({.host = "127.0.0.1", .port = 0}, why);
    BOOST_TEST_REQUIRE(server_.open(), why);
    ::fcntl(server_.number(), F_SETFL, 0);
    ::setsockopt(server_.number(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    proxy_->set_target({2}, host::address_of(server_.number()));
    thread_ = std::thread{[this] { loop_->run(); }};
  }
  ~World() {
    loop_->post([this] { loop_->stop(); });
    thread_.join();
  }

  /// Runs on the proxy's thread, and waits for it.
  template <typename Task>
  auto with_proxy(Task task) {
    std::packaged_task<decltype(task(*proxy_))()> packaged{[&] { return task(*proxy_); }};
    auto result = packaged.get_future();
    loop_->post([&packaged] { packaged(); });
    return result.get();
  }

  Descriptor connect() {
    Descriptor client{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    ::setsockopt(client.number(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(proxy_->port(there));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    BOOST_TEST_REQUIRE(::connect(client.number(), reinterpret_cast<const sockaddr*>(&address),
                                 sizeof address) == 0);
    return client;
  }

  Descriptor accept() {
    Descriptor peer{::accept(server_.number(), nullptr, nullptr)};
    BOOST_TEST_REQUIRE(peer.open());
    ::setsockopt(peer.number(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    return peer;
  }

  void close_server() { server_.close(); }

  /// What the proxy could do by now it has done: it went round often enough.
  void settle() {
    for (int i = 0; i < 20; ++i) {
      with_proxy([](FaultProxy&) { return 0; });
    }
  }

 private:
  std::unique_ptr<sockets::EventLoop> loop_;
  std::unique_ptr<FaultProxy> proxy_;
  Descriptor server_;
  std::thread thread_;
};

void say(const Descriptor& socket, std::string_view text) {
  BOOST_TEST(::send(socket.number(), text.data(), text.size(), MSG_NOSIGNAL) ==
             static_cast<ssize_t>(text.size()));
}

/// `bytes` of what comes; less at an end.
std::string hear(const Descriptor& socket, std::size_t bytes) {
  std::string text(bytes, '\0');
  std::size_t heard = 0;
  for (ssize_t got = 1; got > 0 && heard < bytes; heard += static_cast<std::size_t>(got)) {
    got = std::max<ssize_t>(::recv(socket.number(), &text[heard], bytes - heard, 0), 0);
  }
  text.resize(heard);
  return text;
}

/// Both outlive the thread.
std::thread write_all(const Descriptor& socket, const std::string& text) {
  return std::thread{[&socket, &text] {
    std::string_view rest = text;
    while (!rest.empty()) {
      const ssize_t sent = ::send(socket.number(), rest.data(), rest.size(), MSG_NOSIGNAL);
      rest.remove_prefix(static_cast<std::size_t>(std::max<ssize_t>(sent, 0)));
    }
  }};
}

bool is_silent(const Descriptor& socket) {
  char byte = 0;
  return ::recv(socket.number(), &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

/// Waits for the connection's end; true if it was a reset.
bool ends_by_reset(const Descriptor& socket) {
  char byte = 0;
  return ::recv(socket.number(), &byte, 1, 0) < 0 && errno == ECONNRESET;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(tools_fault_proxy)

BOOST_AUTO_TEST_CASE(bytes_pass_both_ways_and_an_end_is_an_end) {
  World world;
  const Descriptor client = world.connect();
  const Descriptor peer = world.accept();
  say(client, "question");
  BOOST_TEST(hear(peer, 8) == "question");
  say(peer, "answer");
  BOOST_TEST(hear(client, 6) == "answer");
  ::shutdown(client.number(), SHUT_WR);
  BOOST_TEST(hear(peer, 1).empty());
  say(peer, "late");
  BOOST_TEST(hear(client, 4) == "late");
}

BOOST_AUTO_TEST_CASE(much_passes_whole_and_in_order_while_nobody_reads) {
  World world;
  const Descriptor client = world.connect();
  const Descriptor peer = world.accept();
  std::string much;
  for (int i = 0; much.size() < 12'000'000; ++i) {
    much += std::to_string(i) + ' ';
  }
  std::thread writer = write_all(client, much);
  world.settle();
  BOOST_TEST((hear(peer, much.size()) == much));
  writer.join();
}

// Whatever of it the proxy reads in one turn: the last piece of a turn must not wait for more.
BOOST_AUTO_TEST_CASE(what_piled_up_behind_a_cut_passes_whole_though_nothing_follows) {
  World world;
  const Descriptor client = world.connect();
  const Descriptor peer = world.accept();
  say(client, "hello");
  BOOST_TEST(hear(peer, 5) == "hello");
  for (std::size_t pieces = 12; pieces <= 20; ++pieces) {
    const std::string much(pieces * 64 * 1024, static_cast<char>('a' + pieces));
    world.with_proxy([](FaultProxy& proxy) { proxy.cut(there, Cut::silent); });
    std::thread writer = write_all(client, much);
    world.settle();
    world.with_proxy([](FaultProxy& proxy) { proxy.heal(there, Cut::silent); });
    BOOST_TEST((hear(peer, much.size()) == much));
    writer.join();
  }
}

BOOST_AUTO_TEST_CASE(a_silent_cut_of_one_direction_passes_nothing_there_until_it_is_healed) {
  World world;
  const Descriptor client = world.connect();
  const Descriptor peer = world.accept();
  world.with_proxy([](FaultProxy& proxy) { proxy.cut(there, Cut::silent); });
  say(client, "into the dark");
  say(peer, "still heard");
  BOOST_TEST(hear(client, 11) == "still heard");
  world.settle();
  BOOST_TEST(is_silent(peer));
  world.with_proxy([](FaultProxy& proxy) { proxy.heal(there, Cut::silent); });
  BOOST_TEST(hear(peer, 13) == "into the dark");
}

BOOST_AUTO_TEST_CASE(a_link_cut_twice_must_be_healed_twice) {
  World world;
  world.with_proxy([](FaultProxy& proxy) {
    proxy.cut(there, Cut::silent);
    proxy.cut(there, Cut::silent);
    proxy.heal(there, Cut::silent);
    BOOST_TEST(!proxy.open_to(there));
    BOOST_TEST(proxy.open_to(back));
    proxy.heal(there, Cut::silent);
    proxy.heal(there, Cut::silent);
    BOOST_TEST(proxy.open_to(there));
  });
}

BOOST_AUTO_TEST_CASE(a_connection_made_during_a_silent_cut_comes_about_when_it_is_healed) {
  World world;
  world.with_proxy([](FaultProxy& proxy) { proxy.cut(back, Cut::silent); });
  const Descriptor client = world.connect();
  say(client, "hello");
  world.settle();
  BOOST_TEST(is_silent(client));
  world.with_proxy([](FaultProxy& proxy) { proxy.heal_all(); });
  const Descriptor peer = world.accept();
  BOOST_TEST(hear(peer, 5) == "hello");
}

BOOST_AUTO_TEST_CASE(a_cut_with_reset_breaks_connections_and_refuses_new_ones) {
  World world;
  const Descriptor client = world.connect();
  const Descriptor peer = world.accept();
  world.with_proxy([](FaultProxy& proxy) { proxy.cut(there, Cut::reset); });
  BOOST_TEST(ends_by_reset(client));
  BOOST_TEST(ends_by_reset(peer));
  const Descriptor again = world.connect();
  BOOST_TEST(ends_by_reset(again));
  BOOST_TEST(world.with_proxy([](FaultProxy& proxy) { return proxy.connections(); }) == 0U);
}

BOOST_AUTO_TEST_CASE(a_node_that_is_gone_is_a_reset_but_not_through_a_cut) {
  World world;
  const Descriptor client = world.connect();
  Descriptor peer = world.accept();
  world.with_proxy([](FaultProxy& proxy) { proxy.cut(back, Cut::silent); });
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(peer.number(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  peer.close();
  say(client, "anybody");
  world.settle();
  BOOST_TEST(is_silent(client));
  world.with_proxy([](FaultProxy& proxy) { proxy.heal(back, Cut::silent); });
  BOOST_TEST(ends_by_reset(client));
}

BOOST_AUTO_TEST_CASE(where_nobody_listens_a_connection_is_reset) {
  World world;
  world.close_server();
  const Descriptor client = world.connect();
  BOOST_TEST(ends_by_reset(client));
}

BOOST_AUTO_TEST_CASE(a_slow_link_delays_and_keeps_the_order) {
  World world;
  const Descriptor client = world.connect();
  const Descriptor peer = world.accept();
  constexpr auto delay = std::chrono::milliseconds{60};
  world.with_proxy([&](FaultProxy& proxy) { proxy.slow(there, delay); });
  const auto begin = std::chrono::steady_clock::now();
  say(client, "first ");
  world.settle();
  world.with_proxy([&](FaultProxy& proxy) { proxy.hasten(there, delay); });
  say(client, "second");
  BOOST_TEST(hear(peer, 12) == "first second");
  BOOST_TEST((std::chrono::steady_clock::now() - begin >= delay));
}

BOOST_AUTO_TEST_CASE(a_lost_piece_comes_late_by_the_time_of_sending_it_again) {
  World world;
  const Descriptor client = world.connect();
  const Descriptor peer = world.accept();
  world.with_proxy([](FaultProxy& proxy) {
    proxy.set_weather({.delay = {}, .loss = sim::percent(100), .late_by = {}});
  });
  const auto begin = std::chrono::steady_clock::now();
  say(client, "once more");
  BOOST_TEST(hear(peer, 9) == "once more");
  BOOST_TEST((std::chrono::steady_clock::now() - begin >= FaultProxy::resend_time));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::cluster
