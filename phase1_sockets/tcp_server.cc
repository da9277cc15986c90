#include "phase1_sockets/tcp_server.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "common/core/check.h"
#include "common/wire/logfmt.h"

namespace kv::sockets {

// --- one lane's connections ----------------------------------------------------------------------

TcpShare::TcpShare(Lane& lane, const TcpLimits& limits, Occupancy& occupancy)
    : lane_(lane),
      limits_(limits),
      occupancy_(occupancy),
      arrivals_(*lane.loop, [this](Accepted& accepted) { take(accepted); }),
      late_(*lane.loop,
            [](Late& late) { late.connection->deliver(late.number, late.reply, late.room); }) {}

TcpShare::~TcpShare() {
  drained_ = nullptr;
  end_all();
  late_.deliver();
  connections_.clear_and_dispose([](Connection* last) {
    check(last->unanswered() == 0);
    delete last;
  });
}

void TcpShare::adopt(Accepted accepted) {
  if (lane_.loop->is_here()) {
    take(accepted);
  } else {
    arrivals_.put(std::move(accepted));
  }
}

void TcpShare::take(Accepted& accepted) {
  if (draining_) {
    --(accepted.refused ? occupancy_.refused : occupancy_.connections);
    return;
  }
  auto* const connection =
      new Connection{*this, std::move(accepted.socket), host::to_text(accepted.peer),
                     occupancy_.last_id.fetch_add(1, std::memory_order_relaxed) + 1};
  connections_.push_back(*connection);
  if (accepted.refused) {
    return connection->refuse(too_many_connections);
  }
  lane_.counters.connections.add();
  lane_.counters.connections_total.add();
  connection->open();
}

void TcpShare::remove(Connection& connection) {
  if (connection.refused()) {
    --occupancy_.refused;
  } else {
    --occupancy_.connections;
    lane_.counters.connections.subtract(1);
  }
  connections_.erase_and_dispose(connections_.iterator_to(connection),
                                 [](Connection* gone) { delete gone; });
  if (connections_.empty() && drained_) {
    std::exchange(drained_, nullptr)();
  }
}

void TcpShare::drain(std::function<void()> done) {
  draining_ = true;
  for (auto next = connections_.begin(); next != connections_.end();) {
    (next++)->drain();
  }
  if (connections_.empty()) {
    return done();
  }
  drained_ = std::move(done);
}

void TcpShare::end_all() {
  for (auto next = connections_.begin(); next != connections_.end();) {
    (next++)->abandon();
  }
}

// --- the listener --------------------------------------------------------------------------------

namespace {

Descriptor open_spare() {
  return Descriptor{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
}

}  // namespace

TcpServer::TcpServer(Lane& lane, Descriptor listening, std::vector<TcpShare*> shares,
                     Occupancy& occupancy)
    : lane_(lane),
      listening_(std::move(listening)),
      shares_(std::move(shares)),
      occupancy_(occupancy),
      spare_(open_spare()),
      retry_(*lane.loop, [this] { event_add(event_.get(), nullptr); }) {
  const auto on_ready = [](evutil_socket_t, short, void* self) {
    static_cast<TcpServer*>(self)->accept_some();
  };
  event_.reset(
      event_new(lane.loop->base(), listening_.number(), EV_READ | EV_PERSIST, on_ready, this));
  check(event_ != nullptr && event_add(event_.get(), nullptr) == 0);
}

void TcpServer::accept_some() {
  for (int i = 0; i < accepts_per_turn && accept_one(); ++i) {
  }
}

/// False when there is no more to accept now.
bool TcpServer::accept_one() {
  host::SocketAddress peer;
  peer.length = sizeof peer.storage;
  Descriptor socket{::accept4(listening_.number(), reinterpret_cast<sockaddr*>(&peer.storage),
                              &peer.length, SOCK_NONBLOCK | SOCK_CLOEXEC)};
  if (socket.open()) {
    exhausted_ = false;
    hand_on(std::move(socket), peer);
    return true;
  }
  switch (errno) {
    case EAGAIN:
      return false;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
      on_exhaustion(errno);
      return false;
    default:
      return true;  // this client went away before we came
  }
}

void TcpServer::hand_on(Descriptor socket, const host::SocketAddress& peer) {
  bool refused = false;
  if (occupancy_.connections >= occupancy_.connections_max) {
    refused = true;
    lane_.counters.connections_refused.add();
    wire::LogFields line;
    line.add("event", "refused").add("from", host::to_text(peer));
    line.add("connections", occupancy_.connections_max);
    lane_.log.write(Level::warn, line.text());
    if (occupancy_.refused >= Occupancy::refused_max) {
      return;
    }
    ++occupancy_.refused;
  } else {
    ++occupancy_.connections;
  }
  TcpShare& share = *shares_[next_share_];
  next_share_ = (next_share_ + 1) % shares_.size();
  share.adopt({.socket = std::move(socket), .peer = peer, .refused = refused});
}

/// The listener would stay ready for ever and we could do nothing about it: so it rests a while.
/// One client is told why it cannot be served, with the descriptor that was kept for that.
void TcpServer::on_exhaustion(int error) {
  if (!exhausted_) {
    exhausted_ = true;
    wire::LogFields line;
    line.add("event", "descriptors_exhausted").add("why", std::strerror(error));
    lane_.log.write(Level::error, line.text());
  }
  spare_.close();
  refuse_one();
  spare_ = open_spare();
  event_del(event_.get());
  retry_.arm(retry_after);
}

void TcpServer::refuse_one() {
  const Descriptor socket{::accept4(listening_.number(), nullptr, nullptr, SOCK_NONBLOCK)};
  if (socket.open()) {
    lane_.counters.connections_refused.add();
    // Best effort: whether it arrives or not, the client is told to go.
    [[maybe_unused]] const auto sent = ::send(socket.number(), too_many_connections.data(),
                                              too_many_connections.size(), MSG_NOSIGNAL);
    ::shutdown(socket.number(), SHUT_WR);
  }
}

}  // namespace kv::sockets
