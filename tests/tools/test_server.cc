#include "tests/tools/test_server.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>

#include "common/core/check.h"
#include "tools/load_dialect.h"

namespace kv::load {
namespace {

constexpr std::size_t memcache_header_bytes = 8;
constexpr std::size_t incomplete = 0;

bool is_turn(std::uint64_t request, std::uint64_t every) {
  return every > 0 && request % every == 0;
}

std::vector<std::string_view> words_of(std::string_view text) {
  std::vector<std::string_view> words;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find_first_of(" \r\n"), text.size());
    if (end > 0) {
      words.push_back(text.substr(0, end));
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return words;
}

/// Verb, key and value wherever the dialect has them; no value of the tests has a blank in it.
std::vector<std::string_view> parts_of(Dialect dialect, ByteView request) {
  std::vector<std::string_view> words = words_of(request);
  if (dialect == Dialect::line && words[0][0] == '@') {
    words.erase(words.begin());
  } else if (dialect == Dialect::memcache && words.size() > 2) {
    words.erase(words.begin() + 2, words.begin() + 5);  // flags, expiry, length
  } else if (dialect == Dialect::resp) {
    std::erase_if(words, [](std::string_view word) { return word[0] == '*' || word[0] == '$'; });
  }
  return words;
}

Bytes error_of(Dialect dialect, std::string_view refusal) {
  switch (dialect) {
    case Dialect::line:
      return Bytes{refusal} + " told to\n";
    case Dialect::resp:
      return "-ERR told to\r\n";
    case Dialect::memcache:
      return "SERVER_ERROR told to\r\n";
    case Dialect::echo:
      break;
  }
  return {};
}

}  // namespace

TestServer::TestServer(Dialect dialect, Transport transport, Manners manners)
    : dialect_(dialect), transport_(transport), manners_(manners), stop_(eventfd(0, EFD_CLOEXEC)) {
  const int type = transport == Transport::tcp ? SOCK_STREAM : SOCK_DGRAM;
  std::string why;
  const auto addresses = host::resolve({"127.0.0.1", 0, false}, type, host::Purpose::listen, why);
  check(addresses.size() == 1);
  socket_ = Descriptor{socket(AF_INET, type | SOCK_CLOEXEC, 0)};
  check(bind(socket_.number(), addresses[0].get(), addresses[0].length) == 0);
  check(transport == Transport::udp || listen(socket_.number(), SOMAXCONN) == 0);
  port_ = host::address_of(socket_.number()).port();
  thread_ = std::thread{[this] { serve(); }};
}

TestServer::~TestServer() {
  const std::uint64_t one = 1;
  check(::write(stop_.number(), &one, sizeof one) == sizeof one);
  thread_.join();
}

Target TestServer::target() const {
  return {dialect_, transport_, {{"127.0.0.1", port_, false}}};
}

void TestServer::serve() {
  while (true) {
    std::vector<pollfd> waiting{{stop_.number(), POLLIN, 0}, {socket_.number(), POLLIN, 0}};
    for (const Connection& connection : open_) {
      waiting.push_back({connection.socket.number(), POLLIN, 0});
    }
    check(poll(waiting.data(), waiting.size(), -1) > 0);
    if (waiting[0].revents != 0) {
      return;
    }
    std::vector<Connection> still_open;
    for (std::size_t i = 0; i < open_.size(); ++i) {
      if (waiting[i + 2].revents == 0 || on_input(open_[i])) {
        still_open.push_back(std::move(open_[i]));
      }
    }
    open_ = std::move(still_open);
    if (waiting[1].revents != 0) {
      transport_ == Transport::tcp ? on_connection() : on_datagram();
    }
  }
}

void TestServer::on_connection() {
  Descriptor socket{accept4(socket_.number(), nullptr, nullptr, SOCK_CLOEXEC)};
  if (socket.open()) {
    const int on = 1;
    check(setsockopt(socket.number(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0);
    ++connections_;
    open_.push_back({std::move(socket), {}});
  }
}

void TestServer::on_datagram() {
  Bytes buffer(65'536, '\0');
  host::SocketAddress from;
  from.length = sizeof from.storage;
  auto* const address = reinterpret_cast<sockaddr*>(&from.storage);
  const ssize_t got =
      recvfrom(socket_.number(), buffer.data(), buffer.size(), 0, address, &from.length);
  if (got < 0) {
    return;
  }
  ByteView request = ByteView{buffer}.substr(0, static_cast<std::size_t>(got));
  const ByteView header =
      request.substr(0, dialect_ == Dialect::memcache ? memcache_header_bytes : 0);
  request.remove_prefix(header.size());
  bool twice = false;
  const Bytes text = answer(request, twice);
  if (text.empty()) {
    return;
  }
  const Bytes whole = Bytes{header} + text;
  const bool again = is_turn(requests_, manners_.twice_every);
  for (int i = 0; i < (again ? 2 : 1); ++i) {
    check(sendto(socket_.number(), whole.data(), whole.size(), 0, from.get(), from.length) > 0);
  }
}

/// False if the connection is to be closed.
bool TestServer::on_input(Connection& connection) {
  char buffer[4096];
  const ssize_t got = recv(connection.socket.number(), buffer, sizeof buffer, 0);
  if (got <= 0) {
    return false;
  }
  connection.input.append(buffer, static_cast<std::size_t>(got));
  return answer_all(connection);
}

bool TestServer::answer_all(Connection& connection) {
  while (true) {
    const std::size_t length = request_bytes(connection.input);
    if (length == incomplete) {
      return true;
    }
    bool close = false;
    Bytes text = answer(ByteView{connection.input}.substr(0, length), close);
    connection.input.erase(0, length);
    if (is_turn(requests_, manners_.twice_every)) {
      text += text;
    }
    if (close || !write(connection.socket.number(), text)) {
      return false;
    }
  }
}

bool TestServer::write(int socket, ByteView bytes) const {
  while (!bytes.empty()) {
    const std::size_t length = manners_.in_single_bytes ? 1 : bytes.size();
    const ssize_t sent = send(socket, bytes.data(), length, MSG_NOSIGNAL);
    if (sent <= 0) {
      return false;
    }
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

Bytes TestServer::answer(ByteView request, bool& close) {
  ++requests_;
  if (is_turn(requests_, manners_.close_every)) {
    ++cut_off_;
    close = true;
    return {};
  }
  if (is_turn(requests_, manners_.silent_every)) {
    ++ignored_;
    return {};
  }
  Bytes mark;
  if (dialect_ == Dialect::line && request[0] == '@') {
    mark = request.substr(0, request.find(' ') + 1);
  }
  if (is_turn(requests_, manners_.wrong_every)) {
    ++refused_;
    return dialect_ == Dialect::echo ? Bytes(request.size(), '?')
                                     : mark + error_of(dialect_, manners_.refusal);
  }
  Bytes text = mark + right_answer(request);
  ++served_;
  return text;
}

Bytes TestServer::right_answer(ByteView request) {
  const std::vector<std::string_view> parts = parts_of(dialect_, request);
  check(parts.size() >= 2);
  Bytes unused;
  Bytes text;
  const bool put = parts.size() == 3;
  ++(put ? puts_ : gets_);
  if (dialect_ == Dialect::echo) {
    return Bytes{request};
  }
  if (put) {
    store_[std::string{parts[1]}] = parts[2];
    append_put(dialect_, {parts[1], parts[2]}, unused, text);
    return text;
  }
  const auto found = store_.find(parts[1]);
  if (found == store_.end()) {
    return dialect_ == Dialect::resp   ? "$-1\r\n"
           : dialect_ == Dialect::line ? "NOT_FOUND\n"
                                       : "END\r\n";
  }
  append_get(dialect_, {found->first, found->second}, unused, text);
  return text;
}

/// The length of the request that `stream` begins with, or incomplete.
std::size_t TestServer::request_bytes(ByteView stream) const {
  // Each request of a dialect has as many line ends as its verb says.
  std::size_t lines = 1;
  if (dialect_ == Dialect::memcache && stream.starts_with("set ")) {
    lines = 2;
  } else if (dialect_ == Dialect::resp) {
    lines = stream.starts_with("*3") ? 7 : 5;
  }
  std::size_t end = 0;
  for (; lines > 0; --lines) {
    end = stream.find('\n', end);
    if (end == ByteView::npos) {
      return incomplete;
    }
    ++end;
  }
  return end;
}

}  // namespace kv::load
