#include "phase1_sockets/http_server.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <event2/listener.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <string_view>
#include <unordered_map>

#include "common/core/check.h"

namespace kv::sockets {
namespace {

constexpr int backlog = 64;

template <auto release>
struct Release {
  void operator()(auto* thing) const { release(thing); }
};
using Event = std::unique_ptr<event, Release<event_free>>;

timeval timeval_of(Duration duration) {
  return {.tv_sec = duration.count() / 1'000'000, .tv_usec = duration.count() % 1'000'000};
}

void answer(evhttp_request* request, int code, const char* reason, const char* type,
            std::string_view body) {
  evkeyvalq* headers = evhttp_request_get_output_headers(request);
  evhttp_add_header(headers, "Content-Type", type);
  evhttp_add_header(headers, "Cache-Control", "no-store");
  evhttp_add_header(headers, "Connection", "close");
  if (evhttp_request_get_command(request) == EVHTTP_REQ_HEAD) {  // libevent would send a body
    evhttp_add_header(headers, "Content-Length", std::to_string(body.size()).c_str());
  } else {
    evbuffer_add(evhttp_request_get_output_buffer(request), body.data(), body.size());
  }
  evhttp_send_reply(request, code, reason, nullptr);
}

constexpr char plain_text[] = "text/plain; charset=utf-8";

void answer_page(evhttp_request* request, const HttpPages& pages) {
  const evhttp_cmd_type method = evhttp_request_get_command(request);
  if (method != EVHTTP_REQ_GET && method != EVHTTP_REQ_HEAD) {
    evhttp_add_header(evhttp_request_get_output_headers(request), "Allow", "GET, HEAD");
    answer(request, HTTP_BADMETHOD, "Method Not Allowed", plain_text, "only GET and HEAD\n");
    return;
  }
  const char* path_text = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(request));
  const std::string_view path = path_text != nullptr ? path_text : "";
  if (path == "/metrics") {
    answer(request, HTTP_OK, "OK", "text/plain; version=0.0.4; charset=utf-8", pages.metrics());
  } else if (path == "/status") {
    answer(request, HTTP_OK, "OK", "application/json", pages.status());
  } else if (path != "/healthz") {
    answer(request, HTTP_NOTFOUND, "Not Found", plain_text,
           "there are /metrics, /status and /healthz\n");
  } else if (pages.healthy()) {
    answer(request, HTTP_OK, "OK", plain_text, "ok\n");
  } else {
    answer(request, HTTP_SERVUNAVAIL, "Service Unavailable", plain_text, "no write can succeed\n");
  }
}

/// A listening socket on the first of the endpoint's addresses that takes one; or -1.
int open_listener(const host::Endpoint& endpoint, std::string& why) {
  const auto addresses = host::resolve(endpoint, SOCK_STREAM, host::Purpose::listen, why);
  if (addresses.empty()) {
    why.insert(0, "--http: ");
  }
  for (const host::SocketAddress& address : addresses) {
    const int fd = socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const int yes = 1;
    if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) == 0 &&
        bind(fd, address.get(), address.length) == 0 && ::listen(fd, backlog) == 0) {
      return fd;
    }
    why = "cannot listen on http " + to_text(address) + ": " + std::strerror(errno);
    if (fd >= 0) {
      close(fd);
    }
  }
  return -1;
}

}  // namespace

/// A connection from accept to its end. evhttp owns the stream; this is a share in it, so that the
/// descriptor cannot become somebody else's before the deadline is over or called off.
struct HttpServer::Connection {
  Connection(Door& owner, bufferevent* shared, std::uint64_t accepted)
      : door{owner}, stream{shared}, number{accepted} {
    bufferevent_incref(stream);
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() { bufferevent_decref(stream); }

  Door& door;
  bufferevent* stream;
  const std::uint64_t number;  // the older, the smaller
  Event deadline;
};

struct HttpServer::Door {
  Door(event_base* loop, evconnlistener* socket, HttpPages what, const HttpLimits& bounds)
      : base{loop},
        listener{socket},
        pages{std::move(what)},
        limits{bounds},
        http{evhttp_new(base)},
        tick{event_new(base, -1, EV_PERSIST, on_tick, this)} {
    evhttp_set_max_headers_size(http.get(), static_cast<ev_ssize_t>(limits.header_bytes_max));
    evhttp_set_max_body_size(http.get(), static_cast<ev_ssize_t>(limits.body_bytes_max));
    evhttp_set_allowed_methods(http.get(), UINT16_MAX);  // on_request refuses with the right code
    evhttp_set_gencb(http.get(), on_request, this);
    evhttp_set_bevcb(http.get(), on_accept, this);
    evhttp_bind_listener(http.get(), listener);
    evconnlistener_set_error_cb(listener, on_accept_error);
    const timeval interval = timeval_of(limits.sweep_interval);
    event_add(tick.get(), &interval);
  }
  Door(const Door&) = delete;
  Door& operator=(const Door&) = delete;
  ~Door() { http.reset(); }  // it calls on_close, which needs all the rest

