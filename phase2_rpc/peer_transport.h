// Replicas' messages over RPC: one connection to each peer, and one one-way call for all that
// leaves for it at once.
//
// The thread that sends writes to the sockets itself: to send wakes nobody. A thread of the
// transport's own connects, says hello, pings, and writes what a socket did not take at once. What
// peers send comes in by the RPC server's threads, a batch of messages with one look at the lock.
//
// A peer that cannot be reached is tried again for ever, in steps that stay below retry_max; what
// is sent to it meanwhile is dropped.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/core/level.h"
#include "common/core/time.h"
#include "common/host/flags.h"
#include "common/host/peer_transport.h"
#include "phase2_rpc/dispatcher.h"
#include "phase2_rpc/keep_alive.h"

namespace boost::asio::ssl {
class context;
}

namespace kv::rpc {

/// A larger message is never sent, and an error in the log says so.
inline constexpr std::size_t peer_message_bytes_max = 8 * 1024 * 1024 - 64;

struct PeerCounts {
  std::uint64_t connects = 0;          // over all peers
  std::uint64_t calls = 0;             // writes, unless a socket was full
  std::uint64_t messages_dropped = 0;  // no connection, or its queue full
  std::uint64_t batches_refused = 0;   // of strangers, or damaged
};

class RpcPeerTransport final : public host::PeerTransport {
 public:
  struct Options {
    NodeId self;
    std::string cluster = "quintet";
    std::vector<NodeId> founders;  // of the cluster, by number; empty: this replica joined later
    std::string choices;           // what all replicas must have alike; empty: nothing
    /// How this replica reaches others, if not at the addresses that they are said to have.
    std::vector<host::Peer> routes;
    std::string secret;  // of the cluster; empty: nobody need prove anything
    std::shared_ptr<boost::asio::ssl::context> tls;  // a client's (open_tls()); none: plain TCP
    std::size_t queue_bytes_max = 32 * 1024 * 1024;  // for each peer, while its socket is full
    Duration retry_first = std::chrono::milliseconds{5};
    Duration retry_max = std::chrono::milliseconds{150};
    Duration connect_patience = std::chrono::milliseconds{500};  // to the end of the hello
    /// What was sent and is not acknowledged for so long ends the connection: after a partition a
    /// new one is there long before TCP would try the old one again.
    Duration unacknowledged_max = std::chrono::seconds{2};
    KeepAlive::Options keep_alive{.silence_max = std::chrono::seconds{2},
                                  .ping_patience = std::chrono::seconds{2}};
    std::uint64_t seed = 1;
  };
  using Notice = std::function<void(Level level, std::string_view fields)>;

  /// Adds its methods to `dispatcher`, which serves nobody yet; both outlive the RPC server.
  /// `notice` is called from several threads.
  RpcPeerTransport(Options options, Dispatcher& dispatcher, Notice notice);
  ~RpcPeerTransport() override;  // as stop()

  /// All replicas; this one is passed over. Before start(): until then nobody is heard.
  void know(const std::vector<host::Peer>& peers);

  /// A member without an address and a route is heard, and not reached.
  void meet(const std::vector<Member>& members) override;
  void start(OnMessages on_messages) override;
  void send(std::vector<Send>& sends, std::uint64_t first_msg) override;
  bool connected(NodeId peer) const override;
  bool lends_threads() const override { return true; }
  void stop() override;

  PeerCounts counts() const;

 private:
  class Links;
  class Intake;
  const NodeId self_;
  const std::vector<host::Peer> routes_;
  std::unique_ptr<Intake> intake_;
  std::unique_ptr<Links> links_;
};

}  // namespace kv::rpc
