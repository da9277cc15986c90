#include "phase1_sockets/datagram_source.h"

#include <cstring>

namespace kv::sockets {
namespace {

bool turn_on(int socket, int level, int name) {
  constexpr int on = 1;
  return ::setsockopt(socket, level, name, &on, sizeof on) == 0;
}

template <typename Told>
Told content(const cmsghdr& message) {
  Told told;
  std::memcpy(&told, CMSG_DATA(&message), sizeof told);
  return told;
}

/// ipi_addr is what the datagram bears, which may be a group or a broadcast; ipi_spec_dst is the
/// same unless it is, and then an address of ours from which to answer.
DatagramSource source_of(const in_pktinfo& told) {
  DatagramSource source;
  if (told.ipi_spec_dst.s_addr != INADDR_ANY) {
    source.address.s6_addr[10] = source.address.s6_addr[11] = 0xff;
    std::memcpy(&source.address.s6_addr[12], &told.ipi_spec_dst, sizeof told.ipi_spec_dst);
  }
  return source;
}

DatagramSource source_of(const in6_pktinfo& told) {
  if (IN6_IS_ADDR_MULTICAST(&told.ipi6_addr)) {
    return {};
  }
  return {.address = told.ipi6_addr,
          .interface = IN6_IS_ADDR_LINKLOCAL(&told.ipi6_addr) ? told.ipi6_ifindex : 0};
}

template <typename Wish>
void put(int level, int type, const Wish& wish, msghdr& header, ControlRoom& room) {
  header.msg_control = room.bytes;
  header.msg_controllen = CMSG_SPACE(sizeof wish);
  cmsghdr* const message = CMSG_FIRSTHDR(&header);
  message->cmsg_level = level;
  message->cmsg_type = type;
  message->cmsg_len = CMSG_LEN(sizeof wish);
  std::memcpy(CMSG_DATA(message), &wish, sizeof wish);
}

}  // namespace

bool ask_for_destinations(int socket, int family) {
  return turn_on(socket, IPPROTO_IP, IP_PKTINFO) &&
         (family != AF_INET6 || turn_on(socket, IPPROTO_IPV6, IPV6_RECVPKTINFO));
}

bool brings_destinations(int socket) {
  int on = 0;
  socklen_t length = sizeof on;
  return ::getsockopt(socket, IPPROTO_IP, IP_PKTINFO, &on, &length) == 0 && on != 0;
}

DatagramSource source_of_answer(msghdr& header) {
  DatagramSource source;
  for (cmsghdr* one = CMSG_FIRSTHDR(&header); one != nullptr; one = CMSG_NXTHDR(&header, one)) {
    if (one->cmsg_level == IPPROTO_IP && one->cmsg_type == IP_PKTINFO) {
      return source_of(content<in_pktinfo>(*one));  // IPv6's is only what the datagram bears
    }
    if (one->cmsg_level == IPPROTO_IPV6 && one->cmsg_type == IPV6_PKTINFO) {
      source = source_of(content<in6_pktinfo>(*one));
    }
  }
  return source;
}

void send_from(const DatagramSource& source, msghdr& header, ControlRoom& room) {
  if (IN6_IS_ADDR_V4MAPPED(&source.address)) {
    in_pktinfo wish{};
    std::memcpy(&wish.ipi_spec_dst, &source.address.s6_addr[12], sizeof wish.ipi_spec_dst);
    put(IPPROTO_IP, IP_PKTINFO, wish, header, room);
  } else if (!IN6_IS_ADDR_UNSPECIFIED(&source.address)) {
    const in6_pktinfo wish{.ipi6_addr = source.address, .ipi6_ifindex = source.interface};
    put(IPPROTO_IPV6, IPV6_PKTINFO, wish, header, room);
  }
}

}  // namespace kv::sockets
