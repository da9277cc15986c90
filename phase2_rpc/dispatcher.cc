#include "phase2_rpc/dispatcher.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <exception>

#include "common/core/check.h"

namespace kv::rpc {

namespace {

constexpr std::string_view too_late = "too late when its turn came";
constexpr std::string_view no_answer = "its handler never gave an answer";

/// Of the many calls that have none: an empty one is not made for each.
const Metadata& metadata_or_none(const std::optional<Metadata>& metadata) {
  static const Metadata none;
  return metadata ? *metadata : none;
}

/// Runs a handler. Not our code: what it throws ends its call, and not the server; told in `why`,
/// it is in the access log as well. True if it threw nothing.
template <typename Run>
bool ran(Run&& run, std::string& why) {
  try {
    run();
    return true;
  } catch (const std::exception& thrown) {
    why = std::string{"its handler failed: "} + thrown.what();
  } catch (...) {
    why = "its handler failed";
  }
  return false;
}

CallResult failed(std::string_view why) {
  return failure(Code::internal, Executed::maybe, why);
}

/// What is kept of a call for a while is not much larger than it came.
bool is_bounded(const Metadata& metadata) {
  return metadata.entries.size() <= Metadata::entries_max &&
         metadata.origin.client.size() <= Metadata::client_bytes_max;
}

}  // namespace

struct Dispatcher::Running {
  Running(Dispatcher& its_dispatcher, const Entry& its_entry,
          std::optional<Metadata>&& its_metadata, const CallContext& seen,
          std::shared_ptr<ReturnPath> its_path)
      : dispatcher(its_dispatcher),
        entry(its_entry),
        metadata(std::move(its_metadata)),
        context{.arrived = seen.arrived,
                .deadline = seen.deadline,
                .metadata = metadata_or_none(metadata),
                .caller = seen.caller,
                .method = its_entry.name,
                .id = seen.id,
                .request = {},
                .trusted = seen.trusted},
        path(std::move(its_path)) {
    dispatcher.in_flight_.fetch_add(1, std::memory_order_relaxed);
  }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;
  ~Running() { dispatcher.in_flight_.fetch_sub(1, std::memory_order_relaxed); }

