#include "phase1_sockets/listen.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "phase1_sockets/datagram_source.h"

namespace kv::sockets {
namespace {

constexpr int udp_buffer_bytes = 4 * 1024 * 1024;  // the kernel may give less

bool set(const Descriptor& socket, int level, int name, int value) {
  return ::setsockopt(socket.number(), level, name, &value, sizeof value) == 0;
}

Descriptor open_socket(const host::SocketAddress& address, int type) {
  return Descriptor{::socket(address.family(), type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
}

bool bind_to(const Descriptor& socket, const host::SocketAddress& address) {
  return ::bind(socket.number(), address.get(), address.length) == 0;
}

std::string failure(std::string_view what, const host::Endpoint& endpoint) {
  return std::string{"cannot listen on "}.append(what).append(" ").append(to_text(endpoint)) +
         ": " + std::strerror(errno);
}

Descriptor try_tcp(const host::SocketAddress& address) {
  Descriptor socket = open_socket(address, SOCK_STREAM);
  // Accepted sockets inherit the last two from the listening one.
  const bool ready = socket.open() && set(socket, SOL_SOCKET, SO_REUSEADDR, 1) &&
                     set(socket, IPPROTO_TCP, TCP_NODELAY, 1) &&
                     set(socket, SOL_SOCKET, SO_KEEPALIVE, 1) && bind_to(socket, address) &&
                     ::listen(socket.number(), SOMAXCONN) == 0;
  return ready ? std::move(socket) : Descriptor{};
}

/// The first is bound alone, so that a port in use is noticed, and shared only then.
Descriptor try_udp(const host::SocketAddress& address, bool first) {
  Descriptor socket = open_socket(address, SOCK_DGRAM);
  const bool ready =
      socket.open() && set(socket, SOL_SOCKET, SO_RCVBUF, udp_buffer_bytes) &&
      set(socket, SOL_SOCKET, SO_SNDBUF, udp_buffer_bytes) &&
      (first || set(socket, SOL_SOCKET, SO_REUSEPORT, 1)) &&
      (!host::is_wildcard(address) || ask_for_destinations(socket.number(), address.family())) &&
      bind_to(socket, address);
  return ready ? std::move(socket) : Descriptor{};
}

std::vector<host::SocketAddress> addresses_of(const host::Endpoint& endpoint, int type,
                                              std::string_view flag, std::string& why) {
  std::vector<host::SocketAddress> addresses =
      host::resolve(endpoint, type, host::Purpose::listen, why);
  if (addresses.empty()) {
    why.insert(0, std::string{flag}.append(": "));
  }
  return addresses;
}

}  // namespace

Descriptor listen_tcp(const host::Endpoint& endpoint, std::string& why) {
  for (const auto& address : addresses_of(endpoint, SOCK_STREAM, "--tcp", why)) {
    if (Descriptor socket = try_tcp(address); socket.open()) {
      return socket;
    }
    why = failure("tcp", endpoint);
  }
  return {};
}

std::vector<Descriptor> bind_udp(const host::Endpoint& endpoint, std::size_t count,
                                 std::string& why) {
  std::vector<Descriptor> sockets;
  for (const auto& address : addresses_of(endpoint, SOCK_DGRAM, "--udp", why)) {
    Descriptor first = try_udp(address, true);
    if (first.open()) {
      sockets.push_back(std::move(first));
      break;
    }
    why = failure("udp", endpoint);
  }
  if (sockets.empty() || count == 1) {
    return sockets;
  }
  const host::SocketAddress bound = host::address_of(sockets.front().number());
  bool shared = set(sockets.front(), SOL_SOCKET, SO_REUSEPORT, 1);
  while (shared && sockets.size() < count) {
    sockets.push_back(try_udp(bound, false));
    shared = sockets.back().open();
  }
  if (!shared) {
    why = failure("udp", endpoint);
    sockets.clear();
  }
  return sockets;
}

}  // namespace kv::sockets
