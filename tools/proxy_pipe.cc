#include "tools/proxy_pipe.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

#include "common/core/check.h"
#include "common/host/clock.h"

namespace kv::cluster {
namespace {

constexpr std::size_t read_bytes = 64 * 1024;
constexpr int reads_in_turn_max = 16;  // then others get theirs

/// The other end learns of it by a reset, not by an end.
void reset(host::Descriptor& socket) {
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  if (socket.open()) {
    ::setsockopt(socket.number(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    socket.close();
  }
}

bool would_wait() {
  return errno == EAGAIN || errno == EINTR;
}

}  // namespace

ProxyPipe::ProxyPipe(FaultProxy& proxy, Link link, host::Descriptor near)
    : proxy_(proxy), near_(std::move(near)) {
  there_.link = link;
  there_.from = &near_;
  there_.to = &far_;
  back_.link = {link.to, link.from};
  back_.from = &far_;
  back_.to = &near_;
}

ProxyPipe::~ProxyPipe() = default;

bool ProxyPipe::uses(Link link) const {
  return link == there_.link || link == back_.link;
}

void ProxyPipe::advance() {
  if (over_) {
    return;
  }
  if (proxy_.refused(there_.link) || proxy_.refused(back_.link)) {
    return break_off();
  }
  if (!connected_) {
    // A handshake needs both directions.
    if (!proxy_.whole(there_.link) || !proxy_.whole(back_.link)) {
      return;
    }
    connect();
  }
  for (Way* const way : {&there_, &back_}) {
    if (!over_) {
      pump(*way);
    }
  }
  if (!over_ && there_.ended && back_.ended) {
    over_ = true;
  }
}

void ProxyPipe::connect() {
  const auto target = proxy_.targets_.find(there_.link.to);
  if (target == proxy_.targets_.end()) {
    return break_off();
  }
  const host::SocketAddress& address = target->second;
  far_ =
      host::Descriptor{::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
  const int on = 1;
  ::setsockopt(far_.number(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (!far_.open() ||
      (::connect(far_.number(), address.get(), address.length) != 0 && errno != EINPROGRESS)) {
    return break_off();
  }
  connected_ = true;
  watch(there_);
  watch(back_);
}

void ProxyPipe::watch(Way& way) {
  event_base* const base = proxy_.loop_.base();
  way.readable.reset(event_new(base, way.from->number(), EV_READ, &on_event, this));
  way.writable.reset(event_new(base, way.to->number(), EV_WRITE, &on_event, this));
  way.due.reset(event_new(base, -1, EV_TIMEOUT, &on_event, this));
  check(way.readable && way.writable && way.due);
}

void ProxyPipe::on_event(evutil_socket_t, short, void* self) {
  auto* const pipe = static_cast<ProxyPipe*>(self);
  pipe->advance();
  if (pipe->over()) {
    pipe->proxy_.sweep();
  }
}

/// Moves what may move, and then waits for whatever must happen first.
void ProxyPipe::pump(Way& way) {
  if (!proxy_.whole(way.link)) {
    event_del(way.readable.get());
    event_del(way.writable.get());
    event_del(way.due.get());
    return;
  }
  for (int reads = 0; reads < reads_in_turn_max; ++reads) {
    const Instant now = host::run_now();
    if (!pass_held(way, now)) {
      return;
    }
    if (way.source_ended || way.held_bytes >= held_bytes_max) {
      return wait_until(way, now);
    }
    if (!read_some(way, now)) {
      return over_ ? void() : wait_until(way, now);
    }
  }
  wait_until(way, host::run_now());  // level-triggered: it comes again at once, if there is more
}

/// False if the way is over, or must wait for the taker.
bool ProxyPipe::pass_held(Way& way, Instant now) {
  while (!way.held.empty() && way.held.front().due <= now) {
    const ByteView rest = ByteView{way.held.front().bytes}.substr(way.sent);
    const ssize_t sent = ::send(way.to->number(), rest.data(), rest.size(), MSG_NOSIGNAL);
    if (sent < 0 && (would_wait() || errno == ENOTCONN)) {
      event_add(way.writable.get(), nullptr);
      return false;
    }
    if (sent < 0) {
      // The taker is gone, but word of that comes by the other direction: not while it is cut.
      if (proxy_.whole({way.link.to, way.link.from})) {
        break_off();
      }
      return false;
    }
    const auto bytes = static_cast<std::size_t>(sent);
    proxy_.bytes_passed_ += bytes;
    way.held_bytes -= bytes;
    way.sent += bytes;
    if (way.sent == way.held.front().bytes.size()) {
      way.held.pop_front();
      way.sent = 0;
    }
  }
  if (way.source_ended && way.held.empty() && !way.ended) {
    ::shutdown(way.to->number(), SHUT_WR);
    way.ended = true;
  }
  return !way.ended;
}

/// True if something was read: then there may be more.
bool ProxyPipe::read_some(Way& way, Instant now) {
  std::array<char, read_bytes> buffer;
  const ssize_t got = ::recv(way.from->number(), buffer.data(), buffer.size(), 0);
  if (got < 0) {
    // A connection that is still being made is not readable.
    if (!would_wait() && errno != ENOTCONN) {
      break_off();
    }
    return false;
  }
  if (got == 0) {
    way.source_ended = true;
    return true;
  }
  const Instant due = std::max(way.last_due, now + proxy_.draw_delay(way.link));
  way.last_due = due;
  hold(way, ByteView{buffer.data(), static_cast<std::size_t>(got)}, due);
  return true;
}

void ProxyPipe::hold(Way& way, ByteView bytes, Instant due) {
  way.held.push_back({Bytes{bytes}, due});
  way.held_bytes += bytes.size();
}

void ProxyPipe::wait_until(Way& way, Instant now) {
  if (!way.source_ended && way.held_bytes < held_bytes_max) {
    event_add(way.readable.get(), nullptr);
  }
  if (!way.held.empty()) {
    const Duration left = std::max(way.held.front().due - now, Duration{1});
    const timeval after{.tv_sec = left.count() / 1'000'000, .tv_usec = left.count() % 1'000'000};
    event_add(way.due.get(), &after);
  }
}

void ProxyPipe::break_off() {
  over_ = true;
  for (Way* const way : {&there_, &back_}) {
    way->readable.reset();
    way->writable.reset();
    way->due.reset();
  }
  reset(near_);
  reset(far_);
}

}  // namespace kv::cluster
