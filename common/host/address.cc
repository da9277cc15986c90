#include "common/host/address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>

#include <charconv>
#include <cstring>
#include <memory>

#include "common/core/check.h"

namespace kv::host {
namespace {

constexpr std::size_t host_bytes_max = 255;  // a DNS name has no more

std::string read_port(std::string_view text, std::uint16_t& port) {
  unsigned value = 0;
  const char* end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, value);
  if (text.empty() || result.ptr != end || result.ec == std::errc::invalid_argument) {
    return "'" + std::string{text} + "' is no port";
  }
  if (result.ec != std::errc{} || value > 65535) {
    return "port " + std::string{text} + " is out of range, 0 to 65535";
  }
  port = static_cast<std::uint16_t>(value);
  return {};
}

/// Splits `[IPv6]:PORT`, `HOST:PORT` or `PORT`.
std::string split(std::string_view text, std::string_view& host, std::string_view& port) {
  if (text.starts_with('[')) {
    const auto close = text.find("]:");
    if (close == std::string_view::npos) {
      return "'" + std::string{text} + "' should be [IPv6]:PORT";
    }
    host = text.substr(1, close - 1);
    port = text.substr(close + 2);
  } else if (const auto colon = text.find(':'); colon == std::string_view::npos) {
    port = text;
    return {};
  } else {
    host = text.substr(0, colon);
    port = text.substr(colon + 1);
    if (port.find(':') != std::string_view::npos) {
      return "'" + std::string{text} + "' is ambiguous: write IPv6 as [ADDRESS]:PORT";
    }
  }
  if (host.empty()) {
    return "'" + std::string{text} + "' has no host before the port";
  }
  if (host.size() > host_bytes_max) {
    return "the host has more than " + std::to_string(host_bytes_max) + " bytes";
  }
  return {};
}

}  // namespace

std::string read_endpoint(std::string_view text, Endpoint& endpoint) {
  if (text == "off") {
    endpoint = endpoint_off;
    return {};
  }
  std::string_view host = "127.0.0.1";
  std::string_view port_text;
  std::string why = split(text, host, port_text);
  std::uint16_t port = 0;
  if (why.empty()) {
    why = read_port(port_text, port);
  }
  if (why.empty()) {
    endpoint = {.host = std::string{host}, .port = port, .off = false};
  }
  return why;
}

std::string to_text(const Endpoint& endpoint) {
  if (endpoint.off) {
    return "off";
  }
  const bool brackets = endpoint.host.find(':') != std::string::npos;
  return (brackets ? "[" + endpoint.host + "]" : endpoint.host) + ":" +
         std::to_string(endpoint.port);
}

std::uint16_t SocketAddress::port() const {
  if (family() == AF_INET6) {
    return ntohs(reinterpret_cast<const sockaddr_in6*>(&storage)->sin6_port);
  }
  return ntohs(reinterpret_cast<const sockaddr_in*>(&storage)->sin_port);
}

std::string to_text(const SocketAddress& address) {
  char text[INET6_ADDRSTRLEN] = "?";
  if (address.family() == AF_INET6) {
    const auto* in6 = reinterpret_cast<const sockaddr_in6*>(&address.storage);
    inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof text);
    return "[" + std::string{text} + "]:" + std::to_string(address.port());
  }
  const auto* in = reinterpret_cast<const sockaddr_in*>(&address.storage);
  inet_ntop(AF_INET, &in->sin_addr, text, sizeof text);
  return std::string{text} + ":" + std::to_string(address.port());
}

bool is_loopback(const SocketAddress& address) {
  if (address.family() == AF_INET) {
    const auto* const v4 = reinterpret_cast<const sockaddr_in*>(address.get());
    return ntohl(v4->sin_addr.s_addr) >> 24 == 127;
  }
  const auto* const v6 = reinterpret_cast<const sockaddr_in6*>(address.get());
  return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
}

bool is_wildcard(const SocketAddress& address) {
  if (address.family() == AF_INET) {
    const auto* const v4 = reinterpret_cast<const sockaddr_in*>(address.get());
    return v4->sin_addr.s_addr == INADDR_ANY;
  }
  const auto* const v6 = reinterpret_cast<const sockaddr_in6*>(address.get());
  return IN6_IS_ADDR_UNSPECIFIED(&v6->sin6_addr) ||
         (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr) && v6->sin6_addr.s6_addr32[3] == INADDR_ANY);
}

std::vector<SocketAddress> resolve(const Endpoint& endpoint, int socket_type, Purpose purpose,
                                   std::string& why) {
  check(!endpoint.off);
  addrinfo wish{};
  wish.ai_family = AF_UNSPEC;
  wish.ai_socktype = socket_type;
  wish.ai_flags = AI_NUMERICSERV | (purpose == Purpose::listen ? AI_PASSIVE : 0);
  addrinfo* list = nullptr;
  const int error =
      getaddrinfo(endpoint.host.c_str(), std::to_string(endpoint.port).c_str(), &wish, &list);
  if (error != 0) {
    why = "cannot resolve host '" + endpoint.host +
          "': " + (error == EAI_SYSTEM ? std::strerror(errno) : gai_strerror(error));
    return {};
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner{list, freeaddrinfo};
  std::vector<SocketAddress> addresses;
  for (const addrinfo* entry = list; entry != nullptr; entry = entry->ai_next) {
    SocketAddress address;
    check(entry->ai_addrlen <= sizeof address.storage);
    std::memcpy(&address.storage, entry->ai_addr, entry->ai_addrlen);
    address.length = entry->ai_addrlen;
    addresses.push_back(address);
  }
  return addresses;
}

SocketAddress address_of(int socket) {
  SocketAddress address;
  socklen_t length = sizeof address.storage;
  if (getsockname(socket, reinterpret_cast<sockaddr*>(&address.storage), &length) == 0) {
    address.length = length;
  }
  return address;
}

}  // namespace kv::host
