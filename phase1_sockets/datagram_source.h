// The local address that a datagram was sent to, so that its answer comes from there.
//
// A socket bound to a wildcard has every address of its machine, and for what it sends the kernel
// would choose one by the route alone: a client that asked another takes no answer from there. So
// the kernel is made to tell, in a control message, and is told in the same way. A socket bound
// to one address has no need of any of this.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

namespace kv::sockets {

/// Where an answer is to come from.
struct DatagramSource {
  in6_addr address{};      // one of IPv4 is mapped; unspecified: of the kernel's choice
  unsigned interface = 0;  // only with a link-local address, which means nothing without
};

/// Room for what the kernel tells of one datagram: both, if one of IPv4 came to a socket of IPv6.
struct alignas(cmsghdr) ControlRoom {
  char bytes[CMSG_SPACE(sizeof(in6_pktinfo)) + CMSG_SPACE(sizeof(in_pktinfo))];
};

/// From now on the kernel tells where each datagram was sent to. False, and errno, if it will not.
bool ask_for_destinations(int socket, int family);

/// Whether it was asked to.
bool brings_destinations(int socket);

/// Where to answer from what was received with `header`; the kernel's choice for what was sent to
/// many at once.
DatagramSource source_of_answer(msghdr& header);

/// Has what `header` sends come from `source`. `room` must last until it is sent.
void send_from(const DatagramSource& source, msghdr& header, ControlRoom& room);

}  // namespace kv::sockets
