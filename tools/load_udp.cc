#include "tools/load_udp.h"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace kv::load {
namespace {

constexpr std::size_t messages_max = 64;
constexpr std::size_t nowhere = static_cast<std::size_t>(-1);

}  // namespace

UdpLoad::UdpLoad(const Plan& plan, Descriptor epoll, std::vector<host::SocketAddress> addresses)
    : Driver(plan, std::move(epoll)),
      marked_(plan.mix.with_ids || plan.mix.dialect == Dialect::memcache),
      addresses_(std::move(addresses)),
      clients_(plan.clients),
      buffers_(std::min<std::size_t>(plan.depth, messages_max), Bytes(datagram_bytes_max, '\0')),
      pieces_(messages_max),
      messages_(messages_max) {}

bool UdpLoad::connect_all(std::string& why) {
  for (ClientIndex index = 0; index < clients_.size(); ++index) {
    clients_[index].state = workload().client(index);
    if (!open_socket(index, why)) {
      return false;
    }
    idle(index);
  }
  return true;
}

bool UdpLoad::open_socket(ClientIndex index, std::string& why) {
  const host::SocketAddress& address = addresses_[index % addresses_.size()];
  Descriptor socket = connect_socket(address, Transport::udp, Waiting::no, why);
  if (!socket.open()) {
    return false;
  }
  if (!watch(socket.number(), index, EPOLLIN | EPOLLET)) {
    why = errno_text("cannot watch a socket");
    return false;
  }
  clients_[index].socket = std::move(socket);
  return true;
}

void UdpLoad::start(ClientIndex index, const Batch& batch, const Pacer::Leave& leave, Moment now) {
  Client& client = clients_[index];
  client.batch = batch;
  client.leave = leave;
  client.answered.assign(batch.count, false);
  client.open = batch.count;
  client.retransmit_at = now + plan().retransmit_after;
  client.give_up_at = now + plan().patience;
  send_open(client);
}

/// Sends what is not answered. What cannot be sent now is as good as lost on the way.
void UdpLoad::send_open(Client& client) {
  if (client.batch.count == 1) {
    const ByteView request = client.batch.request(0);
    static_cast<void>(send(client.socket.number(), request.data(), request.size(), 0));
    return;
  }
  unsigned count = 0;
  for (std::size_t i = 0; i < client.batch.count; ++i) {
    if (!client.answered[i]) {
      const ByteView request = client.batch.request(i);
      pieces_[count] = {const_cast<char*>(request.data()), request.size()};
      messages_[count] = {};
      messages_[count].msg_hdr.msg_iov = &pieces_[count];
      messages_[count].msg_hdr.msg_iovlen = 1;
      ++count;
    }
    if (count == messages_max || i + 1 == client.batch.count) {
      static_cast<void>(sendmmsg(client.socket.number(), messages_.data(), count, 0));
      count = 0;
    }
  }
}

void UdpLoad::on_ready(ClientIndex index, std::uint32_t) {
  // Edge-triggered: what is left unread is not reported again. So it is read on until nothing is
  // left or a batch is answered; then only late repetitions can be left, for the next event.
  for (bool answered = false; !answered;) {
    const std::size_t count = receive(clients_[index]);
    if (count == 0) {
      return;
    }
    const Moment now = Clock::now();
    for (std::size_t i = 0; i < count; ++i) {
      answered |= accept(index, ByteView{buffers_[i]}.substr(0, lengths_[i]), now);
    }
  }
}

/// How many datagrams came; they are in buffers_, their lengths in lengths_.
std::size_t UdpLoad::receive(Client& client) {
  lengths_.clear();
  if (buffers_.size() == 1) {
    const ssize_t got = recv(client.socket.number(), buffers_[0].data(), buffers_[0].size(), 0);
    if (got >= 0) {  // an error (nobody listens there) is a lost datagram
      lengths_.push_back(static_cast<unsigned>(got));
    }
    return lengths_.size();
  }
  for (std::size_t i = 0; i < buffers_.size(); ++i) {
    pieces_[i] = {buffers_[i].data(), buffers_[i].size()};
    messages_[i] = {};
    messages_[i].msg_hdr.msg_iov = &pieces_[i];
    messages_[i].msg_hdr.msg_iovlen = 1;
  }
  const int count = recvmmsg(client.socket.number(), messages_.data(),
                             static_cast<unsigned>(buffers_.size()), 0, nullptr);
  for (int i = 0; i < count; ++i) {  // accept() may send, and so reuse messages_
    lengths_.push_back(messages_[static_cast<std::size_t>(i)].msg_len);
  }
  return lengths_.size();
}

/// True if that was the batch's last open request.
bool UdpLoad::accept(ClientIndex index, ByteView datagram, Moment now) {
  Client& client = clients_[index];
  const std::size_t request = request_of(client, datagram);
  if (request == nowhere) {
    ++outcome().unsolicited;
    return false;
  }
  const ByteView wanted = client.batch.answer(request);
  datagram == wanted ? void(++outcome().ops)
                     : outcome().count_wrong_answer(plan().mix.dialect, datagram, wanted);
  record(client.leave, request, now);
  client.answered[request] = true;
  if (--client.open > 0) {
    return false;
  }
  finished(index, now);
  return true;
}

/// Which of the client's open requests `datagram` answers, rightly or wrongly.
std::size_t UdpLoad::request_of(const Client& client, ByteView datagram) const {
  std::size_t first_open = nowhere;
  for (std::size_t i = 0; i < client.batch.count && client.open > 0; ++i) {
    if (client.answered[i]) {
      continue;
    }
    const ByteView wanted = client.batch.answer(i);
    if (marked_ ? datagram.starts_with(wanted.substr(0, mark_bytes(wanted))) : datagram == wanted) {
      return i;
    }
    first_open = std::min(first_open, i);
  }
  return marked_ ? nowhere : first_open;
}

std::size_t UdpLoad::mark_bytes(ByteView answer) const {
  constexpr std::size_t memcache_number_bytes = 2;
  return plan().mix.dialect == Dialect::memcache ? memcache_number_bytes : answer.find(' ') + 1;
}

void UdpLoad::on_tick(Moment now) {
  for (ClientIndex index = 0; index < clients_.size(); ++index) {
    if (clients_[index].open > 0 && now >= clients_[index].retransmit_at) {
      retransmit(index, now);
    }
  }
}

void UdpLoad::retransmit(ClientIndex index, Moment now) {
  Client& client = clients_[index];
  if (now >= client.give_up_at) {
    give_up(index, "no answer came");
    finished(index, now);
    return;
  }
  std::string why;
  if (!marked_ && !open_socket(index, why)) {
    give_up(index, why);
    finished(index, now);
    return;
  }
  outcome().retransmissions += client.open;
  client.retransmit_at = now + plan().retransmit_after;
  send_open(client);
}

void UdpLoad::give_up(ClientIndex index, const std::string& why) {
  Client& client = clients_[index];
  outcome().unanswered += client.open;
  outcome().count_error(client.open, why);
  client.open = 0;
}

void UdpLoad::abandon() {
  for (ClientIndex index = 0; index < clients_.size(); ++index) {
    if (clients_[index].open > 0) {
      give_up(index, "no answer came");
      ended();
      idle(index);
    }
  }
}

}  // namespace kv::load
