// Clients of a real socket for tests: every wait ends by an event, or fails after a generous time.
#pragma once

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <stdexcept>
#include <string>
#include <string_view>

#include "common/core/check.h"
#include "common/host/address.h"
#include "phase1_sockets/event_loop.h"

namespace kv::sockets {

inline constexpr int wait_ms_max = 60'000;  // on a loaded machine, under a sanitizer

/// Any thread may need something, but Boost.Test's own checks are for one thread.
inline void need(bool truth, CallPlace at = CallPlace::current()) {
  if (!truth) {
    throw std::runtime_error{std::string{"a client's socket failed at line "} +
                             std::to_string(at.line) + " in " + at.function};
  }
}

inline bool wait_until(int socket, short what) {
  pollfd wanted{.fd = socket, .events = what, .revents = 0};
  return ::poll(&wanted, 1, wait_ms_max) == 1;
}

class TcpTalk {
 public:
  explicit TcpTalk(const host::SocketAddress& to, int receive_buffer_bytes = 0)
      : socket_(::socket(to.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
    need(socket_.open());
    if (receive_buffer_bytes > 0) {
      ::setsockopt(socket_.number(), SOL_SOCKET, SO_RCVBUF, &receive_buffer_bytes,
                   sizeof receive_buffer_bytes);
    }
    connect(to);
  }
  /// Made, but not connected: with its descriptor already its own.
  TcpTalk() : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
    need(socket_.open());
  }

  void connect(const host::SocketAddress& to) {
    const int result = ::connect(socket_.number(), to.get(), to.length);
    need(result == 0 || errno == EINPROGRESS);
    need(wait_until(socket_.number(), POLLOUT));
  }

  void send(std::string_view bytes) {
    while (!bytes.empty()) {
      need(wait_until(socket_.number(), POLLOUT));
      bytes.remove_prefix(send_some(bytes));
    }
  }

  /// As much as the kernel takes now.
  std::size_t send_some(std::string_view bytes) {
    const ssize_t sent = ::send(socket_.number(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    return sent < 0 ? 0 : static_cast<std::size_t>(sent);
  }

  void half_close() { need(::shutdown(socket_.number(), SHUT_WR) == 0); }

  /// The next `count` bytes, or fewer if the server closes.
  std::string receive(std::size_t count) {
    std::string bytes;
    while (bytes.size() < count && receive_some(bytes, count - bytes.size())) {
    }
    return bytes;
  }

  std::string receive_line() {
    std::string line;
    while (!line.ends_with('\n') && receive_some(line, 1)) {
    }
    return line;
  }

  std::string receive_until_closed() { return receive(SIZE_MAX); }

  std::string ask(std::string_view line) {
    send(line);
    return receive_line();
  }

  /// Sends all and receives until `count` bytes have come, both at once.
  std::string exchange(std::string_view bytes, std::size_t count) {
    std::string received;
    while (received.size() < count || !bytes.empty()) {
      const int wanted = POLLIN | (bytes.empty() ? 0 : POLLOUT);
      need(wait_until(socket_.number(), static_cast<short>(wanted)));
      bytes.remove_prefix(bytes.empty() ? 0 : send_some(bytes));
      char piece[16 * 1024];
      const ssize_t got = ::recv(socket_.number(), piece, sizeof piece, 0);
      if (got == 0) {
        break;
      }
      received.append(piece, got > 0 ? static_cast<std::size_t>(got) : 0);
    }
    return received;
  }

 private:
  /// False when the server has closed.
  bool receive_some(std::string& bytes, std::size_t most) {
    char piece[16 * 1024];
    need(wait_until(socket_.number(), POLLIN));
    const ssize_t got = ::recv(socket_.number(), piece, std::min(most, sizeof piece), 0);
    if (got <= 0) {
      return got < 0 && errno == EAGAIN;
    }
    bytes.append(piece, static_cast<std::size_t>(got));
    return true;
  }

  Descriptor socket_;
};

class UdpTalk {
 public:
  explicit UdpTalk(const host::SocketAddress& to)
      : socket_(::socket(to.family(), SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    need(socket_.open());
    need(::connect(socket_.number(), to.get(), to.length) == 0);
  }

  void send(std::string_view datagram) {
    const ssize_t sent = ::send(socket_.number(), datagram.data(), datagram.size(), 0);
    need(sent == static_cast<ssize_t>(datagram.size()));
  }

  std::string receive() {
    need(wait_until(socket_.number(), POLLIN));
    std::string datagram(70'000, '\0');
    const ssize_t got = ::recv(socket_.number(), datagram.data(), datagram.size(), 0);
    need(got >= 0);
    datagram.resize(static_cast<std::size_t>(got));
    return datagram;
  }

  std::string ask(std::string_view datagram) {
    send(datagram);
    return receive();
  }

 private:
  Descriptor socket_;
};

}  // namespace kv::sockets
