// What a server does with a call: finds the method, refuses what is late or strange, keeps
// at-most-once, asks the interceptors, runs the handler where it belongs, counts and answers.
//
// Methods and interceptors are added before the first call; after that everything is const but
// the counts, and dispatch() may be called from every thread at once.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "common/core/bytes.h"
#include "common/core/time.h"
#include "common/wire/fields.h"
#include "phase2_rpc/answer_table.h"
#include "phase2_rpc/code.h"
#include "phase2_rpc/method.h"
#include "phase2_rpc/rpc_frame.h"
#include "phase2_rpc/server_core.h"

namespace kv::rpc {

/// Who calls: one connection.
struct Caller {
  std::string address;           // 127.0.0.1:4711
  std::uint64_t connection = 0;  // its number at this server
};

/// What a handler knows of the call it runs. Valid until the handler returns; a handler that
/// answers later copies what it needs.
struct CallContext {
  Instant arrived;
  Instant deadline;  // nested calls inherit it
  const Metadata& metadata;
  const Caller& caller;
  std::string_view method;
  CallId id;
  ByteView request;  // empty once a call has left the thread that read it, but for the pool's
  bool trusted;
};

/// A connection as late answers see it: from any thread, and safely after its end.
class ReturnPath {
 public:
  ReturnPath() = default;
  ReturnPath(const ReturnPath&) = delete;
  ReturnPath& operator=(const ReturnPath&) = delete;
  virtual ~ReturnPath() = default;

  virtual void answer(CallId id, const CallResult& result) = 0;

  // Asked when a call's turn comes that has waited for it.

  /// Whether its caller has given it up.
  virtual bool given_up(CallId) const { return false; }
  /// Whether so many answers wait for the client that no more should be made for it now …
  virtual bool is_full() const { return false; }
  /// … and then a call may wait for room: true, and `again` runs later, on some thread, whatever
  /// becomes of the connection. False: there is room after all.
  virtual bool park(const std::function<void()>&) { return false; }
};

/// Where a handler runs.
enum class Where : std::uint8_t {
  reading_thread,  // short, never waits: handing it over would cost more than it does
  pool,            // all else
};

/// Who may call a method.
enum class Callers : std::uint8_t { all, trusted };

/// Who keeps a method of Safety::once from running twice: the dispatcher's table of answers, or
/// what the handler calls (a replica's sessions, say), which is told the origin.
enum class OnceBy : std::uint8_t { dispatcher, handler };

/// Counts of one method, for /metrics. Bucket i counts calls below 2^i microseconds.
struct MethodCounts {
  static constexpr std::size_t buckets = 26;
  std::array<std::atomic<std::uint64_t>, 17> by_code{};
  std::array<std::atomic<std::uint64_t>, buckets> latency{};
  std::atomic<std::uint64_t> latency_us_sum{0};

  void count(Code code, Duration took);
  std::uint64_t calls() const;
};

class Dispatcher {
 private:
  struct Running;  // a call that outlives its dispatch()
  struct Entry;    // a method

 public:
  /// Takes a call's result, on whatever thread has it: the first that is given counts. Copies are
  /// the same call; when the last one goes without a result, the call ends as internal.
  class Respond {
   public:
    void operator()(const CallResult& result) const;

    /// For callbacks that have room for one word: the call as a pointer that owns it, which
    /// adopt() takes back, exactly once.
    void* release() &&;
    static Respond adopt(void* released);

    Respond(const Respond& other);
    Respond(Respond&& other) noexcept : call_(std::exchange(other.call_, nullptr)) {}
    Respond& operator=(Respond other) noexcept {
      std::swap(call_, other.call_);
      return *this;
    }
    ~Respond();

   private:
    friend class Dispatcher;
    explicit Respond(Running* call) : call_(call) {}

    Running* call_;
  };

  /// Where a call's result goes: exactly one of the two is used.
  class RespondTo {
   public:
    RespondTo() = default;
    RespondTo(const RespondTo&) = delete;
    RespondTo& operator=(const RespondTo&) = delete;
    virtual ~RespondTo() = default;
    /// The result is there before dispatch() returns, on its thread.
    virtual void at_once(const CallResult& result) const = 0;
    /// The result comes later, or from another thread.
    virtual std::shared_ptr<ReturnPath> later() const = 0;
    /// Stays where it is as long as what later() returns.
    virtual const Caller& caller() const = 0;
  };

  /// A call while its DirectHandler runs. The handler uses one of the two, once; if it uses none,
  /// the call ends as internal.
  class Asked {
   public:
    void answer(const CallResult& result);
    /// From here on the handler's context has lost its metadata.
    Respond later();

    Asked(const Asked&) = delete;
    Asked& operator=(const Asked&) = delete;
    ~Asked();

   private:
    friend class Dispatcher;
    /// A call that dispatch() is about …
    struct InHand {
      Dispatcher& dispatcher;
      const Entry& entry;
      std::optional<Metadata>& metadata;
      const CallContext& context;
      const RespondTo& respond_to;
    };
    explicit Asked(const InHand& call) : in_hand_(&call), respond_(nullptr) {}
    /// … or one that has outlived it.
    explicit Asked(Respond respond) : in_hand_(nullptr), respond_(std::move(respond)) {}
    void fail(std::string_view why);

