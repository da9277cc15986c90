// The RPC client: a connection to the first of its servers that says hello, and calls over it.
//
// It reconnects by itself, to the next server of its list, and tries a call again where that is
// safe (see retry.h). Every call ends once, by its deadline at the latest.
//
// Three ways to use one: call() with a callback; call_soon() with a future; and, in
// rpc_awaitable.h, with co_await. The client's loop runs on a thread of its own, or, with
// Drive::caller, on the thread that waits in call_and_wait(): one thread less to wake a call.
// Clients that share a loop share its thread.
#pragma once

#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/core/level.h"
#include "common/core/time.h"
#include "common/host/address.h"
#include "common/wire/fields.h"
#include "phase2_rpc/client_core.h"
#include "phase2_rpc/method.h"
#include "phase2_rpc/retry.h"
#include "phase2_rpc/rpc_loop.h"
#include "phase2_rpc/tls.h"

namespace kv::rpc {

/// A call before it is bytes of a connection.
struct Request {
  std::uint16_t method = 0;
  Safety safety = Safety::never;
  bool has_origin = false;
  Bytes metadata;
  Bytes body;
};

template <typename Answer>
struct Answered {
  CallResult result;             // without its body
  std::optional<Answer> answer;  // there if the result is ok
};

/// Of a call, at its client; never 0.
using CallNumber = std::uint64_t;

struct ClientCountsAll {
  std::uint64_t started = 0;
  std::uint64_t retried = 0;
  std::uint64_t connected = 0;
  std::uint64_t answers_unasked = 0;
};

class RpcClient {
 public:
  using Drive = RpcLoop::Drive;
  struct Options {
    std::vector<host::Endpoint> servers;  // in the order of preference; at least one
    Drive drive = Drive::own_thread;      // of a loop of its own …
    std::shared_ptr<RpcLoop> loop;        // … or another's, whose drive and spin are its own
    /// Drive::caller: after so long a silence a call first looks at what has become of the
    /// connection, for nobody did meanwhile.
    Duration silence_trusted = std::chrono::seconds{1};
    Duration spin = SpinHabit::spin_default;  // at most; zero: sleeps at once; see spin.h
    ClientCore::Options core;
    /// For each server, to the end of its hello; each round of the list in vain has twice as much.
    /// A lone server without TLS is sent calls before its hello, and may say it when it likes.
    Duration connect_patience = std::chrono::milliseconds{800};
    BackOff::Options back_off;
    TlsFiles tls;
    std::string secret;  // of the cluster, if this client is one of its replicas
    std::uint64_t seed = 1;
  };
  using Notice = std::function<void(Level level, std::string_view fields)>;

  static constexpr Duration patience_default = std::chrono::seconds{2};
  /// From here on patience has no end.
  static constexpr Duration patience_most = std::chrono::hours{24 * 365 * 100};
  static constexpr std::size_t body_bytes_usual = 128;  // of a request: room for it at once

  RpcClient(const Options& options, Notice notice);
  RpcClient(const RpcClient&) = delete;
  RpcClient& operator=(const RpcClient&) = delete;
  /// Ends every call that is left as cancelled, and those that their callbacks make then, for as
  /// long as they make any. Not from one of its own callbacks.
  ~RpcClient();

  /// The empty string, or why the client cannot be used at all: files of TLS, mostly. Servers
  /// that cannot be reached are no such reason: calls wait for them within their patience.
  const std::string& why_unusable() const;

  /// `done` runs once, on the client's thread, `patience` from now at the latest (queueing and
  /// reconnecting included): then with deadline_exceeded. It must not throw: that ends the process.
  /// It runs in here, not executed, with deadline_exceeded if `patience` is not above zero, and
  /// with resource_exhausted if as many calls, or bytes of them, as may be in flight wait for the
  /// loop or for a connection. What cancel() takes is returned, 0 if the call has ended in here.
  CallNumber call(Request request, Duration patience, Done done);
  /// Unless the call has ended: ends it as cancelled, on the client's thread, and tells the server
  /// to spare itself the work. Not executed, if it was never sent. From any thread. For the
  /// exception: it looks at all calls.
  void cancel(CallNumber number);
  /// Wants no answer, and does not learn whether it arrived: it is dropped if there is no
  /// connection, or too much in flight. False if too many calls wait to be looked at.
  bool notify(Request request);