  Dispatcher& dispatcher;
  const Entry& entry;
  const std::optional<Metadata> metadata;
  CallContext context;
  Bytes body;  // of a call that leaves the thread that read it
  const std::shared_ptr<ReturnPath> path;
  bool keeps_answer = false;  // the first run of an operation: the table waits for its result
  std::atomic<bool> ended{false};
  std::atomic<std::uint32_t> owners{1};
};

void Dispatcher::Respond::operator()(const CallResult& result) const {
  check(call_ != nullptr);
  if (!call_->ended.exchange(true, std::memory_order_acq_rel)) {
    call_->dispatcher.end(*call_, result);
  }
}

void* Dispatcher::Respond::release() && {
  return std::exchange(call_, nullptr);
}

Dispatcher::Respond Dispatcher::Respond::adopt(void* released) {
  check(released != nullptr);
  return Respond{static_cast<Running*>(released)};
}

Dispatcher::Respond::Respond(const Respond& other) : call_(other.call_) {
  if (call_ != nullptr) {
    call_->owners.fetch_add(1, std::memory_order_relaxed);
  }
}

Dispatcher::Respond::~Respond() {
  if (call_ == nullptr) {
    return;
  }
  // The last owner, most often: then nobody else can come between.
  if (call_->owners.load(std::memory_order_acquire) != 1 &&
      call_->owners.fetch_sub(1, std::memory_order_acq_rel) != 1) {
    return;
  }
  if (!call_->ended.load(std::memory_order_relaxed)) {
    call_->dispatcher.end(*call_, failure(Code::internal, Executed::maybe, no_answer));
  }
  delete call_;
}

void Dispatcher::Asked::answer(const CallResult& result) {
  if (const InHand* call = std::exchange(in_hand_, nullptr)) {
    call->dispatcher.finish(call->entry, call->context, result);
    call->respond_to.at_once(result);
    return;
  }
  respond_(result);
}

Dispatcher::Respond Dispatcher::Asked::later() {
  if (const InHand* call = std::exchange(in_hand_, nullptr)) {
    return Respond{new Running(call->dispatcher, call->entry, std::move(call->metadata),
                               call->context, call->respond_to.later())};
  }
  return std::move(respond_);
}

void Dispatcher::Asked::fail(std::string_view why) {
  if (in_hand_ != nullptr) {  // else its Respond has told, or tells when it goes
    answer(failed(why));
  }
}

Dispatcher::Asked::~Asked() {
  if (in_hand_ != nullptr) {
    answer(failure(Code::internal, Executed::maybe, no_answer));
  }
}

void MethodCounts::count(Code code, Duration took) {
  const auto us = static_cast<std::uint64_t>(std::max<Duration::rep>(took.count(), 0));
  const std::size_t bucket = std::min<std::size_t>(std::bit_width(us), buckets - 1);
  by_code[static_cast<std::size_t>(code)].fetch_add(1, std::memory_order_relaxed);
  latency[bucket].fetch_add(1, std::memory_order_relaxed);
  if (us > 0) {
    latency_us_sum.fetch_add(us, std::memory_order_relaxed);
  }
}

std::uint64_t MethodCounts::calls() const {
  std::uint64_t sum = 0;
  for (const auto& count : by_code) {
    sum += count.load(std::memory_order_relaxed);
  }
  return sum;
}

Dispatcher::Dispatcher(Now now, ToPool to_pool)
    : now_(std::move(now)), to_pool_(std::move(to_pool)) {}

void Dispatcher::add(std::uint16_t id, std::string_view name, Safety safety, Placement placement,
                     AnyHandler handler) {
  check(id < methods_max && !name.empty() && entry_of(id) == nullptr);
  if (entries_.size() <= id) {
    entries_.resize(id + std::size_t{1});
  }
  entries_[id] = {.name = std::string{name},
                  .safety = safety,
                  .placement = placement,
                  .handler = std::move(handler),
                  .counts = std::make_unique<MethodCounts>()};
}

void Dispatcher::intercept(Before before, After after) {
  interceptors_.emplace_back(std::move(before), std::move(after));
}

const Dispatcher::Entry* Dispatcher::entry_of(std::uint16_t id) const {
  return id < entries_.size() && !entries_[id].name.empty() ? &entries_[id] : nullptr;
}

std::optional<CallResult> Dispatcher::refusal_of(const Entry& entry,
                                                 const CallContext& context) const {
  if (entry.placement.callers == Callers::trusted && !context.trusted) {
    return failure(Code::unauthenticated, Executed::no,
                   "this method is for those who know the cluster's secret");
  }
  for (const auto& [before, after] : interceptors_) {
    if (before) {
      if (auto refused = before(context)) {
        refused->executed = Executed::no;
        return refused;
      }
    }
  }
  return std::nullopt;
}

void Dispatcher::finish(const Entry& entry, const CallContext& context,
                        const CallResult& result) const {
  const Duration took = now_() - context.arrived;
  entry.counts->count(result.code, took);
  count_refusal(result);
  for (const auto& [before, after] : interceptors_) {
    if (after) {
      after(context, result, took);
    }
  }
}

void Dispatcher::count_refusal(const CallResult& result) const {
  if (result.code == Code::ok || result.executed != Executed::no) {
    return;
  }
  refused_.fetch_add(1, std::memory_order_relaxed);
  if (result.code == Code::deadline_exceeded) {
    expired_.fetch_add(1, std::memory_order_relaxed);
  }
}

/// Whether the dispatcher's own table keeps the call from running twice.
bool Dispatcher::is_once(const Entry& entry, const CallContext& context) {
  return entry.safety == Safety::once && entry.placement.once_by == OnceBy::dispatcher &&
         !context.metadata.origin.client.empty();
}

/// Whether refusal_of() need be asked at all.
bool Dispatcher::may_refuse(const Entry& entry) const {
  return entry.placement.callers == Callers::trusted || !interceptors_.empty();
}

/// A call that did not get as far as to a method.
void Dispatcher::refuse(const CallResult& refusal, const RespondTo& respond_to) const {
  count_refusal(refusal);
  respond_to.at_once(refusal);
}

void Dispatcher::dispatch(const IncomingCall& call, const RespondTo& respond_to) {
  const Entry* const found = entry_of(call.method);
  if (found == nullptr) {
    refuse(failure(Code::unimplemented, Executed::no, "this server has no such method"),
           respond_to);
    return;
  }
  const Entry& entry = *found;
  std::optional<Metadata> metadata;
  if (!call.metadata.empty()) {
    metadata = wire::decode<Metadata>(call.metadata);
    if (!metadata || !is_bounded(*metadata)) {
      refuse(malformed(), respond_to);
      return;
    }
  }
  const CallContext context{.arrived = call.arrived,
                            .deadline = call.deadline,
                            .metadata = metadata_or_none(metadata),
                            .caller = respond_to.caller(),
                            .method = entry.name,
                            .id = call.id,
                            .request = call.body,
                            .trusted = call.trusted};
  if (may_refuse(entry)) {
    if (const auto refused = refusal_of(entry, context)) {
      finish(entry, context, *refused);
      respond_to.at_once(*refused);
      return;
    }
  }
  if (call.looked_at >= call.deadline) {
    const CallResult late = failure(Code::deadline_exceeded, Executed::no, too_late);
    finish(entry, context, late);
    respond_to.at_once(late);
    return;
  }
  const bool once = is_once(entry, context);
  if (entry.placement.where == Where::reading_thread && !once) {
    run_here({*this, entry, metadata, context, respond_to});
    return;
  }
  const Respond respond{
      new Running(*this, entry, std::move(metadata), context, respond_to.later())};
  respond.call_->body = call.body;
  respond.call_->context.request = respond.call_->body;
  start(respond, once);
}

/// On the thread that read it, and without a copy of the request.
void Dispatcher::run_here(const Asked::InHand& call) {
  const ByteView request = call.context.request;
  std::string why;
  if (const auto* direct = std::get_if<DirectHandler>(&call.entry.handler)) {
    Asked asked{call};
    if (!ran([&] { (*direct)(call.context, request, asked); }, why)) {
      asked.fail(why);
    }
    return;
  }
  if (const auto* handler = std::get_if<Handler>(&call.entry.handler)) {
    CallResult result;
    if (!ran([&] { result = (*handler)(call.context, request); }, why)) {
      result = failed(why);
    }
    finish(call.entry, call.context, result);
    call.respond_to.at_once(result);
    return;
  }
  Respond respond = Asked{call}.later();
  respond.call_->owners.store(2, std::memory_order_relaxed);  // nobody else knows it yet
  const auto& handler = std::get<LateHandler>(call.entry.handler);
  Respond its_own{respond.call_};
  if (!ran([&] { handler(respond.call_->context, request, std::move(its_own)); }, why)) {
    respond(failed(why));
  }
}

void Dispatcher::start(const Respond& respond, bool once) {
  Running& call = *respond.call_;
  if (once) {
    const std::uint64_t hash = XXH3_64bits_withSeed(
        call.body.data(), call.body.size(), std::hash<std::string_view>{}(call.context.method));
    if (!answers_.enter(call.context.metadata.origin, hash, respond)) {
      return;  // a repetition: it gets the first run's answer
    }
    call.keeps_answer = true;
  }
  if (call.entry.placement.where == Where::reading_thread) {
    execute(respond);
  } else {
    hand_over(respond);
  }
}

void Dispatcher::hand_over(const Respond& respond) {
  if (!to_pool_([this, respond] { take_turn(respond); })) {
    respond(failure(Code::resource_exhausted, Executed::no, "the server's queue is full"));
  }
}

/// In the pool.
void Dispatcher::take_turn(const Respond& respond) {
  const Running& call = *respond.call_;
  // Repetitions may wait for the answer of an operation that is to be run once: so it runs.
  if (!call.keeps_answer && call.path->given_up(call.context.id)) {
    respond(failure(Code::cancelled, Executed::no, "the caller gave up before its turn came"));
  } else if (!call.path->is_full() || !call.path->park([this, respond] { hand_over(respond); })) {
    execute(respond);
  }
}

void Dispatcher::execute(const Respond& respond) {
  const Running& call = *respond.call_;
  if (now_() >= call.context.deadline) {
    respond(failure(Code::deadline_exceeded, Executed::no, too_late));
    return;
  }
  const auto run = [&] {
    if (const auto* handler = std::get_if<Handler>(&call.entry.handler)) {
      respond((*handler)(call.context, call.body));
    } else if (const auto* direct = std::get_if<DirectHandler>(&call.entry.handler)) {
      Asked asked{respond};
      (*direct)(call.context, call.body, asked);
    } else {
      std::get<LateHandler>(call.entry.handler)(call.context, call.body, respond);
    }
  };
  if (std::string why; !ran(run, why)) {
    respond(failed(why));
  }
}

void Dispatcher::end(Running& call, const CallResult& result) {
  if (call.keeps_answer) {
    answers_.finished(call.context.metadata.origin, result);
  }
  finish(call.entry, call.context, result);
  call.path->answer(call.context.id, result);
}

std::vector<Dispatcher::Listed> Dispatcher::methods() const {
  std::vector<Listed> listed;
  for (std::size_t id = 0; id < entries_.size(); ++id) {
    const Entry& entry = entries_[id];
    if (!entry.name.empty()) {
      listed.push_back({.id = static_cast<std::uint16_t>(id),
                        .name = entry.name,
                        .safety = entry.safety,
                        .counts = entry.counts.get()});
    }
  }
  return listed;
}

}  // namespace kv::rpc
