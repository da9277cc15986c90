// Sockets of the load's side.
#pragma once

#include <string>
#include <vector>

#include "common/host/address.h"
#include "common/host/descriptor.h"
#include "tools/load_target.h"

namespace kv::load {

using host::Descriptor;

enum class Waiting : bool { no, yes };

/// A non-blocking socket connected to `address`, TCP without delay. With Waiting::no a TCP
/// connection may still be under way. Not open, and the reason in `why`, if it failed.
Descriptor connect_socket(const host::SocketAddress& address, Transport transport, Waiting waiting,
                          std::string& why);

/// The first address of each of the target's endpoints. False, and the reason in `why`, if one has
/// none.
bool resolve_all(const Target& target, std::vector<host::SocketAddress>& addresses,
                 std::string& why);

/// The error that a connection under way ended with; 0 if it is connected.
int error_of(int socket);

/// An epoll instance; not open if the process has too many files.
Descriptor make_epoll();

/// Lets this process open as many files as it may.
void raise_file_limit();

/// "WHAT: the error's text" from errno.
std::string errno_text(const std::string& what);

}  // namespace kv::load
