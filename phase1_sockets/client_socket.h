// What the TCP and the UDP client need of sockets: to connect, and waits that end at a deadline.
#pragma once

#include <string>

#include "common/core/time.h"
#include "common/host/address.h"
#include "common/host/descriptor.h"

namespace kv::sockets {

using host::Descriptor;

/// Until the socket can be read (POLLIN) or written (POLLOUT), or has failed: true. False once
/// the deadline has passed.
bool wait_until(const Descriptor& socket, short events, Instant deadline);

/// What `errno` number says, for people: "Connection refused".
std::string reason_of(int error);

/// A socket that never blocks, connected to `to` or about to be; not open, and the reason in
/// `error`, if that failed at once. A TCP connection is there when connection_error() says so.
Descriptor begin_connect(const host::SocketAddress& to, int socket_type, int& error);

/// The error number of a TCP connection that became writable, 0 if it stands.
int connection_error(const Descriptor& socket, const host::SocketAddress& to);

}  // namespace kv::sockets
