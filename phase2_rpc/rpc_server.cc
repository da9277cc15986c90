#include "phase2_rpc/rpc_server.h"

#include <atomic>
#include <condition_variable>
#include <cstring>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "common/core/check.h"
#include "common/host/thread_name.h"
#include "common/wire/logfmt.h"
#include "phase2_rpc/cluster_secret.h"
#include "phase2_rpc/loop_turns.h"
#include "phase2_rpc/server_connection.h"

namespace kv::rpc {
namespace {

constexpr auto tick_interval = std::chrono::milliseconds{100};
constexpr auto accept_retry_interval = std::chrono::milliseconds{100};

std::string text_of(const tcp::endpoint& endpoint) {
  const std::string address = endpoint.address().to_string();
  const std::string port = std::to_string(endpoint.port());
  return endpoint.address().is_v6() ? "[" + address + "]:" + port : address + ":" + port;
}

}  // namespace

struct RpcServer::Impl : std::enable_shared_from_this<RpcServer::Impl> {
  /// One thread, its loop and its connections; all but `loop` belong to the thread.
  struct Lane {
    explicit Lane(Impl& server)
        : loop(1),
          turns(loop, server.options.spin),
          timer(loop),
          world{.loop = loop,
                .turns = turns,
                .gate = std::make_shared<AnswerGate>(loop),
                .dispatcher = server.dispatcher,
                .output_bytes_max = server.options.output_bytes_max,
                .write_patience = server.options.write_patience,
                .hello_patience = server.options.hello_patience,
                .calls_refused = server.calls_refused,
                .bytes_in = server.bytes_in,
                .bytes_out = server.bytes_out} {}

    asio::io_context loop;
    LoopTurns turns;
    asio::steady_timer timer;
    ConnectionWorld world;
    std::map<ServerConnection*, std::pair<std::shared_ptr<ServerConnection>, std::string>> open;
    std::thread thread;
    bool leaving = false;
    bool closed = false;
  };

  Impl(const Options& its_options, Dispatcher& its_dispatcher, Notice its_notice)
      : options(its_options), dispatcher(its_dispatcher), notice(std::move(its_notice)) {
    check(options.threads > 0);
    for (std::size_t i = 0; i < options.threads; ++i) {
      lanes.push_back(std::make_unique<Lane>(*this));
    }
    acceptor.emplace(lanes.front()->loop);
    accept_timer.emplace(lanes.front()->loop);
  }

  std::string listen();
  void accept();
  void on_accept(boost::system::error_code error, tcp::socket socket);
  void adopt(Lane& lane, tcp::socket socket);
  void forget(Lane& lane, ServerConnection& connection, const std::string& why);
  void tick(Lane& lane);
  void leave(Lane& lane);
  void close_all(Lane& lane);
  ServerCore::Options core_options() const;

  const Options options;
  const Bytes memory_of_this_life = draw_nonce();
  Dispatcher& dispatcher;
  const Notice notice;
  std::shared_ptr<asio::ssl::context> tls;
  std::vector<std::unique_ptr<Lane>> lanes;
  std::optional<tcp::acceptor> acceptor;
  std::optional<asio::steady_timer> accept_timer;
  std::size_t next_lane = 0;
  bool stopped = false;

  std::atomic<std::uint64_t> connections{0};
  std::atomic<std::uint64_t> connections_ever{0};
  std::atomic<std::uint64_t> accepted{0};
  std::atomic<std::uint64_t> refused{0};
  std::atomic<std::uint64_t> dropped{0};
  std::atomic<std::uint64_t> calls_refused{0};
  std::atomic<std::uint64_t> bytes_in{0};
  std::atomic<std::uint64_t> bytes_out{0};

