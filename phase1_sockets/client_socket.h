// What the TCP and the UDP client need of sockets: a descriptor that closes itself, and waits that
// end at a deadline.
#pragma once

#include <string>
#include <utility>

#include "common/core/time.h"
#include "common/host/address.h"

namespace kv::sockets {

class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~Descriptor() { close(); }

  int number() const { return number_; }
  bool open() const { return number_ >= 0; }
  void close();

 private:
  int number_ = -1;
};

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
