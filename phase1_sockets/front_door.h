// The front door: clients over TCP and UDP, in the line protocol and the legacy one, before any
// Service. Every phase opens the same one.
//
//   lane 0          lane 1 … N-1        (a thread and an event loop each)
//   ├ listener ───▶ sockets in turn
//   ├ connections   ├ connections       each belongs to one lane for its life
//   ├ UDP socket    ├ UDP socket        one port; the kernel divides the clients
//   └ HTTP
//
// The service may answer inside submit(), or later from any thread.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "common/core/time.h"
#include "common/host/address.h"
#include "common/host/figure.h"
#include "common/host/log.h"
#include "common/kv/service.h"
#include "phase1_sockets/tcp_server.h"
#include "phase1_sockets/udp_server.h"

namespace kv::sockets {

class HttpServer;

/// A number that the owner of the service adds to /metrics and /status.
struct Gauge {
  std::string name;  // as in `items`: becomes quintet_items and "items"
  std::string help;
  std::function<double()> read;  // called on lane 0's thread
};

struct FrontDoorOptions {
  host::Endpoint tcp = host::endpoint_off;
  host::Endpoint udp = host::endpoint_off;
  host::Endpoint http = host::endpoint_off;
  std::size_t threads = 1;
  std::size_t connections_max = 10'000;
  TcpLimits tcp_limits;
  bool udp_legacy = false;
  std::size_t udp_answer_bytes_max = 0;  // 0: datagram_bytes_max on loopback, else 1400
  Duration request_patience = std::chrono::seconds{30};  // first byte to whole request
  Duration progress_patience = std::chrono::seconds{30};
  Duration idle_patience{};  // zero: for ever
  Duration farewell_patience = std::chrono::seconds{2};
  Duration drain_patience = std::chrono::seconds{5};
  /// Not 0: requests without an ID are named, `op=.NUMBER`, from here on, so that other nodes' logs
  /// can tell of them. No other door's, and no other life's, come near; nothing else hangs on it.
  std::uint64_t names_from = 0;
  std::vector<Gauge> gauges;
  /// Adds what else /metrics and /status say; called on lane 0's thread.
  std::function<void(std::vector<host::Figure>&)> more_figures;
};

/// Used from one thread, the one that made it.
class FrontDoor {
 public:
  /// Binds every socket; nothing, and a reason in `why`, if one cannot be had. Serves nobody yet.
  /// `service` and `log` outlive the door.
  static std::unique_ptr<FrontDoor> open(Service& service, host::Log& log, FrontDoorOptions options,
                                         std::string& why);
  FrontDoor(const FrontDoor&) = delete;
  FrontDoor& operator=(const FrontDoor&) = delete;
  /// Stops. Every request that was submitted must have been answered by then (check), so a
  /// service that answers late is stopped first, after stop().
  ~FrontDoor();

  /// Where it is: the real ports. Length 0 for what is off.
  const host::SocketAddress& tcp() const { return tcp_; }
  const host::SocketAddress& udp() const { return udp_; }
  const host::SocketAddress& http() const { return http_address_; }
  /// As `ready tcp=127.0.0.1:1111 udp=127.0.0.1:5555 http=off`.
  std::string ready_line() const;

  /// What /metrics and /status say. Any thread, if the gauges allow it.
  std::vector<host::Figure> figures() const;

  /// Starts the threads.
  void start();
  /// Accepts no more, answers what has arrived whole, sends it, and ends the threads: after
  /// drain_patience at the latest.
  void stop();

 private:
  struct Station;  // a lane with its connections and its UDP socket

  FrontDoor(Service& service, host::Log& log, FrontDoorOptions options);
  bool open_lanes(std::string& why);
  bool open_tcp(std::string& why);
  bool open_udp(std::string& why);
  bool open_http(std::string& why);

  Service& service_;
  host::Log& log_;
  const FrontDoorOptions options_;
  Occupancy occupancy_;
  std::vector<std::unique_ptr<Station>> stations_;
  std::unique_ptr<TcpServer> listener_;
  std::unique_ptr<HttpServer> http_;
  host::SocketAddress tcp_;
  host::SocketAddress udp_;
  host::SocketAddress http_address_;
  std::vector<std::thread> threads_;
};

}  // namespace kv::sockets