  /// Gives evhttp the stream of a new connection.
  static bufferevent* on_accept(event_base* base, void* context) {
    auto& door = *static_cast<Door*>(context);
    door.make_room();
    bufferevent* stream = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
    bufferevent_setwatermark(stream, EV_READ, 0,
                             2 * (door.limits.header_bytes_max + door.limits.body_bytes_max));
    auto connection = std::make_unique<Connection>(door, stream, ++door.accepted);
    connection->deadline.reset(event_new(base, -1, 0, on_deadline, connection.get()));
    const timeval patience = timeval_of(door.limits.connection_deadline);
    event_add(connection->deadline.get(), &patience);
    door.connections.emplace(stream, std::move(connection));
    return stream;
  }

  static void on_deadline(evutil_socket_t, short, void* context) {
    const auto& connection = *static_cast<Connection*>(context);
    connection.door.end(connection.stream);
  }

  /// Ends the connection as its peer would; evhttp sees that, and cleans up in its own time.
  void end(bufferevent* stream) {
    shutdown(bufferevent_getfd(stream), SHUT_RDWR);
    forget(stream);
  }

  void make_room() {
    if (std::ssize(connections) >= limits.connections_max) {
      end(std::ranges::min_element(connections, {}, [](const auto& entry) {
            return entry.second->number;
          })->first);
    }
  }

  /// Runs for a connection that had a whole request; the sweep finds the others.
  static void on_close(evhttp_connection* gone, void* context) {
    static_cast<Door*>(context)->forget(evhttp_connection_get_bufferevent(gone));
  }

  /// Most likely no descriptors are left, and accept() would fail again at once and for ever: the
  /// listener rests until the next tick. (libevent passes evhttp's context here, not ours.)
  static void on_accept_error(evconnlistener* listener, void*) { evconnlistener_disable(listener); }

  /// libevent does not tell of a connection that goes before its first whole request; but it takes
  /// its callbacks off the stream.
  static void on_tick(evutil_socket_t, short, void* context) {
    auto& door = *static_cast<Door*>(context);
    std::erase_if(door.connections, [](const auto& entry) {
      bufferevent_event_cb on_event = nullptr;
      bufferevent_getcb(entry.first, nullptr, nullptr, &on_event, nullptr);
      return on_event == nullptr;
    });
    evconnlistener_enable(door.listener);
  }

  static void on_request(evhttp_request* request, void* context) {
    const auto& door = *static_cast<Door*>(context);
    evhttp_connection_set_closecb(evhttp_request_get_connection(request), on_close, context);
    answer_page(request, door.pages);
  }

  void forget(bufferevent* stream) { connections.erase(stream); }

  event_base* base;
  evconnlistener* listener;
  HttpPages pages;
  HttpLimits limits;
  std::uint64_t accepted = 0;
  std::unordered_map<bufferevent*, std::unique_ptr<Connection>> connections;
  std::unique_ptr<evhttp, Release<evhttp_free>> http;
  Event tick;
};

std::unique_ptr<HttpServer> HttpServer::listen(event_base* base, const host::Endpoint& endpoint,
                                               HttpPages pages, std::string& why,
                                               const HttpLimits& limits) {
  const int fd = open_listener(endpoint, why);
  if (fd < 0) {
    return nullptr;
  }
  evconnlistener* listener = evconnlistener_new(
      base, nullptr, nullptr, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
  check(listener != nullptr);  // it only allocates
  return std::unique_ptr<HttpServer>{
      new HttpServer{std::make_unique<Door>(base, listener, std::move(pages), limits)}};
}

HttpServer::HttpServer(std::unique_ptr<Door> door) : door_{std::move(door)} {}

HttpServer::~HttpServer() = default;

host::SocketAddress HttpServer::address() const {
  return host::address_of(evconnlistener_get_fd(door_->listener));
}

int HttpServer::connections() const {
  return static_cast<int>(door_->connections.size());
}

}  // namespace kv::sockets
