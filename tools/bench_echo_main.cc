// A raw libevent echo: the bar that the servers are measured against, the least that a program of
// this kind can do. One event loop; a level-triggered read event a connection; one read and one
// write an event; over UDP one recvfrom and one sendto.
#include <event2/event.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

#include "common/host/flags.h"

namespace {

using kv::host::Endpoint;
using kv::host::SocketAddress;

struct Free {
  void operator()(event_base* base) const { event_base_free(base); }
  void operator()(event* one) const { event_free(one); }
  void operator()(evconnlistener* listener) const { evconnlistener_free(listener); }
};
using Base = std::unique_ptr<event_base, Free>;
using Event = std::unique_ptr<event, Free>;
using Listener = std::unique_ptr<evconnlistener, Free>;

class Echo {
 public:
  explicit Echo(event_base* base) : base_(base) {}

  /// Binds and serves; false, and the reason in `why`, if it cannot. `address` gets the port.
  bool listen_tcp(SocketAddress& address, std::string& why) {
    listener_.reset(
        evconnlistener_new_bind(base_, on_accept, this, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_REUSEABLE,
                                /*backlog=*/4096, address.get(), static_cast<int>(address.length)));
    if (!listener_) {
      why = "cannot listen at " + to_text(address);
      return false;
    }
    address = kv::host::address_of(evconnlistener_get_fd(listener_.get()));
    return true;
  }

  bool listen_udp(SocketAddress& address, std::string& why) {
    const int socket = ::socket(address.family(), SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (socket < 0 || bind(socket, address.get(), address.length) != 0) {
      why = "cannot bind " + to_text(address);
      return false;  // the process ends, and the socket with it
    }
    address = kv::host::address_of(socket);
    datagrams_.reset(event_new(base_, socket, EV_READ | EV_PERSIST, on_datagram, this));
    return event_add(datagrams_.get(), nullptr) == 0;
  }

 private:
  struct Connection {
    Echo* echo;
    Event readable;
    Event writable;    // only after a write that the kernel did not take whole
    std::string rest;  // what it did not take
  };

  static void on_accept(evconnlistener*, evutil_socket_t socket, sockaddr*, int, void* argument) {
    auto* const echo = static_cast<Echo*>(argument);
    const int on = 1;
    setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    auto* const connection = new Connection{echo, nullptr, nullptr, {}};
    connection->readable.reset(
        event_new(echo->base_, socket, EV_READ | EV_PERSIST, on_readable, connection));
    connection->writable.reset(event_new(echo->base_, socket, EV_WRITE, on_writable, connection));
    event_add(connection->readable.get(), nullptr);
  }

  static void on_readable(evutil_socket_t socket, short, void* argument) {
    auto* const connection = static_cast<Connection*>(argument);
    auto& buffer = connection->echo->buffer_;
    const ssize_t got = read(socket, buffer.data(), buffer.size());
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
      return;
    }
    if (got <= 0) {
      close_connection(connection, socket);
      return;
    }
    const ssize_t put = write(socket, buffer.data(), static_cast<std::size_t>(got));
    if (put < 0 && errno != EAGAIN) {
      close_connection(connection, socket);
    } else if (put < got) {
      keep_rest(connection, put < 0 ? 0 : static_cast<std::size_t>(put),
                static_cast<std::size_t>(got));
    }
  }

  /// The client does not read: nothing more is read from it until it has taken this.
  static void keep_rest(Connection* connection, std::size_t begin, std::size_t end) {
    connection->rest.assign(connection->echo->buffer_.data() + begin, end - begin);
    event_del(connection->readable.get());
    event_add(connection->writable.get(), nullptr);
  }

  static void on_writable(evutil_socket_t socket, short, void* argument) {
    auto* const connection = static_cast<Connection*>(argument);
    const ssize_t put = write(socket, connection->rest.data(), connection->rest.size());
    if (put < 0 && errno != EAGAIN) {
      close_connection(connection, socket);
      return;
    }
    connection->rest.erase(0, put < 0 ? 0 : static_cast<std::size_t>(put));
    event_add(connection->rest.empty() ? connection->readable.get() : connection->writable.get(),
              nullptr);
  }

  static void close_connection(Connection* connection, evutil_socket_t socket) {
    delete connection;
    close(socket);
  }

  static void on_datagram(evutil_socket_t socket, short, void* argument) {
    auto& buffer = static_cast<Echo*>(argument)->buffer_;
    SocketAddress from;
    from.length = sizeof from.storage;
    auto* const address = reinterpret_cast<sockaddr*>(&from.storage);
    const ssize_t got = recvfrom(socket, buffer.data(), buffer.size(), 0, address, &from.length);
    if (got >= 0) {  // what cannot be sent is lost, as datagrams are
      static_cast<void>(
          sendto(socket, buffer.data(), static_cast<std::size_t>(got), 0, address, from.length));
    }
  }

  event_base* base_;
  Listener listener_;
  Event datagrams_;
  std::array<char, 64 * 1024> buffer_{};
};

void on_signal(evutil_socket_t, short, void* base) {
  event_base_loopbreak(static_cast<event_base*>(base));
}

int fail(const std::string& why) {
  std::fprintf(stderr, "bench_echo: %s\n", why.c_str());
  return EXIT_FAILURE;
}

/// Serves at `endpoint` unless it is off; adds to the ready line.
bool listen(Echo& echo, const Endpoint& endpoint, int type, std::string& ready, std::string& why) {
  if (endpoint.off) {
    return true;
  }
  auto addresses = kv::host::resolve(endpoint, type, kv::host::Purpose::listen, why);
  if (addresses.empty()) {
    return false;
  }
  const bool tcp = type == SOCK_STREAM;
  if (!(tcp ? echo.listen_tcp(addresses[0], why) : echo.listen_udp(addresses[0], why))) {
    return false;
  }
  ready += (tcp ? " tcp=" : " udp=") + to_text(addresses[0]);
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  Endpoint tcp;
  Endpoint udp;
  kv::host::Flags flags{"bench_echo", "Sends back what it gets: what `make bench` compares with."};
  flags.add("--tcp", tcp, "where to listen for connections; port 0 takes a free one");
  flags.add("--udp", udp, "where to await datagrams");
  if (const auto exit_code = flags.parse(argc, argv)) {
    return *exit_code;
  }
  const Base base{event_base_new()};
  if (!base) {
    return fail("cannot make an event loop");
  }
  std::signal(SIGPIPE, SIG_IGN);
  const Event term{event_new(base.get(), SIGTERM, EV_SIGNAL | EV_PERSIST, on_signal, base.get())};
  const Event interrupt{
      event_new(base.get(), SIGINT, EV_SIGNAL | EV_PERSIST, on_signal, base.get())};
  event_add(term.get(), nullptr);
  event_add(interrupt.get(), nullptr);
  Echo echo{base.get()};
  std::string ready = "ready";
  std::string why;
  if (!listen(echo, tcp, SOCK_STREAM, ready, why) || !listen(echo, udp, SOCK_DGRAM, ready, why)) {
    return fail(why);
  }
  std::printf("%s\n", ready.c_str());
  std::fflush(stdout);
  event_base_dispatch(base.get());
  return EXIT_SUCCESS;
}
