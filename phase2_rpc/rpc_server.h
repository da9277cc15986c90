// The RPC server on sockets: threads that read, run short handlers where they read them, and write
// all answers that are ready with one call.
//
// Each thread has its own loop and its own connections; one of them accepts and deals new
// connections out in turn. What a handler answers later is handed to its connection's thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "common/core/level.h"
#include "common/core/time.h"
#include "common/host/address.h"
#include "phase2_rpc/dispatcher.h"
#include "phase2_rpc/server_core.h"
#include "phase2_rpc/tls.h"

namespace kv::rpc {

struct ServerCounts {
  std::uint64_t connections = 0;  // open now
  std::uint64_t accepted = 0;
  std::uint64_t refused = 0;  // beyond connections_max
  std::uint64_t dropped = 0;  // spoke no RPC, failed TLS, did not know the secret, went silent
  std::uint64_t calls_refused = 0;  // by a connection's limits, or after go-away
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
};

class RpcServer {
 public:
  struct Options {
    host::Endpoint listen;
    std::size_t threads = 1;
    Duration spin{};  // of each thread, at most; zero: sleeps at once; see spin.h
    std::size_t connections_max = 10'000;
    /// A client that does not read its answers is not read from while so much waits for it …
    std::size_t output_bytes_max = 4 * 1024 * 1024;
    /// … and is dropped after it has taken nothing for so long.
    Duration write_patience = std::chrono::seconds{30};
    /// From accept to the end of the client's hello, TLS included.
    Duration hello_patience = std::chrono::seconds{10};
    ServerCore::Options core;  // its memory, if it has no name: one of this life alone
    TlsFiles tls;
    bool insecure = false;  // without TLS, may serve others than this machine
    std::string secret;     // of the cluster; empty: nobody is trusted
  };
  /// Told of what people should know; called on the server's threads. Fields are in logfmt.
  using Notice = std::function<void(Level level, std::string_view fields)>;

  /// `dispatcher` outlives the server, and so does all that its handlers use.
  RpcServer(const Options& options, Dispatcher& dispatcher, Notice notice);
  RpcServer(const RpcServer&) = delete;
  RpcServer& operator=(const RpcServer&) = delete;
  ~RpcServer();  // as stop(0)

  /// Takes its port, and serves nobody yet: who connects waits. The empty string, or one line that
  /// says why not. Once.
  std::string bind();
  /// Binds, if nobody did before, and starts to serve; likewise.
  std::string start();
  host::Endpoint address() const;  // with the port it got

  /// No new connections and calls; what is running may finish within `patience`. Returns when all
  /// connections are closed. A late answer that comes after that goes nowhere, safely.
  void stop(Duration patience);

  ServerCounts counts() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace kv::rpc
