// What an RpcClient is made of: its calls and its mail (rpc_client.cc), its connection
// (rpc_client_connection.cc). Included by these two alone.
#pragma once

#include <array>
#include <atomic>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>

#include "common/core/check.h"
#include "phase2_rpc/cluster_secret.h"
#include "phase2_rpc/loop_turns.h"
#include "phase2_rpc/name_lookup.h"
#include "phase2_rpc/rpc_client.h"

namespace kv::rpc {

namespace asio = boost::asio;
using boost::asio::ip::tcp;
using boost::system::error_code;
using PlainStream = tcp::socket;
using TlsStream = asio::ssl::stream<tcp::socket>;

/// A call on its way: waiting for a connection, in flight, or waiting to be tried again.
struct RpcClient::Pending {
  explicit Pending(Impl& its_client) : client(its_client) {}
  Pending(Impl& its_client, Request its_request, Instant its_deadline, Done its_done,
          BackOff its_back_off)
      : client(its_client),
        request(std::move(its_request)),
        deadline(its_deadline),
        done(std::move(its_done)),
        back_off(its_back_off) {}

  Impl& client;
  CallNumber number = 0;
  Request request;
  Instant deadline{};
  Done done;
  BackOff back_off{BackOff::Options{}};
  Instant not_before{};
  bool one_way = false;
  bool sent = false;  // it may have been executed by somebody …
  Bytes sent_to;      // … whose memory this is

  std::size_t bytes() const { return request.metadata.size() + request.body.size(); }

  /// It may go only to whom would recognize it.
  bool wants_who_remembers() const { return sent && request.safety == Safety::once; }
};

/// Calls that have ended, for their memory. The loop's thread alone.
class RpcClient::SparePendings {
 public:
  static constexpr std::size_t spare_max = 256;
  static constexpr std::size_t body_bytes_kept_max = 4096;

  void keep(std::unique_ptr<Pending> pending) {
    pending->done = nullptr;
    if (spare_.size() < spare_max && pending->request.body.capacity() <= body_bytes_kept_max) {
      spare_.push_back(std::move(pending));
    }
  }

  /// The request, blank, of the call that take() gives next.
  Request& room(Impl& client) {
    if (spare_.empty()) {
      spare_.push_back(std::make_unique<Pending>(client));
    }
    Request& request = spare_.back()->request;
    request.metadata.clear();
    request.body.clear();
    return request;
  }
  std::unique_ptr<Pending> take() {
    std::unique_ptr<Pending> pending = std::move(spare_.back());
    spare_.pop_back();
    return pending;
  }

 private:
  std::vector<std::unique_ptr<Pending>> spare_;
};

/// Everything but mail is the loop's thread's. Each of its operations on the loop keeps it alive,
/// for the loop may outlive it.
struct RpcClient::Impl : std::enable_shared_from_this<RpcClient::Impl> {
  Impl(const Options& its_options, RpcLoop& its_loop, Notice its_notice)
      : options(its_options),
        drive(its_loop.drive()),
        notice(std::move(its_notice)),
        loop(its_loop.io()),
        turns(its_loop.turns()),
        timer(loop),
        names(loop),
        random(its_options.seed),
        reconnect(its_options.back_off) {
    check(!options.servers.empty());
    if (options.tls.wanted()) {
      tls = open_tls(options.tls, TlsSide::client, why_unusable);
    }
    options.core.on_greeted = [this] { on_greeted(); };
    if (!options.secret.empty()) {
      options.core.prove = [secret = options.secret](ByteView nonce) {
        return prove_secret(secret, nonce);
      };
    }
  }

  // Connecting, on the loop's thread.
  void connect();
  void connect_to(const tcp::endpoint& endpoint);
  void on_connected();
  void on_greeted();
  void disconnect(const std::string& why);

  // The stream.
  void read();
  void on_read(error_code error, std::size_t count);
  std::string why_of(error_code error);
  void write();
  void write_early();
  error_code write_output();
  void write_rest(std::size_t done);

