// One client's connection to the RPC server, over a plain socket or TLS: moves bytes between the
// stream and a ServerCore, and calls between the core and the dispatcher.
//
// Lives on one loop's thread. Included only where Asio is.
#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <type_traits>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>

#include "common/host/clock.h"
#include "phase2_rpc/dispatcher.h"
#include "phase2_rpc/server_core.h"

namespace kv::rpc {

namespace asio = boost::asio;
using boost::asio::ip::tcp;
using PlainStream = tcp::socket;
using TlsStream = asio::ssl::stream<tcp::socket>;

/// The way into a loop from other threads, for as long as the loop is there.
class LoopGate {
 public:
  explicit LoopGate(asio::io_context& loop) : loop_(&loop) {}
  LoopGate(const LoopGate&) = delete;
  LoopGate& operator=(const LoopGate&) = delete;

  /// Runs `work` on the loop's thread; drops it if the gate is shut.
  template <typename Work>
  void post(Work&& work) {
    const std::lock_guard lock{mutex_};
    if (loop_ != nullptr) {
      asio::post(*loop_, std::forward<Work>(work));
    }
  }
  void shut() {
    const std::lock_guard lock{mutex_};
    loop_ = nullptr;
  }

 private:
  std::mutex mutex_;  // guards loop_
  asio::io_context* loop_;
};

/// What every connection has of its server.
struct ConnectionWorld {
  asio::io_context& loop;
  std::shared_ptr<LoopGate> gate;
  Dispatcher& dispatcher;
  std::size_t output_bytes_max;
  Duration write_patience;
  Duration hello_patience;
  std::atomic<std::uint64_t>& bytes_in;
  std::atomic<std::uint64_t>& bytes_out;
};

/// What a server wants of its connections, whatever they run over.
class ServerConnection : public std::enable_shared_from_this<ServerConnection> {
 public:
  /// Runs once, when the connection is closed; an empty reason is an orderly end.
  using Closed = std::function<void(ServerConnection& self, const std::string& why)>;

  ServerConnection() = default;
  ServerConnection(const ServerConnection&) = delete;
  ServerConnection& operator=(const ServerConnection&) = delete;
  virtual ~ServerConnection() = default;

  virtual void start() = 0;
  virtual void tick(Instant now) = 0;
  virtual void go_away() = 0;
  virtual void close(const std::string& why) = 0;
};

template <typename Stream>
class StreamConnection final : public ServerConnection, private ServerCore::Calls {
 public:
  StreamConnection(Stream stream, const ConnectionWorld& world, const ServerCore::Options& core,
                   Closed closed)
      : stream_(std::move(stream)),
        world_(world),
        core_(core, *this, host::run_now()),
        closed_(std::move(closed)),
        moved_at_(host::run_now()) {}

  void start() override {
    boost::system::error_code ignored;  // a socket without it works, only slower
    socket().set_option(tcp::no_delay{true}, ignored);
    if constexpr (std::is_same_v<Stream, TlsStream>) {
      stream_.async_handshake(asio::ssl::stream_base::server,
                              [this, self = shared_from_this()](boost::system::error_code error) {
                                if (error) {
                                  close("TLS: " + error.message());
                                } else if (open_) {
                                  socket().non_blocking(true, error);
                                  write();
                                  read();
                                }
                              });
    } else {
      socket().non_blocking(true, ignored);
      write();
      read();
    }
  }

  void tick(Instant now) override {
    if (!open_) {
      return;
    }
    if (!core_.tick(now)) {
      close(core_.why());
    } else if (!greeted_ && now - moved_at_ >= world_.hello_patience) {
      close("the client did not say hello in time");
    } else if (writing_ && now - moved_at_ >= world_.write_patience) {
      close("the client does not read its answers");
    } else {
      write();
    }
  }

  void go_away() override {
    core_.go_away();
    write();
  }

  void close(const std::string& why) override {
    if (!std::exchange(open_, false)) {
      return;
    }
    boost::system::error_code ignored;  // closed is closed
    socket().close(ignored);
    closed_(*this, why);
  }

 private:
  /// Where the result of the call being announced goes.
  class RespondTo final : public Dispatcher::RespondTo {
   public:
    RespondTo(StreamConnection& connection, CallId id) : connection_(connection), id_(id) {}
    void at_once(const CallResult& result) const override { connection_.answer(id_, result); }
    Dispatcher::Respond later() const override {
      return [gate = connection_.world_.gate, weak = connection_.weak_self(),
              id = id_](const CallResult& result) {
        gate->post([weak, id, result] {
          if (const auto self = weak.lock()) {
            self->answer_late(id, result);
          }
        });
      };
    }

