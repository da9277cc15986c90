// One replica's way to one other: connects, says hello, carries batches of messages, and begins
// again when the connection is lost. Included only where Asio is.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>

#include "common/core/random.h"
#include "phase2_rpc/client_core.h"
#include "phase2_rpc/name_lookup.h"
#include "phase2_rpc/peer_transport.h"
#include "phase2_rpc/retry.h"
#include "phase2_rpc/tls_pipe.h"

namespace kv::rpc {

/// gather() and flush() from the sending thread, ready() and counts() from any, the rest from the
/// loop's.
class PeerLink : public std::enable_shared_from_this<PeerLink> {
 public:
  PeerLink(boost::asio::io_context& loop, const RpcPeerTransport::Options& options,
           const host::Peer& peer, RpcPeerTransport::Notice notice);
  PeerLink(const PeerLink&) = delete;
  PeerLink& operator=(const PeerLink&) = delete;
  ~PeerLink() = default;

  NodeId peer() const { return peer_.node; }
  const host::Endpoint& address() const { return peer_.rpc; }
  bool ready() const { return ready_; }

  /// Adds a message to what flush() sends.
  void gather(ByteView message, std::uint64_t msg);
  void flush();

  void connect();
  void close();

  void add_to(PeerCounts& counts) const;

 private:
  enum class State : std::uint8_t { idle, connecting, greeting, up };

  // On the loop's thread, without the lock.
  void connect_to(const boost::asio::ip::tcp::endpoint& endpoint);
  void on_connected();
  void read();
  void on_input(std::size_t count);
  void on_timer();
  void fail(const std::string& why);
  bool end_if_failed(std::uint64_t its_life);
  void arm(Instant due);
  void await_writable(std::uint64_t its_life);

  // Under the lock.
  void say_hello_locked();
  void hear_locked(ByteView arrived);
  void write_locked();
  bool refill_locked();

  boost::asio::io_context& loop_;
  const RpcPeerTransport::Options& options_;
  const host::Peer peer_;
  const RpcPeerTransport::Notice notice_;

  // The sending thread alone.
  Bytes batch_;
  std::uint64_t batch_messages_ = 0;

  // The loop's thread alone.
  boost::asio::steady_timer timer_;
  NameLookup names_;  // without a patience of its own: it ends, and connecting has its own
  Random random_;
  BackOff back_off_;
  State state_ = State::idle;
  std::size_t attempts_ = 0;
  bool closing_ = false;
  bool told_ = false;  // that it cannot be reached
  std::array<char, 4096> input_;

  std::mutex mutex_;  // guards the socket's sending half and all that follows
  /// Of the connection: what was begun in an earlier one is ignored. Only the loop's thread
  /// changes it, and so reads it without the lock.
  std::uint64_t life_ = 0;
  boost::asio::ip::tcp::socket socket_;
  std::optional<ClientCore> core_;
  std::optional<TlsPipe> tls_;  // between core and socket, if peers speak TLS
  Bytes plain_;                 // on its way through it; empty between calls
  Bytes output_;
  std::size_t output_begin_ = 0;  // what the socket has taken
  bool waits_for_room_ = false;   // the loop writes on when the socket is writable
  bool greeted_ = false;          // peer.hello is on its way, or answered
  std::string failed_;            // empty, or why the connection must end

  std::atomic<bool> ready_{false};
  std::atomic<std::uint64_t> connects_{0};
  std::atomic<std::uint64_t> calls_{0};
  std::atomic<std::uint64_t> dropped_{0};
};

}  // namespace kv::rpc