  std::future<CallResult> call_soon(Request request, Duration patience = patience_default);
  /// The same, with what cancel() takes.
  std::future<CallResult> call_soon(Request request, Duration patience, CallNumber& number);
  /// failed_precondition at once, not executed, on the client's own thread, in a callback, where it
  /// would wait for itself; call_soon().get() there does.
  CallResult call_and_wait(Request request, Duration patience = patience_default);

  template <typename Ask, typename Answer>
  Answered<Answer> call_and_wait(const Method<Ask, Answer>& method, const Ask& ask,
                                 const Metadata& metadata = {},
                                 Duration patience = patience_default) {
    return read<Answer>(call_and_wait(request_of(method, ask, metadata), patience));
  }

  /// `done(Answered<Answer>&&)`.
  template <typename Ask, typename Answer, typename DoneFunction>
  CallNumber call(const Method<Ask, Answer>& method, const Ask& ask, const Metadata& metadata,
                  Duration patience, DoneFunction done) {
    Done told = [done = std::move(done)](const CallResult& result) { done(read<Answer>(result)); };
    if (Request* const room = room_in_turn()) {
      fill(*room, method, ask, metadata);
      return call_in_turn(patience, std::move(told));
    }
    return call(request_of(method, ask, metadata), patience, std::move(told));
  }

  template <typename Ask, typename Answer>
  static Request request_of(const Method<Ask, Answer>& method, const Ask& ask,
                            const Metadata& metadata) {
    Request request;
    fill(request, method, ask, metadata);
    return request;
  }

  /// Leaves the body where it is: whoever gave the result may use its memory again.
  template <typename Answer>
  static Answered<Answer> read(const CallResult& result) {
    Answered<Answer> answered{
        .result = {.code = result.code, .executed = result.executed, .body = {}, .why = result.why},
        .answer = {}};
    if (result.code == Code::ok) {
      wire::FieldReader reader{result.body};
      Answer::fields(answered.answer.emplace(), reader);
      if (!reader.good()) {
        answered.answer.reset();
        answered.result = failure(Code::internal, Executed::maybe, "the answer is malformed");
      }
    }
    return answered;
  }

  /// Drive::caller: runs the loop until `until()` is true; it is asked after each event. Not in a
  /// callback.
  void drive(const std::function<bool()>& until);

  /// A server has said hello, and is not lost since.
  bool connected() const;
  ClientCountsAll counts() const;

 private:
  struct Impl;
  struct Pending;
  class SparePendings;

  template <typename Ask, typename Answer>
  static void fill(Request& blank, const Method<Ask, Answer>& method, const Ask& ask,
                   const Metadata& metadata) {
    blank.method = method.id;
    blank.safety = method.safety;
    blank.has_origin = !metadata.origin.client.empty();
    if (!metadata.empty()) {
      wire::encode_to(metadata, blank.metadata);
    }
    blank.body.reserve(body_bytes_usual);
    wire::encode_to(ask, blank.body);
  }
  /// In one of this client's callbacks: a blank request, in the memory that an earlier call has
  /// left, where it stays for call_in_turn(), which follows. Elsewhere nothing.
  Request* room_in_turn();
  CallNumber call_at(Instant now, Request request, Duration patience, Done done);
  CallNumber call_in_turn(Duration patience, Done done);

  std::shared_ptr<RpcLoop> loop_;
  std::shared_ptr<Impl> impl_;  // until the loop has forgotten its last operation
};

}  // namespace kv::rpc
