#include "phase1_sockets/udp_transport.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "common/core/check.h"
#include "common/host/clock.h"
#include "common/wire/line.h"
#include "common/wire/logfmt.h"

namespace kv::sockets {

using client::CallResult;
using client::not_sent;
using client::Outcome;

namespace {

constexpr Duration interval_min = std::chrono::milliseconds{1};
constexpr std::size_t datagram_room = 65'536;  // more than any has: none is cut
constexpr int stale_datagrams_max = 1000;

}  // namespace

/// The sending side of one operation.
struct UdpTransport::Attempts {
  std::string op;
  Instant next{};  // when to send again
  Duration interval{};
  int sent = 0;  // datagrams that left
  int refused = 0;
  std::size_t addresses_failed = 0;
  std::string failure;  // why the last one did not leave
};

UdpTransport::UdpTransport(std::vector<host::SocketAddress> addresses, std::string server,
                           client::EventSink& events)
    : addresses_(std::move(addresses)),
      server_(std::move(server)),
      events_(events),
      filter_(events),
      datagram_(datagram_room, '\0') {
  check(!addresses_.empty());
}

CallResult UdpTransport::call(const Command& command, Duration timeout) {
  CallResult result = exchange(command, timeout);
  filter_.settle();
  if (result.outcome == Outcome::timed_out && !heard_) {
    next_address();
  }
  return result;
}

CallResult UdpTransport::exchange(const Command& command, Duration timeout) {
  const Instant begin = host::run_now();
  const Instant deadline = begin + timeout;
  if (!wire::fits_line(command)) {
    return not_sent("the line protocol cannot carry this key or value");
  }
  request_.clear();
  wire::append_line_request(request_, command);
  if (request_.size() > wire::datagram_bytes_max) {
    return not_sent("it is longer than a datagram: ask over TCP");
  }
  receive_stale();
  filter_.expect(command);
  Attempts attempts;
  wire::append_origin(attempts.op, command.origin);
  attempts.next = begin;
  attempts.interval = std::clamp(timeout / 15, interval_min, resend_interval_max_at_first);
  for (;;) {
    send_if_due(attempts);
    if (wait_until(socket_, POLLIN, std::min(attempts.next, deadline))) {
      if (auto reply = receive(attempts)) {
        heard_ = true;
        return {.outcome = Outcome::answered, .reply = *std::move(reply), .why = {}};
      }
    }
    if (host::run_now() >= deadline) {
      return give_up(attempts);
    }
  }
}

CallResult UdpTransport::give_up(const Attempts& attempts) const {
  if (attempts.sent == 0) {
    return not_sent("no datagram left for " + server_ + ": " + attempts.failure);
  }
  std::string why = "no answer in time to " + std::to_string(attempts.sent) + " datagrams";
  if (attempts.refused > 0) {
    why += ", " + std::to_string(attempts.refused) + " refused";
  }
  return {.outcome = Outcome::timed_out, .reply = {}, .why = std::move(why)};
}

// --- sending -------------------------------------------------------------------------------------

void UdpTransport::send_if_due(Attempts& attempts) {
  const Instant now = host::run_now();
  if (now < attempts.next) {
    return;
  }
  attempts.next = now + attempts.interval;
  attempts.interval *= 2;
  if (const int error = send_once(); error != 0) {
    attempts.failure = reason_of(error);
    events_.event(Level::warn, wire::LogFields{}
                                   .add("event", "send_failed")
                                   .add("op", attempts.op)
                                   .add("to", to_text(addresses_[address_]))
                                   .add("why", attempts.failure)
                                   .text());
    try_next_address(attempts);
    return;
  }
  ++attempts.sent;
  if (attempts.sent > 1) {
    events_.event(Level::info, wire::LogFields{}
                                   .add("event", "resend")
                                   .add("op", attempts.op)
                                   .add("to", peer_)
                                   .add("datagram", attempts.sent)
                                   .text());
  }
}

/// 0, or the error number.
int UdpTransport::send_once() {
  if (!socket_.open()) {
    int error = 0;
    socket_ = begin_connect(addresses_[address_], SOCK_DGRAM, error);
    if (!socket_.open()) {
      return error;
    }
    peer_ = to_text(addresses_[address_]);
  }
  ssize_t count = send(socket_.number(), request_.data(), request_.size(), MSG_NOSIGNAL);
  if (count < 0 && errno == ECONNREFUSED) {  // that is the fate of an earlier datagram
    count = send(socket_.number(), request_.data(), request_.size(), MSG_NOSIGNAL);
  }
  return count < 0 ? errno : 0;
}

void UdpTransport::on_refused(Attempts& attempts) {
  ++attempts.refused;
  events_.event(Level::warn, wire::LogFields{}
                                 .add("event", "refused")
                                 .add("op", attempts.op)
                                 .add("from", peer_)
                                 .add("why", "nobody listens there")
                                 .text());
  try_next_address(attempts);
}

/// Whoever listens at the next address has not seen this operation: nobody listened at this one.
void UdpTransport::try_next_address(Attempts& attempts) {
  ++attempts.addresses_failed;
  if (heard_ || attempts.addresses_failed >= addresses_.size()) {
    return;
  }
  next_address();
  attempts.next = host::run_now();
}

void UdpTransport::next_address() {
  if (addresses_.size() > 1) {
    address_ = (address_ + 1) % addresses_.size();
    socket_.close();
  }
}

// --- what comes in -------------------------------------------------------------------------------

/// The awaited answer, if the datagram that has come is it.
std::optional<Reply> UdpTransport::receive(Attempts& attempts) {
  const ssize_t count = recv(socket_.number(), datagram_.data(), datagram_.size(), 0);
  if (count >= 0) {
    return take_datagram(static_cast<std::size_t>(count));
  }
  if (errno == ECONNREFUSED) {
    on_refused(attempts);
  } else if (errno != EAGAIN && errno != EINTR) {
    attempts.failure = reason_of(errno);
    socket_.close();  // the next attempt opens another
  }
  return std::nullopt;
}

/// What came since the last operation can only be late, repeated or not for us.
void UdpTransport::receive_stale() {
  for (int i = 0; socket_.open() && i < stale_datagrams_max; ++i) {
    const ssize_t count = recv(socket_.number(), datagram_.data(), datagram_.size(), 0);
    if (count >= 0) {
      take_datagram(static_cast<std::size_t>(count));
    } else if (errno != ECONNREFUSED) {  // which was for an operation that is over
      return;
    }
  }
}

std::optional<Reply> UdpTransport::take_datagram(std::size_t length) {
  ByteView line = ByteView{datagram_}.substr(0, length);
  if (line.ends_with('\n')) {
    line.remove_suffix(1);
  }
  if (line.ends_with('\r')) {
    line.remove_suffix(1);
  }
  return filter_.take(line, peer_);
}

}  // namespace kv::sockets
