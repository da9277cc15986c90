// A raw Asio echo and its client: the bar that RPC is measured against, the least that a program
// on Asio can do. One loop a side, one read and one write a batch, no frames, no store.
#include <array>
#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>

#include "common/host/flags.h"
#include "tools/load_histogram.h"
#include "tools/peers/closed_loop.h"

namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

struct Connection {
  explicit Connection(tcp::socket its_socket) : socket(std::move(its_socket)) {
    socket.set_option(tcp::no_delay{true});
    socket.non_blocking(true);
  }

  /// Most often one call takes all; a full buffer is waited out, which hurts nobody but us.
  bool write(const char* bytes, std::size_t count) {
    error_code error;
    std::size_t done = socket.write_some(asio::buffer(bytes, count), error);
    if (done < count && (!error || error == asio::error::would_block)) {
      socket.non_blocking(false);
      done += asio::write(socket, asio::buffer(bytes + done, count - done), error);
      socket.non_blocking(true);
    }
    return done == count;
  }

  tcp::socket socket;
  std::array<char, 64 * 1024> buffer{};
};

void echo(const std::shared_ptr<Connection>& connection) {
  connection->socket.async_read_some(
      asio::buffer(connection->buffer), [connection](error_code error, std::size_t count) {
        if (!error && connection->write(connection->buffer.data(), count)) {
          echo(connection);
        }
      });
}

void accept(tcp::acceptor& acceptor) {
  acceptor.async_accept([&acceptor](error_code error, tcp::socket socket) {
    if (!error) {
      echo(std::make_shared<Connection>(std::move(socket)));
    }
    accept(acceptor);
  });
}

tcp::endpoint endpoint_of(const kv::host::Endpoint& where) {
  return {asio::ip::make_address(where.host), where.port};
}

int serve(const kv::host::Endpoint& where) {
  asio::io_context loop{1};
  tcp::acceptor acceptor{loop, endpoint_of(where)};
  accept(acceptor);
  std::printf("ready tcp=%s:%u\n", where.host.c_str(), acceptor.local_endpoint().port());
  std::fflush(stdout);
  loop.run();
  return 0;
}

/// One connection of the load: as many messages on their way as `depth` says.
class Player {
 public:
  Player(Connection& connection, kv::peers::ClosedLoop& run) : connection_(connection), run_(run) {}

  void start() {
    send(run_.plan().depth);
    read();
  }

 private:
  void send(std::size_t count) {
    const auto now = kv::peers::Clock::now();
    for (std::size_t i = 0; i < count; ++i) {
      began_[(next_ + i) % began_.size()] = now;
    }
    next_ += count;
    messages_.assign(count * run_.plan().value_bytes, 'v');
    connection_.write(messages_.data(), messages_.size());
  }

  void read() {
    connection_.socket.async_read_some(asio::buffer(connection_.buffer),
                                       [this](error_code error, std::size_t count) {
                                         if (!error) {
                                           on_read(count);
                                         }
                                       });
  }

  void on_read(std::size_t count) {
    bytes_ += count;
    const std::size_t whole = bytes_ / run_.plan().value_bytes;
    bytes_ %= run_.plan().value_bytes;
    const auto now = kv::peers::Clock::now();
    for (std::size_t i = 0; i < whole; ++i) {
      run_.ended(began_[done_++ % began_.size()], now);
    }
    if (!run_.over(now)) {
      send(whole);
      read();
    }
  }

  Connection& connection_;
  kv::peers::ClosedLoop& run_;
  std::array<kv::peers::Clock::time_point, 2048> began_{};
  std::size_t next_ = 0;
  std::size_t done_ = 0;
  std::size_t bytes_ = 0;
  std::string messages_;
};

int load(const kv::peers::Plan& plan) {
  asio::io_context loop{1};
  kv::peers::ClosedLoop run{plan};
  std::vector<std::unique_ptr<Connection>> connections;
  std::vector<std::unique_ptr<Player>> players;
  for (std::uint32_t i = 0; i < plan.clients; ++i) {
    tcp::socket socket{loop};
    socket.connect({asio::ip::make_address(plan.host), plan.port});
    connections.push_back(std::make_unique<Connection>(std::move(socket)));
    players.push_back(std::make_unique<Player>(*connections.back(), run));
  }
  for (auto& player : players) {
    player->start();
  }
  loop.run();
  run.print();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  kv::host::Endpoint tcp;
  kv::host::Endpoint target = kv::host::endpoint_off;
  kv::peers::Plan plan;
  kv::host::Flags flags{"bench_asio_echo", "Sends back what it gets, on Asio; or its client."};
  flags.add("--tcp", tcp, "where to listen; port 0 takes a free one");
  flags.add("--load", target, "instead: put load on an echo there");
  flags.add("--clients", plan.clients, {1, 1000}, "connections of the load");
  flags.add("--depth", plan.depth, {1, 1024}, "messages on their way, for each");
  flags.add("--value", plan.value_bytes, {1, 65536}, "bytes of a message");
  flags.add("--seconds", plan.seconds, {1, 1000}, "how long");
  if (const auto exit_code = flags.parse(argc, argv)) {
    return *exit_code;
  }
  if (target.off) {
    return serve(tcp);
  }
  plan.host = target.host;
  plan.port = target.port;
  return load(plan);
}
