// Opens the sockets that a server listens on, or says why not in one line.
#pragma once

#include <string>
#include <vector>

#include "common/host/address.h"
#include "phase1_sockets/event_loop.h"

namespace kv::sockets {

/// A listening socket at the first of the endpoint's addresses that can be had; closed, and a
/// reason in `why`, if none can. What it accepts sends without delay and notices dead clients.
Descriptor listen_tcp(const host::Endpoint& endpoint, std::string& why);

/// `count` sockets on one port, among which the kernel divides the clients; none, and a reason in
/// `why`, if the port is taken: also by one who would share it. At a wildcard they tell where each
/// datagram was sent to (datagram_source.h).
std::vector<Descriptor> bind_udp(const host::Endpoint& endpoint, std::size_t count,
                                 std::string& why);

}  // namespace kv::sockets