  // Calls.
  CallNumber post(std::unique_ptr<Pending>& pending);
  CallNumber post_or_refuse(std::unique_ptr<Pending> pending);
  void cancel(CallNumber number);
  bool send_in_turn(Instant now, std::unique_ptr<Pending>& pending);
  void promise_to_look();
  bool take_mail();
  void cancel_all(std::vector<CallNumber>& numbers, std::vector<std::unique_ptr<Pending>>& taken);
  void admit(Instant now, std::unique_ptr<Pending> pending);
  bool has_room_for(std::size_t bytes, std::size_t held) const;
  void wait(std::unique_ptr<Pending> pending);
  void send(Instant now, std::unique_ptr<Pending> pending);
  bool start(Instant now, std::unique_ptr<Pending>& pending, CallResult& refusal);
  void ended(std::unique_ptr<Pending> pending, CallResult&& result);
  void send_waiting(Instant now);
  void arm();
  void on_timer();
  void give_up_all();
  static void end_as_closing(const Pending& pending, Executed executed);

  /// A server that has not said hello may be frozen, or about to refuse our certificate (TLS 1.3),
  /// or not know yet that we know the secret: calls wait for its hello. Not if there is no other
  /// server, and nothing to be refused: the protocol allows it, and it spares the first call a
  /// round trip.
  bool sends_before_hello() const {
    return options.servers.size() == 1 && !tls && !options.core.prove;
  }
  bool is_open() const { return state == State::greeting || state == State::up; }
  bool takes_calls() const {
    return (state == State::up || (state == State::greeting && sends_before_hello())) &&
           !core->server_is_leaving();
  }
  bool takes(const Pending& call) const {
    return takes_calls() && (state == State::up || !call.wants_who_remembers());
  }
  /// Still within connect_patience, or else to be given up.
  bool must_be_up_in_time() const {
    return state == State::connecting || (state == State::greeting && !sends_before_hello());
  }

  tcp::socket& socket() {
    auto* secure = std::get_if<TlsStream>(&*stream);
    return secure != nullptr ? secure->next_layer() : std::get<PlainStream>(*stream);
  }

  Options options;
  const Drive drive;
  const Notice notice;
  std::string why_unusable;
  std::shared_ptr<asio::ssl::context> tls;
  asio::io_context& loop;
  LoopTurns& turns;
  asio::steady_timer timer;
  NameLookup names;
  Random random;

  std::optional<std::variant<PlainStream, TlsStream>> stream;
  std::uint64_t life = 0;  // of the stream: what belongs to an earlier one is ignored
  std::optional<ClientCore> core;
  /// greeting: connected, TLS included, but the server has not said hello.
  enum class State : std::uint8_t { idle, connecting, greeting, up } state = State::idle;
  std::size_t server = 0;
  std::vector<tcp::endpoint> addresses;  // of the server being tried, those not tried yet
  BackOff reconnect;
  Instant heard_at{};             // something, from any server
  Instant connect_at{};           // idle: not before; else: up until then
  std::size_t tries_in_vain = 0;  // since a server last said hello
  std::array<char, 64 * 1024> input;
  Bytes output;
  bool writing = false;
  std::size_t calls_unsent = 0;  // of those made by the callbacks of one read
  error_code early_failure;      // of a write amid the callbacks: the connection ends after them
  bool closing = false;
  std::string last_failure;  // of a connection, since a server last said hello

  bool in_turn() const { return turn_of_this_thread == this; }
  static thread_local const Impl* turn_of_this_thread;  // whose answers are being told on it
  SparePendings spare;

  std::list<std::unique_ptr<Pending>> waiting;
  std::atomic<std::size_t> waiting_bytes{0};  // changed by the loop's thread alone
  RetryBudget budget;
  Instant armed_for = never;

  // From 1 on, and without a lock: one in two is for calls by callbacks, on the loop's thread.
  static constexpr CallNumber number_step = 2;
  CallNumber next_number_in_turn = 1;

  std::mutex mutex;  // guards what follows, to mail_posted
  std::vector<std::unique_ptr<Pending>> mail;
  std::size_t mail_bytes = 0;
  std::vector<CallNumber> given_up;
  CallNumber next_number = 2;
  bool mail_posted = false;

  std::atomic<bool> connected{false};
  std::atomic<std::uint64_t> started{0};
  std::atomic<std::uint64_t> retried{0};
  std::atomic<std::uint64_t> connects{0};
  std::atomic<std::uint64_t> unasked{0};
};

}  // namespace kv::rpc
