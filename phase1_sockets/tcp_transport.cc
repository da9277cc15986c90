#include "phase1_sockets/tcp_transport.h"

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

constexpr std::size_t receive_bytes = std::size_t{64} * 1024;

}  // namespace

TcpTransport::TcpTransport(std::vector<host::SocketAddress> addresses, std::string server,
                           client::EventSink& events)
    : addresses_(std::move(addresses)),
      server_(std::move(server)),
      events_(events),
      filter_(events),
      chunk_(receive_bytes, '\0') {
  check(!addresses_.empty());
}

CallResult TcpTransport::call(const Command& command, Duration timeout) {
  const Instant deadline = host::run_now() + timeout;
  heard_ = false;
  CallResult result = exchange(command, deadline);
  filter_.settle();
  return result;
}

CallResult TcpTransport::exchange(const Command& command, Instant deadline) {
  if (!wire::fits_line(command)) {
    return not_sent("the line protocol cannot carry this key or value");
  }
  if (socket_.open()) {  // answers that came late, or the end of the connection
    const std::string why = receive();
    take_answer();
    if (!why.empty()) {
      disconnect(why);
    }
  }
  if (!socket_.open()) {
    std::string why = connect(deadline);
    if (!why.empty()) {
      return not_sent(std::move(why));
    }
  }
  filter_.expect(command);
  request_.clear();
  wire::append_line_request(request_, command);
  if (auto failure = send_request(deadline)) {
    return *std::move(failure);
  }
  return await_answer(deadline);
}

// --- connecting ----------------------------------------------------------------------------------

/// Empty once connected; else why not.
std::string TcpTransport::connect(Instant deadline) {
  std::string why;
  for (std::size_t i = 0; i < addresses_.size(); ++i) {
    const Instant now = host::run_now();
    const auto left = static_cast<Duration::rep>(addresses_.size() - i);
    why = connect_to(addresses_[i], now + (deadline - now) / left);
    const std::string to = to_text(addresses_[i]);
    if (why.empty()) {
      peer_ = to;
      events_.event(Level::info, wire::LogFields{}
                                     .add("event", "connected")
                                     .add("to", to)
                                     .add("local", to_text(host::address_of(socket_.number())))
                                     .text());
      return {};
    }
    events_.event(
        Level::warn,
        wire::LogFields{}.add("event", "connect_failed").add("to", to).add("why", why).text());
  }
  return "no connection to " + server_ + ": " + why;
}

std::string TcpTransport::connect_to(const host::SocketAddress& address, Instant deadline) {
  int failed_at_once = 0;
  Descriptor socket = begin_connect(address, SOCK_STREAM, failed_at_once);
  if (!socket.open()) {
    return reason_of(failed_at_once);
  }
  if (!wait_until(socket, POLLOUT, deadline)) {
    return "it does not answer in time";
  }
  if (const int error = connection_error(socket, address); error != 0) {
    return reason_of(error);
  }
  socket_ = std::move(socket);
  incoming_.clear();
  silent_calls_ = 0;
  return {};
}

void TcpTransport::disconnect(std::string_view why) {
  socket_.close();
  events_.event(
      Level::warn,
      wire::LogFields{}.add("event", "disconnected").add("from", peer_).add("why", why).text());
}

// --- one operation -------------------------------------------------------------------------------

/// Nothing once the whole request is on its way.
std::optional<CallResult> TcpTransport::send_request(Instant deadline) {
  std::size_t sent = 0;
  while (sent < request_.size()) {
    const ssize_t count =
        send(socket_.number(), request_.data() + sent, request_.size() - sent, MSG_NOSIGNAL);
    if (count >= 0) {
      sent += static_cast<std::size_t>(count);
    } else if (errno != EAGAIN && errno != EINTR) {
      return sending_failed(sent == 0 ? Outcome::not_sent : Outcome::lost, reason_of(errno));
    } else if (!wait_until(socket_, POLLOUT, deadline)) {
      return sending_failed(sent == 0 ? Outcome::not_sent : Outcome::timed_out,
                            "the server does not read");
    }
  }
  return std::nullopt;
}

/// Half a request may stand on the connection: nothing can follow it. The server may have said why
/// it read no further, to this request or to none.
CallResult TcpTransport::sending_failed(Outcome outcome, const std::string& why) {
  receive();
  auto reply = take_answer();
  disconnect(why);
  if (reply) {
    return {.outcome = Outcome::answered, .reply = *std::move(reply), .why = {}};
  }
  return {.outcome = outcome, .reply = {}, .why = with_complaint(why)};
}

CallResult TcpTransport::await_answer(Instant deadline) {
  for (;;) {
    const bool in_time = wait_until(socket_, POLLIN, deadline);
    std::string why = in_time ? receive() : "";
    if (auto reply = take_answer()) {
      silent_calls_ = 0;
      if (!why.empty()) {
        disconnect(why);
      }
      return {.outcome = Outcome::answered, .reply = *std::move(reply), .why = {}};
    }
    if (why.empty() && incoming_.size() > answer_bytes_max) {
      why = "it sends no line ends";
    }
    if (!why.empty()) {
      disconnect(why);
      return {.outcome = Outcome::lost,
              .reply = {},
              .why = with_complaint("the connection was lost, " + why)};
    }
    if (!in_time || host::run_now() >= deadline) {
      return give_up();
    }
  }
}

CallResult TcpTransport::give_up() {
  silent_calls_ = heard_ ? 0 : silent_calls_ + 1;
  if (silent_calls_ >= silent_calls_max) {
    disconnect("nothing came for several operations");
  }
  return {.outcome = Outcome::timed_out, .reply = {}, .why = "no answer in time"};
}

// --- what comes in -------------------------------------------------------------------------------

/// Takes what has arrived, without waiting: one read. Says why if the connection is over.
std::string TcpTransport::receive() {
  const ssize_t count = recv(socket_.number(), chunk_.data(), chunk_.size(), 0);
  if (count == 0) {
    return "the server closed it";
  }
  if (count < 0) {
    return errno == EAGAIN || errno == EINTR ? std::string{} : reason_of(errno);
  }
  heard_ = true;
  incoming_.append(chunk_, 0, static_cast<std::size_t>(count));
  return {};
}

/// The awaited answer, if it is among the lines that have come.
std::optional<Reply> TcpTransport::take_answer() {
  std::optional<Reply> reply;
  std::size_t begin = 0;
  for (;;) {
    const std::size_t end = incoming_.find('\n', begin);
    if (end == Bytes::npos) {
      break;
    }
    ByteView line = ByteView{incoming_}.substr(begin, end - begin);
    if (line.ends_with('\r')) {
      line.remove_suffix(1);
    }
    if (auto taken = filter_.take(line, peer_)) {
      reply = std::move(taken);
    }
    begin = end + 1;
  }
  incoming_.erase(0, begin);
  return reply;
}

std::string TcpTransport::with_complaint(const std::string& why) const {
  return filter_.complaint().empty() ? why : why + "; it had said: " + filter_.complaint();
}

}  // namespace kv::sockets
