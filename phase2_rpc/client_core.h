// The client's side of one RPC connection, without the socket: bytes in, bytes out, calls in
// flight, time handed over. Blocking, callback, future and coroutine clients all stand on it.
//
// Every call that start() takes ends exactly once, with its Done: by its answer, its deadline, its
// cancellation or the loss of the connection, whichever comes first. A call that has ended leaves
// nothing behind: a late answer to it is counted and dropped.
//
// Used from one thread. Done may start and cancel calls; it must not destroy the core.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/core/bytes.h"
#include "common/core/time.h"
#include "phase2_rpc/code.h"
#include "phase2_rpc/keep_alive.h"
#include "phase2_rpc/rpc_frame.h"

namespace kv::rpc {

using CallId = std::uint64_t;
using Done = std::function<void(CallResult&&)>;

struct OutgoingCall {
  std::uint16_t method = 0;
  ByteView metadata;
  ByteView body;
  Instant deadline = never;
  bool idempotent = false;
  std::uint64_t number = 0;  // the caller's own, for find()
};

struct ClientCounts {
  std::uint64_t started = 0;
  std::uint64_t ended = 0;
  std::uint64_t answers_unasked = 0;  // to calls that had ended, or that never were
};

class ClientCore {
 public:
  struct Options {
    std::size_t calls_in_flight_max = 16'384;
    std::size_t bytes_in_flight_max = 64 * 1024 * 1024;
    KeepAlive::Options keep_alive;
    /// What proves to the other side that we know the cluster's secret, from its nonce.
    std::function<Bytes(ByteView nonce)> prove;
    /// Runs once, in feed(), when the server has said hello, before any call of its ends.
    std::function<void()> on_greeted;
  };

  ClientCore(const Options& options, Instant now);
  ClientCore(const ClientCore&) = delete;
  ClientCore& operator=(const ClientCore&) = delete;

  /// Takes the call and returns its id; `done` will run later, never in here. Nothing, with
  /// `refusal` filled (not executed): the call is over a frame's limits, too many calls or bytes
  /// are in flight, or the server is going away.
  std::optional<CallId> start(Instant now, const OutgoingCall& call, Done done,
                              CallResult& refusal);

  /// Sends a call that wants no answer: nobody will tell whether it was run. False, with
  /// `refusal` filled, as for start().
  bool notify(Instant now, const OutgoingCall& call, CallResult& refusal);

  /// Ends the call as cancelled, now, and tells the server to spare itself the work. False if it
  /// has ended before.
  bool cancel(CallId id);

  /// The calls in flight whose caller's numbers are in `numbers`, sorted. Looks at all calls.
  std::vector<CallId> find(const std::vector<std::uint64_t>& numbers) const;

  /// Takes what came from the server. False, with why(): it does not speak this protocol; drop
  /// the connection and call lost().
  bool feed(Instant now, ByteView bytes);

  /// Ends what is overdue; pings a silent server. False, with why(): the server is dead.
  bool tick(Instant now);
  Instant wake_at() const;

  /// The connection is gone: every call in flight ends as unavailable. Calls whose bytes never
  /// left are not executed; of the others nobody knows.
  void lost(std::string_view why);

  /// What is to be sent, in order. The transport takes all of it for an empty buffer of its own;
  /// from then on nobody knows whether the server has it.
  bool has_output() const { return !output_.empty(); }
  void swap_output(Bytes& empty);
  /// Of what the last swap_output() gave nothing was sent, and nothing will be: lost() follows.
  void output_not_taken() { serials_taken_end_ = serials_taken_before_; }

  std::size_t calls_in_flight() const { return in_flight_; }
  std::size_t bytes_in_flight() const { return bytes_in_flight_; }
  bool server_is_leaving() const { return leaving_; }
  /// The server has said hello; a proof of the secret that it wanted is in the output.
  bool greeted() const { return greeted_; }
  /// Of the server's hello: see feature_memory. Empty: it said none, or nothing yet.
  const Bytes& server_memory() const { return server_memory_; }
  const ClientCounts& counts() const { return counts_; }
  const std::string& why() const { return why_; }

 private:
  struct Slot {
    CallId id = 0;  // 0: free
    std::uint64_t serial = 0;
    std::uint64_t number = 0;
    Instant deadline = never;
    std::size_t bytes = 0;
    Done done;
  };

  std::size_t free_slot();
  Slot* slot_of(CallId id);
  void end(Slot& slot, CallResult&& result);
  void end_overdue(Instant now);
  void on_frame(const Frame& frame);
  void on_hello(const Frame& frame);
  void on_answer(const Frame& frame);
  void append_control(FrameType type, CallId id);
  void append_request(Instant now, const OutgoingCall& call, std::uint8_t flags, CallId id);
  std::optional<CallResult> refusal_of(const OutgoingCall& call) const;

  Options options_;
  FrameStream stream_;
  Bytes output_;
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_slots_;
  std::size_t in_flight_ = 0;
  std::size_t bytes_in_flight_ = 0;
  std::uint64_t next_serial_ = 1;
  std::uint64_t serials_taken_end_ = 1;     // calls below it may have reached the server
  std::uint64_t serials_taken_before_ = 1;  // the same, before the last swap_output()
  Instant next_deadline_ = never;           // no call is due before it
  KeepAlive keep_alive_;
  bool leaving_ = false;
  bool greeted_ = false;
  Bytes server_memory_;
  ClientCounts counts_;
  CallResult answered_;  // the last answer; its strings keep their capacity unless Done took them
  std::string why_;
};

}  // namespace kv::rpc
