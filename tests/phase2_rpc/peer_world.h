// Replicas' ends of the peer transport in one process, for tests.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <boost/test/unit_test.hpp>

#include "common/host/clock.h"
#include "common/wire/frame.h"
#include "phase2_rpc/peer_transport.h"
#include "phase2_rpc/rpc_server.h"
#include "phase2_rpc/tls.h"

namespace kv::rpc {

/// One replica's transport behind an RPC server of its own, and all that it heard and said.
struct Station {
  explicit Station(std::uint32_t number, const host::Endpoint& listen = {},
                   std::string its_secret = "", std::string its_cluster = "quintet",
                   const TlsFiles& tls = {}, std::vector<NodeId> founders = {})
      : self{number}, secret(std::move(its_secret)), cluster(std::move(its_cluster)) {
    const auto notice = [this](Level, std::string_view fields) { note(fields); };
    RpcPeerTransport::Options ours;
    ours.self = self;
    ours.cluster = cluster;
    ours.secret = secret;
    ours.founders = std::move(founders);
    if (tls.wanted()) {
      std::string why;
      ours.tls = open_tls(tls, TlsSide::client, why);
      BOOST_REQUIRE_EQUAL(why, "");
    }
    ours.queue_bytes_max = 4 * 1024 * 1024;
    // A test that holds a peer up, on a machine that is busy, must not look like a broken link.
    ours.unacknowledged_max = ours.keep_alive.silence_max = std::chrono::minutes{1};
    transport = std::make_unique<RpcPeerTransport>(ours, dispatcher, notice);
    RpcServer::Options options;
    options.listen = listen;
    options.secret = secret;
    options.tls = tls;
    server = std::make_unique<RpcServer>(options, dispatcher, notice);
    BOOST_REQUIRE_EQUAL(server->start(), "");
  }
  ~Station() {
    release();
    transport->stop();
    server->stop(Duration::zero());
  }

  /// From now on messages come and go; node i + 1 is at addresses[i].
  void peers_at(const std::vector<host::Endpoint>& addresses) {
    std::vector<host::Peer> peers;
    for (std::uint32_t i = 0; i < addresses.size(); ++i) {
      peers.push_back({.node = {i + 1}, .rpc = addresses[i]});
    }
    transport->know(peers);
    transport->start([this](std::vector<host::PeerMessage>& messages) {
      std::unique_lock lock{mutex};
      changed.wait(lock, [&] { return !held; });
      ++batches_heard;
      for (host::PeerMessage& message : messages) {
        heard.push_back(std::move(message));
      }
      changed.notify_all();
    });
  }

  /// Waits until so many messages came, and takes all there are.
  std::vector<host::PeerMessage> wait_for(std::size_t count) {
    std::unique_lock lock{mutex};
    changed.wait(lock, [&] { return heard.size() >= count; });
    return std::move(heard);
  }
  void wait_until(const std::function<bool()>& holds) {
    while (!holds()) {
      std::this_thread::yield();
    }
  }
  int batches() {
    const std::lock_guard lock{mutex};
    return batches_heard;
  }
  bool said(std::string_view words) {
    const std::lock_guard lock{mutex};
    return notes.find(words) != std::string::npos;
  }
  /// From now on whoever brings messages must wait.
  void hold() {
    const std::lock_guard lock{mutex};
    held = true;
  }
  void release() {
    const std::lock_guard lock{mutex};
    held = false;
    changed.notify_all();
  }
  void note(std::string_view fields) {
    const std::lock_guard lock{mutex};
    notes.append(fields).append("\n");
  }

  const NodeId self;
  const std::string secret;
  const std::string cluster;
  Dispatcher dispatcher{[] { return host::run_now(); }, [](auto) { return false; }};
  std::unique_ptr<RpcPeerTransport> transport;
  std::unique_ptr<RpcServer> server;

  std::mutex mutex;  // guards all that follows
  std::condition_variable changed;
  std::vector<host::PeerMessage> heard;
  int batches_heard = 0;
  std::string notes;
  bool held = false;
};

/// Station i is node i + 1; each is told where all are, and reaches all.
inline void connect_all(const std::vector<Station*>& stations) {
  std::vector<host::Endpoint> addresses;
  for (const Station* station : stations) {
    addresses.push_back(station->server->address());
  }
  for (Station* station : stations) {
    station->peers_at(addresses);
  }
  for (Station* one : stations) {
    for (const Station* other : stations) {
      one->wait_until([&] { return one == other || one->transport->connected(other->self); });
    }
  }
}

}  // namespace kv::rpc
