// cs3700_replica UDP_PORT ID OTHER_ID…: a replica in the CS3700 simulator's world. One socket, one
// thread; SIGTERM and SIGINT end it.
#include <netinet/in.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "common/host/clock.h"
#include "common/host/standard_output.h"
#include "phase5_raft/cs3700_replica.h"

namespace kv::raft {
namespace {

constexpr int exit_wrong_use = 2;
constexpr std::size_t datagram_bytes_max = 65'535;
constexpr int receives_a_turn_max = 64;

int refuse(const std::string& why) {
  std::fprintf(stderr, "cs3700_replica: %s\n", why.c_str());
  return exit_wrong_use;
}

/// A descriptor that is readable once the process was told to end.
int end_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  return ::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

/// Any free port of localhost; everything goes to, and comes from, `port`.
int connected_socket(std::uint16_t port) {
  const int socket = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = 0;
  if (socket < 0 || ::bind(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    return -1;
  }
  address.sin_port = htons(port);
  if (::connect(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    return -1;
  }
  return socket;
}

class Loop {
 public:
  Loop(Cs3700Replica& replica, int socket, int signals)
      : replica_(replica), socket_(socket), signals_(signals) {}

  void run() {
    replica_.start(host::run_now(), out_);
    send_all();
    while (!told_to_end()) {
      receive_all();
      const Instant now = host::run_now();
      if (replica_.wake_at() <= now) {
        replica_.tick(now, out_);
      }
      send_all();
    }
  }

 private:
  bool told_to_end() {
    std::array<pollfd, 2> watched{pollfd{socket_, POLLIN, 0}, pollfd{signals_, POLLIN, 0}};
    const Instant at = replica_.wake_at();
    const Duration left = at == never ? std::chrono::seconds{1} : at - host::run_now();
    const timespec patience{.tv_sec = std::max<Duration::rep>(left.count(), 0) / 1'000'000,
                            .tv_nsec = std::max<Duration::rep>(left.count(), 0) % 1'000'000 * 1000};
    ::ppoll(watched.data(), watched.size(), &patience, nullptr);
    return (watched[1].revents & POLLIN) != 0;
  }

  void receive_all() {
    for (int i = 0; i < receives_a_turn_max; ++i) {
      const ssize_t bytes = ::recv(socket_, buffer_.data(), buffer_.size(), 0);
      if (bytes < 0) {
        return;  // drained; or an ICMP error of an earlier send, which is a lost message
      }
      replica_.receive(host::run_now(), {buffer_.data(), static_cast<std::size_t>(bytes)}, out_);
    }
  }

  void send_all() {
    for (const std::string& datagram : out_) {
      ::send(socket_, datagram.data(), datagram.size(), 0);  // if it is lost, it is sent again
    }
    out_.clear();
  }

  Cs3700Replica& replica_;
  const int socket_;
  const int signals_;
  std::vector<std::string> out_;
  std::array<char, datagram_bytes_max> buffer_{};
};

int run(const std::vector<std::string>& arguments) {
  if (arguments.size() == 1 && (arguments[0] == "--help" || arguments[0] == "-h")) {
    std::printf(
        "cs3700_replica UDP_PORT ID OTHER_ID...\n"
        "A replica of a key-value store, by Raft, in the CS3700 simulator's world.\n"
        "  --help, --version\n");
    return host::exit_when_printed("cs3700_replica", 0);
  }
  if (arguments.size() == 1 && arguments[0] == "--version") {
    std::printf("quintet %s (cs3700_replica)\n", QUINTET_VERSION);
    return host::exit_when_printed("cs3700_replica", 0);
  }
  for (const std::string& each : arguments) {
    if (each.starts_with('-')) {
      return refuse("'" + each + "' is unknown: there is --help and --version, and no other flag");
    }
  }
  if (arguments.size() < 2) {
    return refuse("usage: cs3700_replica UDP_PORT ID OTHER_ID...");
  }
  std::uint16_t port = 0;
  const std::string& text = arguments[0];
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), port);
  if (parsed.ec != std::errc{} || parsed.ptr != text.data() + text.size() || port == 0) {
    return refuse("'" + text + "' is no UDP port: a number from 1 to 65535");
  }
  std::vector<Cs3700Name> names{arguments.begin() + 1, arguments.end()};
  for (const Cs3700Name& name : names) {
    if (!is_cs3700_replica(name) || std::ranges::count(names, name) > 1) {
      return refuse("'" + name +
                    "' is no replica's ID, or stands there twice: "
                    "four hexadecimal digits, not FFFF");
    }
  }
  const int signals = end_signals();
  const int socket = connected_socket(port);
  if (socket < 0 || signals < 0) {
    std::perror("cs3700_replica: socket");
    return 1;
  }
  std::random_device chance;
  Cs3700Replica replica{
      names[0], {names.begin() + 1, names.end()}, (std::uint64_t{chance()} << 32) ^ chance()};
  Loop{replica, socket, signals}.run();
  return 0;
}

}  // namespace
}  // namespace kv::raft

int main(int argc, char** argv) {
  return kv::raft::run({argv + 1, argv + argc});
}