  std::mutex mutex;  // guards nothing but the wait for the last connection to close
  std::condition_variable none_left;
};

RpcServer::RpcServer(const Options& options, Dispatcher& dispatcher, Notice notice)
    : impl_(std::make_shared<Impl>(options, dispatcher, std::move(notice))) {}

RpcServer::~RpcServer() {
  stop(Duration::zero());
}

// --- starting ------------------------------------------------------------------------------------

std::string RpcServer::bind() {
  std::string why;
  if (impl_->options.tls.wanted()) {
    impl_->tls = open_tls(impl_->options.tls, TlsSide::server, why);
    if (!impl_->tls) {
      return why;
    }
  }
  return impl_->listen();
}

std::string RpcServer::start() {
  std::string why = impl_->acceptor->is_open() ? std::string{} : bind();
  if (!why.empty()) {
    return why;
  }
  impl_->accept();
  for (auto& lane : impl_->lanes) {
    impl_->tick(*lane);
    lane->thread = std::thread{[&lane = *lane] {
      host::name_this_thread("rpc");
      lane.world.gate->i_am_the_loop();
      lane.turns.run();
    }};
  }
  return {};
}

std::string RpcServer::Impl::listen() {
  std::string why;
  for (const host::SocketAddress& address :
       host::resolve(options.listen, SOCK_STREAM, host::Purpose::listen, why)) {
    why = why_not_in_plain(address, options.tls, options.insecure);
    if (!why.empty()) {
      return why;
    }
    tcp::endpoint endpoint;
    endpoint.resize(address.length);
    std::memcpy(endpoint.data(), address.get(), address.length);
    boost::system::error_code error;
    acceptor->open(endpoint.protocol(), error);
    acceptor->set_option(tcp::acceptor::reuse_address{true}, error);
    acceptor->bind(endpoint, error);
    if (!error) {
      acceptor->listen(asio::socket_base::max_listen_connections, error);
    }
    if (!error) {
      return {};
    }
    why = "cannot serve RPC at " + text_of(endpoint) + ": " + error.message();
    acceptor->close(error);
  }
  return why;
}

host::Endpoint RpcServer::address() const {
  boost::system::error_code error;
  const tcp::endpoint bound = impl_->acceptor->local_endpoint(error);
  check(!error);
  return {.host = bound.address().to_string(), .port = bound.port()};
}

// --- connections ---------------------------------------------------------------------------------

void RpcServer::Impl::accept() {
  acceptor->async_accept([this](boost::system::error_code error, tcp::socket socket) {
    on_accept(error, std::move(socket));
  });
}

void RpcServer::Impl::on_accept(boost::system::error_code error, tcp::socket socket) {
  if (!acceptor->is_open()) {
    return;
  }
  if (error) {
    // Descriptors have run out, most likely: to try again at once would only burn the processor.
    notice(Level::warn,
           wire::LogFields{}.add("event", "accept_failed").add("why", error.message()).text());
    accept_timer->expires_after(accept_retry_interval);
    accept_timer->async_wait([this](boost::system::error_code cancelled) {
      if (!cancelled) {
        accept();
      }
    });
    return;
  }
  if (connections.load() >= options.connections_max) {
    ++refused;
    notice(Level::warn, wire::LogFields{}
                            .add("event", "connection_refused")
                            .add("connections_max", options.connections_max)
                            .text());
  } else {
    ++accepted;
    ++connections;
    Lane& lane = *lanes[next_lane++ % lanes.size()];
    // The socket moves to its lane's loop: released here, assigned there.
    const auto protocol = socket.local_endpoint(error).protocol();
    const auto descriptor = socket.release(error);
    asio::post(lane.loop, [this, &lane, protocol, descriptor] {
      adopt(lane, tcp::socket{lane.loop, protocol, descriptor});
    });
  }
  accept();
}

ServerCore::Options RpcServer::Impl::core_options() const {
  ServerCore::Options core = options.core;
  if (core.memory.empty()) {
    core.memory = memory_of_this_life;
  }
  if (!options.secret.empty()) {
    core.nonce = draw_nonce();
    core.verify = [secret = options.secret, nonce = core.nonce](ByteView proof) {
      return secret_is_proved(secret, nonce, proof);
    };
  }
  return core;
}

void RpcServer::Impl::adopt(Lane& lane, tcp::socket socket) {
  boost::system::error_code error;
  const Caller caller{.address = text_of(socket.remote_endpoint(error)),
                      .connection = ++connections_ever};
  const auto closed = [this, &lane](ServerConnection& connection, const std::string& why) {
    forget(lane, connection, why);
  };
  std::shared_ptr<ServerConnection> connection;
  if (tls) {
    connection = std::make_shared<StreamConnection<TlsStream>>(
        TlsStream{std::move(socket), *tls}, lane.world, core_options(), caller, closed);
  } else {
    connection = std::make_shared<StreamConnection<PlainStream>>(std::move(socket), lane.world,
                                                                 core_options(), caller, closed);
  }
  lane.open.emplace(connection.get(), std::pair{connection, caller.address});
  if (lane.closed) {
    connection->close({});
    return;
  }
  connection->start();
  if (lane.leaving) {
    connection->go_away();
  }
}

void RpcServer::Impl::forget(Lane& lane, ServerConnection& connection, const std::string& why) {
  const auto found = lane.open.find(&connection);
  check(found != lane.open.end());
  if (!why.empty()) {
    ++dropped;
    notice(Level::info, wire::LogFields{}
                            .add("event", "rpc_dropped")
                            .add("from", found->second.second)
                            .add("why", why)
                            .text());
  }
  // Not destroyed in here: it is this connection that is calling.
  asio::post(lane.loop, [kept = std::move(found->second.first)] {});
  lane.open.erase(found);
  if (--connections == 0) {
    const std::lock_guard lock{mutex};
    none_left.notify_all();
  }
}

void RpcServer::Impl::tick(Lane& lane) {
  lane.timer.expires_after(tick_interval);
  lane.timer.async_wait([this, &lane](boost::system::error_code cancelled) {
    if (cancelled || lane.closed) {
      return;  // what was due already when it was cancelled comes without an error
    }
    const Instant now = host::run_now();
    std::vector<std::shared_ptr<ServerConnection>> open;
    for (const auto& [key, held] : lane.open) {
      open.push_back(held.first);
    }
    for (const auto& connection : open) {
      connection->tick(now);  // may close it, and so change lane.open
    }
    tick(lane);
  });
}

// --- stopping ------------------------------------------------------------------------------------

void RpcServer::Impl::leave(Lane& lane) {
  lane.leaving = true;
  std::vector<std::shared_ptr<ServerConnection>> open;
  for (const auto& [key, held] : lane.open) {
    open.push_back(held.first);
  }
  for (const auto& connection : open) {
    connection->go_away();
  }
}

void RpcServer::Impl::close_all(Lane& lane) {
  lane.closed = true;
  while (!lane.open.empty()) {
    const std::shared_ptr<ServerConnection> connection = lane.open.begin()->second.first;
    connection->close({});
  }
  lane.timer.cancel();
}

void RpcServer::stop(Duration patience) {
  if (std::exchange(impl_->stopped, true) || !impl_->lanes.front()->thread.joinable()) {
    return;
  }
  Impl& impl = *impl_;
  asio::post(impl.lanes.front()->loop, [&impl] {
    boost::system::error_code ignored;  // closed is closed
    impl.acceptor->close(ignored);
    impl.accept_timer->cancel();
  });
  for (auto& lane : impl.lanes) {
    asio::post(lane->loop, [&impl, &lane = *lane] { impl.leave(lane); });
  }
  {
    std::unique_lock lock{impl.mutex};
    impl.none_left.wait_for(lock, patience, [&] { return impl.connections.load() == 0; });
  }
  for (auto& lane : impl.lanes) {
    asio::post(lane->loop, [&impl, &lane = *lane] { impl.close_all(lane); });
  }
  for (auto& lane : impl.lanes) {
    lane->thread.join();
    lane->world.gate->shut();
  }
}

ServerCounts RpcServer::counts() const {
  return {.connections = impl_->connections,
          .accepted = impl_->accepted,
          .refused = impl_->refused,
          .dropped = impl_->dropped,
          .calls_refused = impl_->calls_refused,
          .bytes_in = impl_->bytes_in,
          .bytes_out = impl_->bytes_out};
}

}  // namespace kv::rpc