   private:
    StreamConnection& connection_;
    CallId id_;
  };

  tcp::socket& socket() {
    if constexpr (std::is_same_v<Stream, TlsStream>) {
      return stream_.next_layer();
    } else {
      return stream_;
    }
  }

  void on_call(const IncomingCall& call) override {
    world_.dispatcher.dispatch(call, RespondTo{*this, call.id});
  }

  void on_cancel(CallId) override {}  // its handler runs on; nobody takes the answer

  void answer(CallId id, const CallResult& result) {
    core_.answer(id, result.code, result.executed,
                 result.code == Code::ok ? ByteView{result.body} : ByteView{result.why});
  }

  std::weak_ptr<StreamConnection> weak_self() {
    return std::static_pointer_cast<StreamConnection>(shared_from_this());
  }

  void answer_late(CallId id, const CallResult& result) {
    if (open_) {
      answer(id, result);
      write_soon();
    }
  }

  /// One write for all late answers that the loop has in hand.
  void write_soon() {
    if (!std::exchange(write_posted_, true)) {
      asio::post(world_.loop,
                 [self = std::static_pointer_cast<StreamConnection>(shared_from_this())] {
                   self->write_posted_ = false;
                   self->write();
                 });
    }
  }

  void read() {
    if (!open_ || reading_ ||
        core_.output_bytes() + writing_bytes_.size() > world_.output_bytes_max) {
      return;  // the end of a write comes back here
    }
    reading_ = true;
    stream_.async_read_some(
        asio::buffer(input_),
        [this, self = shared_from_this()](boost::system::error_code error, std::size_t count) {
          reading_ = false;
          on_read(error, count);
        });
  }

  void on_read(boost::system::error_code error, std::size_t count) {
    if (!open_) {
      return;
    }
    if (error) {
      const bool orderly = error == asio::error::eof || error == asio::ssl::error::stream_truncated;
      close(orderly ? std::string{} : error.message());
      return;
    }
    world_.bytes_in.fetch_add(count, std::memory_order_relaxed);
    if (!core_.feed(host::run_now(), {input_.data(), count})) {
      write();  // the answers that it has earned before
      close(core_.why());
      return;
    }
    greeted_ = true;
    write();
    read();
  }

  void write() {
    if (!open_ || writing_) {
      return;
    }
    if (core_.has_output()) {
      writing_bytes_.clear();
      core_.swap_output(writing_bytes_);
      if (!write_at_once()) {
        return;
      }
    }
    if (core_.drained()) {
      close({});
    }
  }

  /// True if all of writing_bytes_ has gone; else the rest is on its way, or the end has come.
  bool write_at_once() {
    std::size_t done = 0;
    if constexpr (std::is_same_v<Stream, PlainStream>) {
      boost::system::error_code error;
      done = stream_.write_some(asio::buffer(writing_bytes_), error);
      if (error && error != asio::error::would_block) {
        close(error.message());
        return false;
      }
      world_.bytes_out.fetch_add(done, std::memory_order_relaxed);
      if (done == writing_bytes_.size()) {
        writing_bytes_.clear();
        return true;
      }
    }
    writing_ = true;
    moved_at_ = host::run_now();
    asio::async_write(
        stream_, asio::buffer(writing_bytes_) + done,
        [this](boost::system::error_code error, std::size_t) {
          moved_at_ = host::run_now();
          return error ? std::size_t{0} : std::size_t{64 * 1024};
        },
        [this, self = shared_from_this()](boost::system::error_code error, std::size_t count) {
          on_written(error, count);
        });
    return false;
  }

  void on_written(boost::system::error_code error, std::size_t count) {
    writing_ = false;
    if (!open_) {
      return;
    }
    if (error) {
      close(error.message());
      return;
    }
    world_.bytes_out.fetch_add(count, std::memory_order_relaxed);
    writing_bytes_.clear();
    write();
    read();
  }

  Stream stream_;
  const ConnectionWorld& world_;
  ServerCore core_;
  Closed closed_;
  std::array<char, 16 * 1024> input_;
  Bytes writing_bytes_;
  Instant moved_at_;  // the last progress of hello and writing
  bool open_ = true;
  bool greeted_ = false;
  bool reading_ = false;
  bool writing_ = false;
  bool write_posted_ = false;
};

}  // namespace kv::rpc
