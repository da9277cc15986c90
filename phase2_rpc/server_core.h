// The server's side of one RPC connection, without the socket: bytes in, calls out; answers in, in
// any order, bytes out.
//
// Used from one thread. A call is answered while it is announced, or later by its id.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include <boost/unordered/unordered_flat_map.hpp>

#include "common/core/bytes.h"
#include "common/core/time.h"
#include "phase2_rpc/client_core.h"
#include "phase2_rpc/code.h"
#include "phase2_rpc/keep_alive.h"
#include "phase2_rpc/rpc_frame.h"

namespace kv::rpc {

/// A request as it came; its views are valid during on_call() only.
struct IncomingCall {
  CallId id = 0;  // the client's, or the core's own if the call is one-way
  std::uint16_t method = 0;
  ByteView metadata;
  ByteView body;
  Instant arrived;
  Instant looked_at;  // later than it arrived if it was held back
  Instant deadline = never;
  bool one_way = false;
  bool idempotent = false;
  bool trusted = false;  // the caller has proved that it knows the cluster's secret
};

class ServerCore {
 public:
  class Calls {
   public:
    Calls() = default;
    Calls(const Calls&) = delete;
    Calls& operator=(const Calls&) = delete;
    virtual ~Calls() = default;
    /// Answers it in here, or keeps the id and answers later.
    virtual void on_call(const IncomingCall& call) = 0;
    /// The caller has given up on a call that was not answered yet. An answer may still come.
    virtual void on_cancel(CallId id) = 0;
    /// Asked before one more frame is looked at. False: it and what follows wait in the core, until
    /// feed() is called again.
    virtual bool may_go_on() const { return true; }
  };

  struct Options {
    std::size_t calls_in_flight_max = 16'384;
    std::size_t bytes_in_flight_max = 16 * 1024 * 1024;
    KeepAlive::Options keep_alive{.silence_max = std::chrono::seconds{60},
                                  .ping_patience = std::chrono::seconds{15}};
    Bytes memory = {};  // its name, see feature_memory; empty: says none
    Bytes nonce;        // 16 unguessable bytes, new for each connection; empty: nobody is trusted
    /// Whether `proof` answers our nonce. Called at most once.
    std::function<bool(ByteView proof)> verify;
  };

  ServerCore(const Options& options, Calls& calls, Instant now);
  ServerCore(const ServerCore&) = delete;
  ServerCore& operator=(const ServerCore&) = delete;

  /// Takes what came from the client, if anything: first it goes on with what was held back.
  /// False, with why(): drop the connection.
  bool feed(Instant now, ByteView bytes);
  /// Whether frames that came wait for may_go_on(); until then the client need not be read from.
  bool holds_back() const { return stream_.stopped(); }
  /// False, with why(): the client is dead.
  bool tick(Instant now);
  /// The client lives, though nothing comes of it: it is not listened to.
  void alive(Instant now) { keep_alive_.heard(now); }
  /// Whether the client's hello has come, whole.
  bool greeted() const { return greeted_; }
  Instant wake_at() const { return keep_alive_.wake_at(); }

  /// Answers a call. A call that is not waiting any more (its connection said so by on_cancel())
  /// is ignored, and of one that is one-way only the end is noted. An ok result whose body is over
  /// the frame's limit becomes Code::internal.
  void answer(CallId id, Code code, Executed executed, ByteView body);

  /// No more calls: the client is told, and later requests are refused as not executed.
  void go_away();
  /// After go_away(): whether every call that was read is answered and every answer taken. More may
  /// come, of a client that has not heard yet: it is refused.
  bool drained() const { return leaving_ && waiting_.empty() && output_.empty(); }

  bool has_output() const { return !output_.empty(); }
  std::size_t output_bytes() const { return output_.size(); }
  void swap_output(Bytes& empty);
  /// Gives back what a burst has left; only while there is no output.
  void release_buffers();

  std::size_t calls_in_flight() const { return waiting_.size(); }
  std::size_t bytes_in_flight() const { return bytes_in_flight_; }
  /// Calls refused in here, which on_call() never saw.
  std::uint64_t calls_refused() const { return calls_refused_; }
  const std::string& why() const { return why_; }

 private:
  /// A client's own ids are below; from here on the core's, for calls that want no answer.
  static constexpr CallId one_way_id_least = CallId{1} << 63;

  void on_frame(Instant now, const Frame& frame);
  void on_hello(const Frame& frame);
  void on_request(Instant now, const Frame& frame);
  bool has_room_for(const FrameHeader& header) const;
  void append_answer(CallId id, Code code, Executed executed, ByteView body);

  Options options_;
  Calls& calls_;
  FrameStream stream_;
  Bytes output_;
  boost::unordered_flat_map<CallId, std::size_t> waiting_;  // end later: id → bytes
  std::size_t bytes_in_flight_ = 0;
  std::uint64_t calls_refused_ = 0;
  CallId announced_ = 0;  // the call that on_call() is being told of, until it is answered
  CallId next_one_way_ = one_way_id_least;
  KeepAlive keep_alive_;
  Instant fed_at_;  // when what is held back came
  bool greeted_ = false;
  bool proof_seen_ = false;
  bool trusted_ = false;
  bool leaving_ = false;
  std::string why_;
};

}  // namespace kv::rpc
