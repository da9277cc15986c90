// Five real cs3700_replica processes, and a router on a UDP socket in the place of the course's
// simulator. It takes some seconds of real time, so it runs only where it is asked for by name:
// `build/bin/tests -t cs3700_processes`, as tests/e2e/cs3700_test.sh does.
#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <boost/test/unit_test.hpp>

#include "phase5_raft/cs3700_message.h"

namespace kv::raft {
BOOST_AUTO_TEST_SUITE(cs3700_processes, *boost::unit_test::disabled())

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::seconds;

const std::vector<std::string> names{"0A1B", "22C0", "3F3F", "8D01", "EEEE"};
const std::string client = "C1C1";

class Router {
 public:
  Router() {
    socket_ = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = localhost(0);
    BOOST_REQUIRE(::bind(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    socklen_t length = sizeof address;
    ::getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &length);
    port_ = ntohs(address.sin_port);
    for (const std::string& name : names) {
      start(name);
    }
  }
  Router(const Router&) = delete;
  Router& operator=(const Router&) = delete;
  ~Router() {
    for (const auto& [name, process] : processes_) {
      ::kill(process, SIGKILL);
      ::waitpid(process, nullptr, 0);
    }
    ::close(socket_);
  }

  /// Routes until the client's request `mid` is answered; nothing if it is not in time. Others for
  /// the client are dropped: when a leader dies, the next cannot know whom it answered, and may
  /// answer again.
  std::optional<Cs3700Message> route_until_answer(seconds patience, const std::string& mid = {}) {
    const Clock::time_point end = Clock::now() + patience;
    std::array<char, 65'536> buffer{};
    while (Clock::now() < end) {
      pollfd watched{socket_, POLLIN, 0};
      if (::poll(&watched, 1, 100) <= 0) {
        continue;
      }
      sockaddr_in from{};
      socklen_t length = sizeof from;
      const ssize_t bytes = ::recvfrom(socket_, buffer.data(), buffer.size(), 0,
                                       reinterpret_cast<sockaddr*>(&from), &length);
      if (bytes < 0) {
        continue;  // an ICMP error of a send to one that is dead
      }
      const std::string datagram{buffer.data(), static_cast<std::size_t>(bytes)};
      const auto message = parse_cs3700(datagram);
      BOOST_REQUIRE(message.has_value());
      leader = message->leader;
      if (message->type == "hello") {
        ports_[message->src] = from;
      } else if (message->dst == client) {
        if (message->mid == mid) {
          return message;
        }
      } else {
        send(message->dst, datagram);
      }
    }
    return std::nullopt;
  }

  /// Asks whoever is believed to lead, again after each redirect, as the course's clients do; after
  /// one to a replica that has ended, when there was time to notice that.
  std::optional<Cs3700Message> ask(const std::string& type, const std::string& key,
                                   const std::string& value = {}) {
    for (int i = 0; i < 20; ++i) {
      if (!processes_.contains(leader)) {
        route_until_answer(seconds{1});
      }
      const std::string mid = "M" + std::to_string(++asked_);
      const std::string to = processes_.contains(leader) ? leader : processes_.begin()->first;
      send(to, format_cs3700({.src = client,
                              .dst = to,
                              .leader = leader,
                              .type = type,
                              .mid = mid,
                              .key = key,
                              .value = value,
                              .data = {}}));
      auto answer = route_until_answer(seconds{20}, mid);
      if (!answer || answer->type == "ok") {
        return answer;
      }
      leader = answer->leader;
    }
    return std::nullopt;
  }

  /// What it exits with after SIGTERM.
  int end(const std::string& name) {
    const pid_t process = processes_.at(name);
    processes_.erase(name);
    ::kill(process, SIGTERM);
    int status = 0;
    ::waitpid(process, &status, 0);
    leader = cs3700_nobody;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  std::string leader = cs3700_nobody;

 private:
  static sockaddr_in localhost(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    return address;
  }

  void start(const std::string& name) {
    std::vector<std::string> arguments{"build/bin/cs3700_replica", std::to_string(port_), name};
    for (const std::string& other : names) {
      if (other != name) {
        arguments.push_back(other);
      }
    }
    const pid_t process = ::fork();
    BOOST_REQUIRE(process >= 0);
    if (process == 0) {
      std::vector<char*> pointers;
      for (std::string& each : arguments) {
        pointers.push_back(each.data());
      }
      pointers.push_back(nullptr);
      ::execv(pointers[0], pointers.data());
      ::_exit(127);
    }
    processes_[name] = process;
  }

  void send(const std::string& to, const std::string& datagram) {
    const auto port = ports_.find(to);
    if (port != ports_.end()) {
      ::sendto(socket_, datagram.data(), datagram.size(), 0,
               reinterpret_cast<const sockaddr*>(&port->second), sizeof port->second);
    }
  }

  int socket_ = -1;
  std::uint16_t port_ = 0;
  std::map<std::string, pid_t> processes_;
  std::map<std::string, sockaddr_in> ports_;
  int asked_ = 0;
};

}  // namespace

BOOST_AUTO_TEST_CASE(five_processes_serve_also_when_their_leader_is_told_to_end) {
  Router router;
  const Clock::time_point end = Clock::now() + seconds{30};
  while (router.leader == cs3700_nobody && Clock::now() < end) {
    router.route_until_answer(seconds{1});
  }
  BOOST_REQUIRE(is_cs3700_replica(router.leader));
  for (int i = 0; i < 50; ++i) {
    const std::string key = "k" + std::to_string(i % 7);
    BOOST_REQUIRE(router.ask("put", key, std::to_string(i)).has_value());
    const auto got = router.ask("get", key);
    BOOST_REQUIRE(got.has_value());
    BOOST_TEST(got->value == std::to_string(i));
  }
  BOOST_TEST(router.end(router.leader) == 0);
  while (router.leader == cs3700_nobody && Clock::now() < end) {
    router.route_until_answer(seconds{1});
  }
  BOOST_TEST(router.ask("get", "k0").value().value == "49");
  BOOST_REQUIRE(router.ask("put", "k0", "last").has_value());
  BOOST_TEST(router.ask("get", "k0").value().value == "last");
  BOOST_TEST(router.ask("get", "none").value().value == "");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::raft
