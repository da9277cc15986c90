// Servers that do what a test says, for tests of the clients: each runs a script on a thread of its
// own and is gone when its owner is.
#pragma once

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <future>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "common/client/transport.h"
#include "common/core/check.h"
#include "common/host/address.h"

namespace kv::test {

/// A socket bound to a free port of 127.0.0.1, or to the port given.
inline int bound_socket(int type, std::uint16_t port = 0) {
  const int descriptor = socket(AF_INET, type | SOCK_CLOEXEC, 0);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_port = htons(port);
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  check(bind(descriptor, reinterpret_cast<sockaddr*>(&at), sizeof at) == 0);
  return descriptor;
}

/// Where nobody listens, for now.
inline host::SocketAddress unused_address(int type) {
  const int descriptor = bound_socket(type);
  const host::SocketAddress address = host::address_of(descriptor);
  close(descriptor);
  return address;
}

/// The server's end of one TCP connection.
class FakeConnection {
 public:
  explicit FakeConnection(int descriptor) : descriptor_(descriptor) {}
  FakeConnection(const FakeConnection&) = delete;
  FakeConnection& operator=(const FakeConnection&) = delete;
  ~FakeConnection() { close(); }

  /// Without its line end; empty once the client has gone.
  std::string read_line() {
    std::string line;
    char byte = 0;
    while (recv(descriptor_, &byte, 1, 0) == 1 && byte != '\n') {
      line += byte;
    }
    return line;
  }

  void write(std::string_view text) {
    while (!text.empty()) {
      const ssize_t count = send(descriptor_, text.data(), text.size(), MSG_NOSIGNAL);
      if (count <= 0) {
        return;
      }
      text.remove_prefix(static_cast<std::size_t>(count));
    }
  }

  /// Reads a request and answers it, its ID before `text`.
  void answer(std::string_view text) { write(id_of(read_line()) + " " + std::string{text} + "\n"); }

  void close() {
    if (descriptor_ >= 0) {
      ::close(std::exchange(descriptor_, -1));
    }
  }

  static std::string id_of(const std::string& request) {
    return request.substr(0, request.find(' '));
  }

 private:
  int descriptor_;
};

/// Takes as many connections as it has scripts, one after the other, then listens no more.
class FakeTcpServer {
 public:
  using Script = std::function<void(FakeConnection&)>;

  explicit FakeTcpServer(std::vector<Script> scripts, int receive_buffer_bytes = 0)
      : listener_(bound_socket(SOCK_STREAM)), address_(host::address_of(listener_)) {
    if (receive_buffer_bytes > 0) {  // small segments, for the client's buffer grows with them
      const int segment_bytes = 536;
      setsockopt(listener_, IPPROTO_TCP, TCP_MAXSEG, &segment_bytes, sizeof segment_bytes);
      setsockopt(listener_, SOL_SOCKET, SO_RCVBUF, &receive_buffer_bytes,
                 sizeof receive_buffer_bytes);
    }
    check(listen(listener_, 8) == 0);
    thread_ = std::thread{[this, scripts = std::move(scripts)] { run(scripts); }};
  }
  FakeTcpServer(const FakeTcpServer&) = delete;
  FakeTcpServer& operator=(const FakeTcpServer&) = delete;
  ~FakeTcpServer() {
    shutdown(listener_, SHUT_RDWR);  // ends an accept() that nobody will come to
    join();
    close(listener_);
  }

  const host::SocketAddress& address() const { return address_; }
  void join() {
    if (thread_.joinable()) {
      thread_.join();
    }
  }

 private:
  void run(const std::vector<Script>& scripts) const {
    for (const Script& script : scripts) {
      const int descriptor = accept(listener_, nullptr, nullptr);
      if (descriptor < 0) {
        return;
      }
      FakeConnection connection{descriptor};
      script(connection);
    }
    shutdown(listener_, SHUT_RDWR);
  }

  int listener_;
  host::SocketAddress address_;
  std::thread thread_;
};

/// A UDP socket for a script: a datagram comes in, others go back to where it came from.
class FakeUdpSocket {
 public:
  explicit FakeUdpSocket(int descriptor) : descriptor_(descriptor) {}

  /// Without its line end; empty once the owner wants to end.
  std::string read() {
    char bytes[65536];
    client_.length = sizeof client_.storage;
    const ssize_t count = recvfrom(descriptor_, bytes, sizeof bytes, 0,
                                   reinterpret_cast<sockaddr*>(&client_.storage), &client_.length);
    std::string text{bytes, static_cast<std::size_t>(count > 0 ? count : 0)};
    return text.substr(0, text.find('\n'));
  }
  void write(std::string_view text) { write_from(descriptor_, text); }
  void write_from(int descriptor, std::string_view text) {
    sendto(descriptor, text.data(), text.size(), 0, client_.get(), client_.length);
  }
  void answer(const std::string& request, std::string_view text) {
    write(FakeConnection::id_of(request) + " " + std::string{text} + "\n");
  }

 private:
  int descriptor_;
  host::SocketAddress client_;
};

class FakeUdpServer {
 public:
  explicit FakeUdpServer(std::function<void(FakeUdpSocket&)> script, std::uint16_t port = 0)
      : descriptor_(bound_socket(SOCK_DGRAM, port)), address_(host::address_of(descriptor_)) {
    thread_ = std::thread{[this, script = std::move(script)] {
      FakeUdpSocket socket{descriptor_};
      script(socket);
    }};
  }
  FakeUdpServer(const FakeUdpServer&) = delete;
  FakeUdpServer& operator=(const FakeUdpServer&) = delete;
  ~FakeUdpServer() {
    const int nudge = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sendto(nudge, "", 0, 0, address_.get(), address_.length);  // ends a read()
    close(nudge);
    join();
    close(descriptor_);
  }

  const host::SocketAddress& address() const { return address_; }
  void join() {
    if (thread_.joinable()) {
      thread_.join();
    }
  }

 private:
  int descriptor_;
  host::SocketAddress address_;
  std::thread thread_;
};

/// Remembers a client's log lines; `on_event` sees each as it comes.
struct RecordedEvents final : client::EventSink {
  void event(Level, std::string_view fields) override {
    lines.emplace_back(fields);
    if (on_event) {
      on_event(fields);
    }
  }
  std::size_t count(std::string_view text) const {
    std::size_t found = 0;
    for (const std::string& line : lines) {
      found += line.find(text) != std::string::npos ? 1 : 0;
    }
    return found;
  }
  std::vector<std::string> lines;
  std::function<void(std::string_view)> on_event;
};

inline Command numbered(Verb verb, std::uint64_t sequence) {
  Command command;
  command.verb = verb;
  command.origin = {.client = "me", .sequence = sequence, .first_outstanding = sequence};
  command.key = verb == Verb::ping ? "" : "k";
  command.value = verb == Verb::put ? "v" : "";
  return command;
}

inline constexpr Duration long_enough = std::chrono::seconds{30};
inline constexpr Duration soon_over = std::chrono::milliseconds{30};

}  // namespace kv::test
