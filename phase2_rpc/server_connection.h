// One client's connection to the RPC server, over a plain socket or TLS: moves bytes between the
// stream and a ServerCore, and calls between the core and the dispatcher.
//
// Lives on one loop's thread. Included only where Asio is.
#pragma once

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>

#include "common/host/clock.h"
#include "phase2_rpc/answer_gate.h"
#include "phase2_rpc/dispatcher.h"
#include "phase2_rpc/loop_turns.h"
#include "phase2_rpc/server_core.h"
#include "phase2_rpc/tls.h"

namespace kv::rpc {

namespace asio = boost::asio;
using boost::asio::ip::tcp;
using PlainStream = tcp::socket;
using TlsStream = asio::ssl::stream<tcp::socket>;

inline constexpr std::size_t input_bytes_least = 2 * 1024;
inline constexpr std::size_t input_bytes_max = 64 * 1024;
inline constexpr Duration shrink_interval = std::chrono::seconds{2};
/// A client that is told that the server goes away hangs up once it has its answers. Where nothing
/// comes for so long it does not mean to, and a server that stops does not wait for it.
inline constexpr Duration farewell_silence = std::chrono::milliseconds{500};

/// What every connection has of its server.
struct ConnectionWorld {
  asio::io_context& loop;
  LoopTurns& turns;
  std::shared_ptr<AnswerGate> gate;
  Dispatcher& dispatcher;
  std::size_t output_bytes_max;
  Duration write_patience;
  Duration hello_patience;
  std::atomic<std::uint64_t>& calls_refused;
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
class StreamConnection final : public ServerConnection,
                               private ServerCore::Calls,
                               private LateAnswers {
 public:
  StreamConnection(Stream stream, const ConnectionWorld& world, const ServerCore::Options& core,
                   Caller caller, Closed closed)
      : stream_(std::move(stream)),
        world_(world),
        core_(core, *this, host::run_now()),
        path_(std::make_shared<AnswerGate::Path>(world.gate, static_cast<LateAnswers&>(*this),
                                                 world.output_bytes_max, std::move(caller))),
        closed_(std::move(closed)),
        opened_at_(host::run_now()) {}
  ~StreamConnection() override { path_->cut(); }

  void start() override {
    boost::system::error_code ignored;  // a socket without it works, only slower
    socket().set_option(tcp::no_delay{true}, ignored);
    if constexpr (std::is_same_v<Stream, TlsStream>) {
      stream_.async_handshake(asio::ssl::stream_base::server,
                              [this, self = shared_from_this()](boost::system::error_code error) {
                                if (error) {
                                  close(tls_failure(stream_.native_handle(), error.message()));
                                } else if (open_) {
                                  begin();
                                }
                              });
    } else {
      begin();
    }
  }

  void tick(Instant now) override {
    if (!open_) {
      return;
    }
    if (writing_ && !reading_) {
      core_.alive(now);  // as long as it takes its answers; its pong may well be among what waits
    }
    if (!core_.tick(now)) {
      close(core_.why());
    } else if (!core_.greeted() && now - opened_at_ >= world_.hello_patience) {
      close("the client did not say hello in time");
    } else if (writing_ && now - moved_at_ >= world_.write_patience) {
      close("the client does not read its answers");
    } else {
      write();
      shrink(now);
      part(now);
    }
  }

  void go_away() override {
    core_.go_away();
    quiet_since_ = host::run_now();
    if (speaks_) {
      write();
    } else {
      close({});  // nothing of it was read: its client loses nothing
    }
  }

  void close(const std::string& why) override {
    if (!std::exchange(open_, false)) {
      return;
    }
    path_->cut();
    boost::system::error_code ignored;  // closed is closed
    socket().shutdown(tcp::socket::shutdown_send, ignored);
    socket().close(ignored);
    closed_(*this, why);
  }

 private:
  /// Where the result of the call being announced goes.
  class RespondTo final : public Dispatcher::RespondTo {
   public:
    RespondTo(StreamConnection& connection, CallId id) : connection_(connection), id_(id) {}
    void at_once(const CallResult& result) const override { connection_.answer(id_, result); }
    std::shared_ptr<ReturnPath> later() const override { return connection_.path_; }
    const Caller& caller() const override { return connection_.path_->caller; }

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

  /// The stream is there, and with TLS it is private.
  void begin() {
    boost::system::error_code ignored;  // a socket that blocks is slower for others, no more
    socket().non_blocking(true, ignored);
    speaks_ = true;
    write();
    read();
  }

  void on_call(const IncomingCall& call) override {
    write_early();
    world_.dispatcher.dispatch(call, RespondTo{*this, call.id});
  }

  void on_cancel(CallId id) override { path_->give_up(id); }

  std::size_t unsent_bytes() const { return core_.output_bytes() + writing_bytes_.size(); }
  bool may_go_on() const override { return unsent_bytes() <= world_.output_bytes_max; }

  void answer(CallId id, const CallResult& result) {
    ++answers_unsent_;
    core_.answer(id, result.code, result.executed,
                 result.code == Code::ok ? ByteView{result.body} : ByteView{result.why});
  }

  void answer_late(CallId id, const CallResult& result) override {
    path_->ended(id);
    answer(id, result);
    if (!feeding_) {
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
    if (!open_ || reading_ || !may_go_on()) {
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
    const Instant now = host::run_now();
    world_.turns.expect_more();
    world_.bytes_in.fetch_add(count, std::memory_order_relaxed);
    quiet_since_ = now;
    last_read_bytes_ = std::max(last_read_bytes_, count);
    look_at(now, {input_.data(), count});
    if (count == input_.size() && count < input_bytes_max) {
      input_.resize(2 * count);
    }
    proceed();
  }

  /// At what was read, or, if that is nothing, at what the core has held back.
  void look_at(Instant now, ByteView bytes) {
    const std::uint64_t refused_before = core_.calls_refused();
    feeding_ = true;
    answers_unsent_ = 0;
    const bool good = core_.feed(now, bytes);
    feeding_ = false;
    if (const std::uint64_t refused = core_.calls_refused() - refused_before; refused > 0) {
      world_.calls_refused.fetch_add(refused, std::memory_order_relaxed);
    }
    write();  // if it is not good, the answers that it has earned before
    if (!good) {
      close(core_.why());
    }
  }

  /// With what was read before, or else with what comes. In a turn of its own, for others wait too.
  void proceed() {
    if (!core_.holds_back()) {
      read();
    } else if (open_ && may_go_on() && !std::exchange(look_posted_, true)) {
      asio::post(world_.loop, [this, self = shared_from_this()] {
        look_posted_ = false;
        if (open_) {
          look_at(host::run_now(), {});
          proceed();
        }
      });
    }
  }

  /// Buffers that a burst has left behind go, once nothing has needed them for a while.
  void shrink(Instant now) {
    if (now - shrunk_at_ < shrink_interval || writing_) {
      return;
    }
    shrunk_at_ = now;
    if (std::exchange(last_read_bytes_, 0) == 0 && !core_.has_output()) {
      writing_bytes_ = Bytes{};
      core_.release_buffers();
    }
  }

  /// After go_away(), from a client that keeps silent. What it has sent before it heard of that is
  /// on its way no longer, and was refused: closed sooner, it could have been anything.
  void part(Instant now) {
    if (writing_ || !core_.drained()) {
      quiet_since_ = now;
    } else if (now - quiet_since_ >= farewell_silence) {
      close({});
    }
  }

  void write() {
    if (!open_ || !speaks_) {
      return;  // a write amid TLS's handshake would end it: the hello waits from the first on
    }
    if (!writing_ && core_.has_output()) {
      writing_bytes_.clear();
      core_.swap_output(writing_bytes_);
      std::ignore = write_at_once();
    }
    if (open_ && path_->block(!may_go_on())) {
      write_soon();
    }
  }

  /// Before one more call is looked at: the client may go on with the answers that are there.
  void write_early() {
    if (answers_unsent_ < early_write_calls || !world_.turns.waited_awake() || !open_ || writing_) {
      return;
    }
    answers_unsent_ = 0;
    writing_bytes_.clear();
    core_.swap_output(writing_bytes_);
    std::ignore = write_at_once();  // the rest of the turn finds out by itself how it ended
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
    proceed();
  }

  Stream stream_;
  const ConnectionWorld& world_;
  ServerCore core_;
  const std::shared_ptr<AnswerGate::Path> path_;
  Closed closed_;
  // Grows with what comes, so that a connection at rest costs little.
  std::vector<char> input_ = std::vector<char>(input_bytes_least);
  Bytes writing_bytes_;
  const Instant opened_at_;
  Instant quiet_since_ = opened_at_;  // nothing has come of the client
  Instant moved_at_ = opened_at_;     // the last progress of writing
  Instant shrunk_at_ = opened_at_;
  std::size_t last_read_bytes_ = 0;  // the most in one read, since shrunk_at_
  std::size_t answers_unsent_ = 0;   // of the calls that one read has brought
  bool open_ = true;
  bool speaks_ = false;  // the handshake is over
  bool feeding_ = false;
  bool reading_ = false;
  bool writing_ = false;
  bool write_posted_ = false;
  bool look_posted_ = false;
};

}  // namespace kv::rpc
