#include "tools/load_socket.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace kv::load {
namespace {

constexpr int connect_milliseconds_max = 5000;

/// False, with errno set, unless the connection comes about.
bool await_connection(int socket) {
  pollfd waiting{.fd = socket, .events = POLLOUT, .revents = 0};
  const int ready = poll(&waiting, 1, connect_milliseconds_max);
  errno = ready > 0 ? error_of(socket) : ETIMEDOUT;
  return errno == 0;
}

}  // namespace

Descriptor connect_socket(const host::SocketAddress& address, Transport transport, Waiting waiting,
                          std::string& why) {
  const int type = transport == Transport::udp ? SOCK_DGRAM : SOCK_STREAM;
  Descriptor made{socket(address.family(), type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
  const int on = 1;
  if (made.open() && transport == Transport::tcp) {
    setsockopt(made.number(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  bool connected = made.open() && connect(made.number(), address.get(), address.length) == 0;
  if (made.open() && !connected && errno == EINPROGRESS) {
    connected = waiting == Waiting::no || await_connection(made.number());
  }
  if (!connected) {
    why = errno_text("cannot connect to " + host::to_text(address));
    return {};
  }
  return made;
}

bool resolve_all(const Target& target, std::vector<host::SocketAddress>& addresses,
                 std::string& why) {
  const int type = target.transport == Transport::udp ? SOCK_DGRAM : SOCK_STREAM;
  for (const host::Endpoint& endpoint : target.endpoints) {
    const auto found = host::resolve(endpoint, type, host::Purpose::connect, why);
    if (found.empty()) {
      return false;
    }
    addresses.push_back(found.front());
  }
  return true;
}

int error_of(int socket) {
  int error = 0;
  socklen_t bytes = sizeof error;
  return getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &bytes) == 0 ? error : errno;
}

Descriptor make_epoll() {
  return Descriptor{epoll_create1(EPOLL_CLOEXEC)};
}

void raise_file_limit() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

std::string errno_text(const std::string& what) {
  return what + ": " + std::generic_category().message(errno);
}

}  // namespace kv::load
