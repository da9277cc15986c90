#include "phase2_rpc/peer_link.h"

#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>

#include "common/core/check.h"
#include "common/host/clock.h"
#include "common/wire/frame.h"
#include "common/wire/logfmt.h"
#include "phase2_rpc/cluster_secret.h"
#include "phase2_rpc/peer_messages.h"

namespace kv::rpc {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

static_assert(peer_message_bytes_max + wire::frame_header_bytes <= payload_bytes_max);
static_assert(peer_message_bytes_max <= wire::frame_body_bytes_max);

PeerLink::PeerLink(asio::io_context& loop, const RpcPeerTransport::Options& options,
                   const host::Peer& peer, RpcPeerTransport::Notice notice)
    : loop_(loop),
      options_(options),
      peer_(peer),
      notice_(std::move(notice)),
      timer_(loop),
      names_(loop),
      random_(options.seed + peer.node.value),
      back_off_({.first = options.retry_first, .longest = options.retry_max}),
      socket_(loop) {}

void PeerLink::add_to(PeerCounts& counts) const {
  counts.connects += connects_;
  counts.calls += calls_;
  counts.messages_dropped += dropped_;
}

// --- the sending thread --------------------------------------------------------------------------

void PeerLink::gather(ByteView message, std::uint64_t msg) {
  if (message.size() > peer_message_bytes_max) {
    ++dropped_;
    notice_(Level::error, wire::LogFields{}
                              .add("event", "message_too_large")
                              .add("to", peer_.node.value)
                              .add("bytes", message.size())
                              .text());
    return;
  }
  if (batch_.size() + message.size() + wire::frame_header_bytes > payload_bytes_max) {
    flush();
  }
  wire::append_frame(batch_,
                     {.from = options_.self, .to = peer_.node, .msg = msg, .body = message});
  ++batch_messages_;
}

void PeerLink::flush() {
  if (batch_messages_ == 0) {
    return;
  }
  bool sent = false;
  if (ready_) {
    const std::lock_guard lock{mutex_};
    CallResult refusal;
    sent = ready_ &&
           core_->notify(host::run_now(),
                         {.method = peer_messages_method, .metadata = {}, .body = batch_}, refusal);
    if (sent) {
      write_locked();
    }
  }
  ++(sent ? calls_ : dropped_);
  dropped_ += sent ? 0 : batch_messages_ - 1;
  batch_.clear();
  batch_messages_ = 0;
}

/// As much as the socket takes now; the loop sees to the rest, and to errors.
void PeerLink::write_locked() {
  while (!waits_for_room_ && failed_.empty()) {
    if (output_begin_ == output_.size() && !refill_locked()) {
      return;
    }
    const ssize_t count = ::send(socket_.native_handle(), output_.data() + output_begin_,
                                 output_.size() - output_begin_, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count >= 0) {
      output_begin_ += static_cast<std::size_t>(count);
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      waits_for_room_ = true;
      asio::post(loop_, [this, its_life = life_] { await_writable(its_life); });
    } else if (errno != EINTR) {
      failed_ = error_code{errno, boost::system::system_category()}.message();
      asio::post(loop_, [this, its_life = life_] { end_if_failed(its_life); });
    }
  }
}

/// False if there is nothing to send.
bool PeerLink::refill_locked() {
  output_.clear();
  output_begin_ = 0;
  if (!tls_) {
    if (core_->has_output()) {
      core_->swap_output(output_);
    }
    return !output_.empty();
  }
  if (core_->has_output() && tls_->established()) {
    core_->swap_output(plain_);
    if (!tls_->seal(plain_)) {
      failed_ = tls_->why();
      asio::post(loop_, [this, its_life = life_] { end_if_failed(its_life); });
    }
    plain_.clear();
  }
  tls_->take_output(output_);
  return !output_.empty();
}

// --- connecting ----------------------------------------------------------------------------------

void PeerLink::connect() {
  if (closing_ || state_ != State::idle) {
    return;
  }
  state_ = State::connecting;
  // It may outlive the link's place among the peers: a name server is not hurried.
  names_.start(peer_.rpc, [this, self = shared_from_this(), its_life = life_](
                              const std::vector<tcp::endpoint>& addresses, const std::string& why) {
    if (its_life != life_) {
      return;
    }
    if (addresses.empty()) {
      fail(why);
    } else {
      connect_to(addresses[attempts_++ % addresses.size()]);
    }
  });
}

void PeerLink::connect_to(const tcp::endpoint& endpoint) {
  arm(host::run_now() + options_.connect_patience);
  socket_.async_connect(endpoint, [this, its_life = life_](error_code error) {
    if (its_life != life_) {
      return;
    }
    if (error) {
      fail(error.message());
    } else {
      on_connected();
    }
  });
}

void PeerLink::on_connected() {
  error_code ignored;  // a socket without these works, only slower
  socket_.set_option(tcp::no_delay{true}, ignored);
  const auto patience =
      std::chrono::duration_cast<std::chrono::milliseconds>(options_.unacknowledged_max).count();
  socket_.set_option(
      asio::detail::socket_option::integer<IPPROTO_TCP, TCP_USER_TIMEOUT>{
          static_cast<int>(patience)},
      ignored);
  ClientCore::Options core{.bytes_in_flight_max = options_.queue_bytes_max,
                           .keep_alive = options_.keep_alive,
                           .prove = {}};
  if (!options_.secret.empty()) {
    core.prove = [secret = options_.secret](ByteView nonce) { return prove_secret(secret, nonce); };
  }
  state_ = State::greeting;
  {
    const std::lock_guard lock{mutex_};
    core_.emplace(core, host::run_now());
    if (options_.tls) {
      tls_.emplace(*options_.tls, TlsSide::client);
    }
    write_locked();
  }
  read();
}

/// The connection is of no more use: another is tried after a pause.
void PeerLink::fail(const std::string& why) {
  timer_.cancel();
  names_.cancel();
  error_code ignored;  // closed is closed
  {
    const std::lock_guard lock{mutex_};
    ++life_;
    ready_ = false;
    socket_.close(ignored);
    core_.reset();
    tls_.reset();
    output_.clear();
    output_begin_ = 0;
    waits_for_room_ = greeted_ = false;
    failed_.clear();
  }
  const bool was_up = std::exchange(state_, State::idle) == State::up;
  if (closing_) {
    return;
  }
  if (was_up || !std::exchange(told_, true)) {
    notice_(Level::warn, wire::LogFields{}
                             .add("event", was_up ? "peer_lost" : "peer_unreachable")
                             .add("peer", peer_.node.value)
                             .add("at", host::to_text(peer_.rpc))
                             .add("why", why)
                             .text());
  }
  arm(host::run_now() + back_off_.next(random_));
}

void PeerLink::close() {
  closing_ = true;
  fail("closing");
}

/// False if that life is over.
bool PeerLink::end_if_failed(std::uint64_t its_life) {
  if (its_life != life_) {
    return false;
  }
  std::string why;
  {
    const std::lock_guard lock{mutex_};
    why = failed_;
  }
  if (!why.empty()) {
    fail(why);
  }
  return why.empty();
}

void PeerLink::arm(Instant due) {
  timer_.expires_at(std::chrono::steady_clock::time_point{due.time_since_epoch()});
  timer_.async_wait([this, its_life = life_](error_code cancelled) {
    if (!cancelled && its_life == life_) {
      on_timer();
    }
  });
}

void PeerLink::on_timer() {
  switch (state_) {
    case State::idle:
      connect();
      return;
    case State::connecting:
    case State::greeting:
      fail("no connection in time");
      return;
    case State::up:
      break;
  }
  Instant next = never;
  {
    const std::lock_guard lock{mutex_};
    if (core_->tick(host::run_now())) {
      write_locked();
      next = core_->wake_at();
    } else {
      failed_ = core_->why();
    }
  }
  if (end_if_failed(life_)) {
    arm(next);
  }
}

// --- what comes back -----------------------------------------------------------------------------

void PeerLink::read() {
  socket_.async_read_some(asio::buffer(input_),
                          [this, its_life = life_](error_code error, std::size_t count) {
                            if (its_life != life_) {
                              return;
                            }
                            if (error == asio::error::eof) {
                              fail("the peer closed the connection");
                            } else if (error) {
                              fail(error.message());
                            } else {
                              on_input(count);
                            }
                          });
}

void PeerLink::on_input(std::size_t count) {
  bool welcome = false;
  {
    const std::lock_guard lock{mutex_};
    hear_locked({input_.data(), count});
    write_locked();
    welcome = ready_ && state_ == State::greeting;
  }
  if (welcome) {
    state_ = State::up;
    told_ = false;
    back_off_.reset();
    ++connects_;
    notice_(Level::info, wire::LogFields{}
                             .add("event", "peer_connected")
                             .add("peer", peer_.node.value)
                             .add("at", host::to_text(peer_.rpc))
                             .text());
    arm(host::run_now() + options_.keep_alive.silence_max);
  }
  if (end_if_failed(life_)) {
    read();
  }
}

void PeerLink::hear_locked(ByteView arrived) {
  if (tls_) {
    const bool good = tls_->feed(arrived, plain_);
    if (!good) {
      failed_ = tls_->why();
      plain_.clear();
      return;
    }
    arrived = plain_;
  }
  if (!core_->feed(host::run_now(), arrived)) {
    failed_ = core_->why();
  } else if (core_->server_is_leaving()) {
    failed_ = "the peer is stopping";
  } else if (core_->greeted() && !std::exchange(greeted_, true)) {
    say_hello_locked();
  }
  plain_.clear();
}

/// After the peer's own hello, so that the proof of the secret is on its way before.
void PeerLink::say_hello_locked() {
  const Bytes hello = wire::encode(PeerHello{.cluster = options_.cluster,
                                             .from = options_.self,
                                             .to = peer_.node,
                                             .founders = options_.founders,
                                             .choices = options_.choices});
  const Instant now = host::run_now();
  CallResult refusal;
  const auto on_welcome = [this](CallResult&& result) {  // in feed(), so under the lock
    ready_ = result.code == Code::ok;
    if (!ready_) {
      failed_ = result.why;
    }
  };
  if (!core_->start(now,
                    {.method = peer_hello.id,
                     .metadata = {},
                     .body = hello,
                     .deadline = now + options_.connect_patience,
                     .idempotent = true},
                    on_welcome, refusal)) {
    failed_ = refusal.why;
  }
}

void PeerLink::await_writable(std::uint64_t its_life) {
  if (its_life != life_) {
    return;
  }
  socket_.async_wait(tcp::socket::wait_write, [this, its_life](error_code error) {
    if (its_life != life_) {
      return;
    }
    if (error) {
      fail(error.message());
      return;
    }
    const std::lock_guard lock{mutex_};
    waits_for_room_ = false;
    write_locked();
  });
}

}  // namespace kv::rpc
