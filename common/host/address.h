// Where a socket is: as a person writes it (Endpoint), and as the kernel wants it (SocketAddress).
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace kv::host {

/// `[HOST:]PORT`, `[IPv6]:PORT`, or `off`. Port 0 is a free one of the kernel's choice.
struct Endpoint {
  std::string host = "127.0.0.1";
  std::uint16_t port = 0;
  bool off = false;

  bool operator==(const Endpoint&) const = default;
};

inline const Endpoint endpoint_off{.host = {}, .port = 0, .off = true};

/// The empty string, or what is wrong with `text`; then `endpoint` is unchanged. Without a host
/// it is 127.0.0.1: who wants to be reached from elsewhere says so.
std::string read_endpoint(std::string_view text, Endpoint& endpoint);
std::string to_text(const Endpoint& endpoint);

/// An address of IPv4 or IPv6 with its port, ready for bind, connect and sendto.
struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  int family() const { return storage.ss_family; }
  std::uint16_t port() const;
};

/// As `127.0.0.1:4711` or `[::1]:4711`.
std::string to_text(const SocketAddress& address);

/// Whether only this machine reaches it.
bool is_loopback(const SocketAddress& address);

/// Whether it stands for all addresses of the machine: 0.0.0.0, also mapped into IPv6, or [::].
bool is_wildcard(const SocketAddress& address);

enum class Purpose : std::uint8_t { listen, connect };

/// All addresses of a name, in the order in which to try them; none, and a reason in `why`, if
/// there is no such name. May ask a name server and thus wait for seconds: a set-up step, not for
/// an event loop. `socket_type` is SOCK_STREAM or SOCK_DGRAM. An endpoint that is off is our own
/// mistake.
std::vector<SocketAddress> resolve(const Endpoint& endpoint, int socket_type, Purpose purpose,
                                   std::string& why);

/// What a socket is bound to (so port 0 becomes the port it got); length 0 if it has no address.
SocketAddress address_of(int socket);

}  // namespace kv::host
