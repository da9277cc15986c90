// What operators ask a server over HTTP: /metrics (Prometheus), /status (JSON) and /healthz.
//
// Read-only and small on purpose: GET and HEAD alone, every connection closes after its answer, and
// a connection has one deadline from accept to close, so that neither a client that drips its
// request nor one that does not read can hold it. At the limit of connections a new one takes the
// oldest one's place: clients that connect and say nothing cannot keep out one that asks.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "common/core/time.h"
#include "common/host/address.h"

struct event_base;

namespace kv::sockets {

/// Run on the loop's thread, once a request.
struct HttpPages {
  std::function<std::string()> metrics;  // Prometheus text, version 0.0.4
  std::function<std::string()> status;   // JSON
  std::function<bool()> healthy;         // whether a write could succeed
};

struct HttpLimits {
  int connections_max = 64;
  std::size_t header_bytes_max = std::size_t{8} * 1024;
  std::size_t body_bytes_max = 1024;  // nothing here wants a body
  Duration connection_deadline = std::chrono::seconds{10};
  Duration sweep_interval = std::chrono::seconds{1};  // how soon one that ended itself is forgotten
};

/// To be used on its loop's thread alone; its end closes listener and connections. The process
/// must ignore SIGPIPE.
class HttpServer {
 public:
  /// Nothing, and a reason in `why`, if the endpoint cannot be listened on. An endpoint that is
  /// off is our own mistake.
  static std::unique_ptr<HttpServer> listen(event_base* base, const host::Endpoint& endpoint,
                                            HttpPages pages, std::string& why,
                                            const HttpLimits& limits = {});

  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;
  ~HttpServer();

  host::SocketAddress address() const;
  int connections() const;

 private:
  struct Connection;
  struct Door;
  explicit HttpServer(std::unique_ptr<Door> door);

  std::unique_ptr<Door> door_;
};

}  // namespace kv::sockets
