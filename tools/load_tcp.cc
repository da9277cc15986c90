#include "tools/load_tcp.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace kv::load {
namespace {

constexpr std::size_t receive_bytes = 64 * 1024;
constexpr std::size_t fill_batch_bytes = 64 * 1024;
constexpr std::size_t fill_depth_max = 64;
constexpr Nanoseconds reconnect_pause = std::chrono::milliseconds{100};

// Edge-triggered: the kernel need not look at a socket again that was just drained. A socket's
// space for output is reported only after a send that found none.
constexpr std::uint32_t events_wanted = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
constexpr std::uint32_t events_of_end = EPOLLRDHUP | EPOLLHUP | EPOLLERR;

}  // namespace

TcpLoad::TcpLoad(const Plan& plan, Descriptor epoll, std::vector<host::SocketAddress> addresses)
    : Driver(plan, std::move(epoll)),
      addresses_(std::move(addresses)),
      clients_(plan.clients),
      buffer_(receive_bytes, '\0') {}

bool TcpLoad::connect_all(std::string& why) {
  for (ClientIndex index = 0; index < clients_.size(); ++index) {
    Client& client = clients_[index];
    client.state = workload().client(index);
    client.socket = connect_socket(address_of(index), Transport::tcp, Waiting::yes, why);
    if (!client.socket.open()) {
      return false;
    }
    if (!watch(client.socket.number(), index, events_wanted)) {
      why = errno_text("cannot watch a socket");
      return false;
    }
    client.link = Link::up;
    idle(index);
  }
  return true;
}

const host::SocketAddress& TcpLoad::address_of(ClientIndex index) const {
  return addresses_[index % addresses_.size()];
}

std::uint32_t TcpLoad::fill_depth() const {
  const std::size_t fitting = fill_batch_bytes / (plan().mix.value_bytes + Workload::key_bytes);
  return static_cast<std::uint32_t>(std::clamp<std::size_t>(fitting, 1, fill_depth_max));
}

void TcpLoad::start(ClientIndex index, const Batch& batch, const Pacer::Leave& leave, Moment) {
  Client& client = clients_[index];
  client.playing = true;
  client.batch = batch;
  client.leave = leave;
  client.leave.count = batch.count;
  client.unsent = batch.requests();
  client.awaited = batch.answers();
  send_rest(index);
}

void TcpLoad::send_rest(ClientIndex index) {
  Client& client = clients_[index];
  while (!client.unsent.empty()) {
    const ssize_t sent =
        send(client.socket.number(), client.unsent.data(), client.unsent.size(), MSG_NOSIGNAL);
    if (sent < 0) {
      // A connection's end is seen, and dealt with, when it is read: then all answers that did
      // come have been counted.
      return;
    }
    client.unsent.remove_prefix(static_cast<std::size_t>(sent));
  }
}

void TcpLoad::on_ready(ClientIndex index, std::uint32_t events) {
  Client& client = clients_[index];
  if (client.link == Link::connecting) {
    on_connected(index);
    return;
  }
  if (!client.unsent.empty() && (events & EPOLLOUT) != 0) {
    send_rest(index);
  }
  if ((events & (EPOLLIN | events_of_end)) != 0) {
    receive(index, events);
  }
}

void TcpLoad::receive(ClientIndex index, std::uint32_t events) {
  Client& client = clients_[index];
  while (client.link == Link::up) {
    const ssize_t got = recv(client.socket.number(), buffer_.data(), buffer_.size(), 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
      return;
    }
    if (got <= 0) {
      lose(index, got == 0 ? "the server closed a connection" : errno_text("a connection ended"));
      return;
    }
    const auto bytes = static_cast<std::size_t>(got);
    accept(index, ByteView{buffer_}.substr(0, bytes));
    if (bytes < buffer_.size() && (events & events_of_end) == 0) {
      return;  // drained; what comes from now on makes a new event
    }
  }
}

void TcpLoad::accept(ClientIndex index, ByteView bytes) {
  Client& client = clients_[index];
  if (!client.playing) {
    ++outcome().unsolicited;
    lose(index, "the server answered what nobody asked");
    return;
  }
  if (!client.received.empty()) {
    examine(index, bytes);
    return;
  }
  const bool right = bytes.size() <= client.awaited.size() &&
                     std::memcmp(bytes.data(), client.awaited.data(), bytes.size()) == 0;
  if (!right) {
    const ByteView all = client.batch.answers();
    client.received.assign(all.substr(0, all.size() - client.awaited.size()));
    examine(index, bytes);
    return;
  }
  client.awaited.remove_prefix(bytes.size());
  if (client.awaited.empty()) {
    outcome().ops += client.batch.count;
    complete(index);
  }
}

