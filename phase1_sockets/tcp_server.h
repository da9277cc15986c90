// TCP: one listener on the first lane, which hands each new socket to the next lane, and every
// lane's share of the connections.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <boost/intrusive/list.hpp>

#include "common/host/address.h"
#include "phase1_sockets/connection.h"
#include "phase1_sockets/lane.h"

namespace kv::sockets {

/// What all lanes share: how many connections there are, so that there are not too many.
struct Occupancy {
  explicit Occupancy(std::size_t most) : connections_max(most) {}

  /// Refused clients that are still being told so; more are closed without a word.
  static constexpr std::size_t refused_max = 64;

  const std::size_t connections_max;
  std::atomic<std::size_t> connections{0};
  std::atomic<std::size_t> refused{0};
  std::atomic<std::uint64_t> last_id{0};
};

/// The connections of one lane. Used from its thread, but for adopt().
class TcpShare {
 public:
  TcpShare(Lane& lane, const TcpLimits& limits, Occupancy& occupancy);
  TcpShare(const TcpShare&) = delete;
  TcpShare& operator=(const TcpShare&) = delete;
  /// Every submitted request must have been answered: check().
  ~TcpShare();

  struct Accepted {
    Descriptor socket;
    host::SocketAddress peer;
    bool refused = false;
  };
  /// Any thread.
  void adopt(Accepted accepted);

  /// Answers what has arrived whole, closes, and calls `done` when no connection is left.
  void drain(std::function<void()> done);
  /// Ends every connection now, answered or not.
  void end_all();

 private:
  friend class Connection;
  struct Late {
    Connection* connection;  // it lives until all its requests are answered
    std::uint64_t number;
    Reply reply;
    Connection::Room room;
  };
  using Connections = boost::intrusive::list<
      Connection, boost::intrusive::base_hook<
                      boost::intrusive::list_base_hook<boost::intrusive::tag<TcpShare>>>>;

  void take(Accepted& accepted);
  void remove(Connection& connection);

  Lane& lane_;
  const TcpLimits limits_;
  Occupancy& occupancy_;
  Connections connections_;
  Inbox<Accepted> arrivals_;
  Inbox<Late> late_;
  bool draining_ = false;
  std::function<void()> drained_;
};

/// The listener. Used from the first lane's thread.
class TcpServer {
 public:
  /// `listening` is what listen_tcp() gave; `shares` take the sockets in turn.
  TcpServer(Lane& lane, Descriptor listening, std::vector<TcpShare*> shares, Occupancy& occupancy);
  TcpServer(const TcpServer&) = delete;
  TcpServer& operator=(const TcpServer&) = delete;

  static constexpr int accepts_per_turn = 64;
  static constexpr Duration retry_after = std::chrono::milliseconds{100};

 private:
  void accept_some();
  bool accept_one();
  void hand_on(Descriptor socket, const host::SocketAddress& peer);
  void on_exhaustion(int error);
  void refuse_one();

  Lane& lane_;
  Descriptor listening_;
  EventPointer event_;
  std::vector<TcpShare*> shares_;
  std::size_t next_share_ = 0;
  Occupancy& occupancy_;
  Descriptor spare_;  // given up when there is no other, to tell a client so
  Alarm retry_;
  bool exhausted_ = false;
};

inline constexpr std::string_view too_many_connections = "ERROR too many connections\n";

}  // namespace kv::sockets