    const InHand* in_hand_;  // until it is answered or taken
    Respond respond_;
  };

  // A handler that throws ends its call as internal, maybe executed, with what it threw as the
  // reason, and ends nothing else.

  /// A handler that has its result when it returns …
  using Handler = std::function<CallResult(const CallContext&, ByteView request)>;
  /// … and one that gives it to `respond`, during the call or later.
  using LateHandler = std::function<void(const CallContext&, ByteView request, Respond respond)>;
  /// … and one that has it at once, most often, and then pays for nothing else.
  using DirectHandler = std::function<void(const CallContext&, ByteView request, Asked& asked)>;
  /// Any of them.
  using AnyHandler = std::variant<Handler, LateHandler, DirectHandler>;
  /// Before the handler: a result refuses the call.
  using Before = std::function<std::optional<CallResult>(const CallContext&)>;
  using After = std::function<void(const CallContext&, const CallResult&, Duration took)>;
  /// Hands a piece of work to the pool; false if its queue is full.
  using ToPool = std::function<bool(std::function<void()>)>;
  using Now = std::function<Instant()>;

  Dispatcher(Now now, ToPool to_pool);
  static CallResult malformed() {
    return failure(Code::invalid_argument, Executed::no, "the request is malformed");
  }
  Dispatcher(const Dispatcher&) = delete;
  Dispatcher& operator=(const Dispatcher&) = delete;

  struct Placement {
    Where where = Where::reading_thread;
    Callers callers = Callers::all;
    OnceBy once_by = OnceBy::dispatcher;
  };

  /// `handler(const CallContext&, const Request&) -> Answer`.
  template <typename Request, typename Answer, typename HandlerFunction>
  void serve(const Method<Request, Answer>& method, Placement placement, HandlerFunction handler) {
    add(method.id, method.name, method.safety, placement,
        Handler{[handler = std::move(handler)](const CallContext& context, ByteView bytes) {
          const auto request = wire::decode<Request>(bytes);
          if (!request) {
            return malformed();
          }
          return CallResult{.body = wire::encode(handler(context, *request))};
        }});
  }

  /// `handler(const CallContext&, const Request&, std::function<void(const Answer&)>)`.
  template <typename Request, typename Answer, typename HandlerFunction>
  void serve_late(const Method<Request, Answer>& method, Placement placement,
                  HandlerFunction handler) {
    add(method.id, method.name, method.safety, placement,
        LateHandler{[handler = std::move(handler)](const CallContext& context, ByteView bytes,
                                                   Respond respond) {
          const auto request = wire::decode<Request>(bytes);
          if (!request) {
            respond(malformed());
            return;
          }
          handler(context, *request, [respond = std::move(respond)](const Answer& answer) {
            respond({.body = wire::encode(answer)});
          });
        }});
  }

  /// The same without types. The id is free until now and below methods_max.
  void add(std::uint16_t id, std::string_view name, Safety safety, Placement placement,
           AnyHandler handler);
  static constexpr std::uint16_t methods_max = 1'024;

  void intercept(Before before, After after);

  void dispatch(const IncomingCall& call, const RespondTo& respond_to);

  struct Listed {
    std::uint16_t id;
    std::string name;
    Safety safety;
    const MethodCounts* counts;
  };
  std::vector<Listed> methods() const;

  /// Calls that were taken and not answered yet.
  std::int64_t in_flight() const { return in_flight_.load(std::memory_order_relaxed); }
  /// Calls that were certainly not executed, and those of them whose deadline had passed.
  std::uint64_t refused() const { return refused_.load(std::memory_order_relaxed); }
  std::uint64_t expired() const { return expired_.load(std::memory_order_relaxed); }

 private:
  struct Entry {
    std::string name;
    Safety safety = Safety::never;
    Placement placement;
    AnyHandler handler;
    std::unique_ptr<MethodCounts> counts;
  };

  static bool is_once(const Entry& entry, const CallContext& context);
  bool may_refuse(const Entry& entry) const;
  void refuse(const CallResult& refusal, const RespondTo& respond_to) const;
  const Entry* entry_of(std::uint16_t id) const;
  std::optional<CallResult> refusal_of(const Entry& entry, const CallContext& context) const;
  void finish(const Entry& entry, const CallContext& context, const CallResult& result) const;
  void count_refusal(const CallResult& result) const;
  void run_here(const Asked::InHand& call);
  void start(const Respond& respond, bool once);
  void hand_over(const Respond& respond);
  void take_turn(const Respond& respond);
  void execute(const Respond& respond);
  void end(Running& call, const CallResult& result);

  Now now_;
  ToPool to_pool_;
  std::vector<Entry> entries_;  // by id; one without a name is no method
  std::vector<std::pair<Before, After>> interceptors_;
  std::atomic<std::int64_t> in_flight_{0};
  mutable std::atomic<std::uint64_t> refused_{0};
  mutable std::atomic<std::uint64_t> expired_{0};
  AnswerTable answers_;
};

}  // namespace kv::rpc
