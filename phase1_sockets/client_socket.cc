#include "phase1_sockets/client_socket.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "common/host/clock.h"

namespace kv::sockets {

bool wait_until(const Descriptor& socket, short events, Instant deadline) {
  for (;;) {
    const Duration left = std::max(deadline - host::run_now(), Duration::zero());
    const timespec patience{.tv_sec = left.count() / 1'000'000,
                            .tv_nsec = left.count() % 1'000'000 * 1000};
    pollfd entry{.fd = socket.number(), .events = events, .revents = 0};
    const int count = ppoll(&entry, 1, &patience, nullptr);
    if (count > 0) {
      return true;
    }
    if (left == Duration::zero()) {
      return false;
    }
  }
}

std::string reason_of(int error) {
  return std::generic_category().message(error);
}

Descriptor begin_connect(const host::SocketAddress& to, int socket_type, int& error) {
  Descriptor socket{::socket(to.family(), socket_type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
  if (!socket.open()) {
    error = errno;
    return socket;
  }
  if (socket_type == SOCK_STREAM) {
    const int on = 1;  // if it fails the answers come later, and are the same
    setsockopt(socket.number(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  if (connect(socket.number(), to.get(), to.length) != 0 && errno != EINPROGRESS) {
    error = errno;
    socket.close();
  }
  return socket;
}

int connection_error(const Descriptor& socket, const host::SocketAddress& to) {
  int error = 0;
  socklen_t length = sizeof error;
  if (getsockopt(socket.number(), SOL_SOCKET, SO_ERROR, &error, &length) != 0) {
    return errno;
  }
  // Where nobody listens, the kernel may pick that very port for our end and connect us to
  // ourselves.
  if (error == 0 && to_text(host::address_of(socket.number())) == to_text(to)) {
    return ECONNREFUSED;
  }
  return error;
}

}  // namespace kv::sockets