/// Something is wrong in this batch: tells its answers apart, one by one.
void TcpLoad::examine(ClientIndex index, ByteView bytes) {
  Client& client = clients_[index];
  client.received += bytes;
  while (client.examined_answers < client.batch.count) {
    const ByteView rest = ByteView{client.received}.substr(client.examined_bytes);
    const ByteView wanted = client.batch.answer(client.examined_answers);
    const std::size_t length = answer_bytes(plan().mix.dialect, rest, wanted);
    if (length == answer_unfinished) {
      return;
    }
    if (length == answer_malformed) {
      outcome().count_wrong_answer(plan().mix.dialect, rest, wanted);
      ++client.examined_answers;
      lose(index, "an answer has no recognizable end");
      return;
    }
    const ByteView got = rest.substr(0, length);
    got == wanted ? void(++outcome().ops)
                  : outcome().count_wrong_answer(plan().mix.dialect, got, wanted);
    client.examined_bytes += length;
    ++client.examined_answers;
  }
  const bool surplus = client.examined_bytes < client.received.size();
  const Moment now = settle(client);
  if (!surplus) {
    finished(index, now);
    return;
  }
  ++outcome().unsolicited;
  ended();
  lose(index, "the server answered what nobody asked");
}

void TcpLoad::complete(ClientIndex index) {
  const Moment now = settle(clients_[index]);
  finished(index, now);
}

/// The batch is answered: takes its latencies, and clears the way for the next.
Moment TcpLoad::settle(Client& client) {
  const Moment now = Clock::now();
  record_all(client.leave, now);
  forget_batch(client);
  return now;
}

void TcpLoad::forget_batch(Client& client) {
  client.playing = false;
  client.unsent = {};
  client.received.clear();
  client.examined_bytes = 0;
  client.examined_answers = 0;
}

void TcpLoad::lose(ClientIndex index, const std::string& why) {
  Client& client = clients_[index];
  if (client.playing) {
    give_up_batch(client, why);
    ended();
  }
  client.socket = Descriptor{};
  client.link = Link::down;
  client.reconnect_at = Clock::now() + reconnect_pause;
}

void TcpLoad::give_up_batch(Client& client, const std::string& why) {
  std::size_t answered = client.examined_answers;
  if (client.received.empty()) {  // all that came was right; some of it may be whole answers
    const std::size_t matched = client.batch.answers().size() - client.awaited.size();
    for (std::size_t bytes = 0; answered < client.batch.count; ++answered) {
      bytes += client.batch.answer(answered).size();
      if (bytes > matched) {
        break;
      }
      ++outcome().ops;
    }
  }
  const std::size_t missing = client.batch.count - answered;
  outcome().unanswered += missing;
  outcome().count_error(missing, why);
  forget_batch(client);
}

void TcpLoad::on_tick(Moment now) {
  for (ClientIndex index = 0; index < clients_.size(); ++index) {
    if (clients_[index].link == Link::down && now >= clients_[index].reconnect_at) {
      reconnect(index, now);
    }
  }
}

void TcpLoad::reconnect(ClientIndex index, Moment now) {
  Client& client = clients_[index];
  std::string why;
  client.socket = connect_socket(address_of(index), Transport::tcp, Waiting::no, why);
  client.reconnect_at = now + reconnect_pause;
  if (client.socket.open() && watch(client.socket.number(), index, events_wanted)) {
    client.link = Link::connecting;
  }
}

void TcpLoad::on_connected(ClientIndex index) {
  Client& client = clients_[index];
  if (error_of(client.socket.number()) != 0) {
    client.socket = Descriptor{};
    client.link = Link::down;
    return;
  }
  ++outcome().reconnects;
  client.link = Link::up;
  idle(index);
}

void TcpLoad::abandon() {
  for (ClientIndex index = 0; index < clients_.size(); ++index) {
    if (clients_[index].playing) {
      lose(index, "no answer came");
    }
  }
}

}  // namespace kv::load
