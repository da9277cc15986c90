#include "phase2_rpc/dispatcher.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <bit>

#include "common/core/check.h"

namespace kv::rpc {

struct Dispatcher::Running {
  Running(const Entry& its_entry, const CallContext& seen, const IncomingCall& call,
          Respond its_respond)
      : entry(its_entry),
        metadata(seen.metadata),
        context{.arrived = seen.arrived,
                .deadline = seen.deadline,
                .metadata = metadata,
                .method = its_entry.name,
                .trusted = seen.trusted},
        body(call.body),
        respond(std::move(its_respond)) {}
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

  const Entry& entry;
  const Metadata metadata;
  const CallContext context;
  const Bytes body;
  const Respond respond;
  bool keeps_answer = false;  // the first run of an operation: the table waits for its result
};

void MethodCounts::count(Code code, Duration took) {
  const auto us = static_cast<std::uint64_t>(std::max<Duration::rep>(took.count(), 0));
  const std::size_t bucket = std::min<std::size_t>(std::bit_width(us), buckets - 1);
  calls.fetch_add(1, std::memory_order_relaxed);
  by_code[static_cast<std::size_t>(code)].fetch_add(1, std::memory_order_relaxed);
  latency[bucket].fetch_add(1, std::memory_order_relaxed);
  latency_us_sum.fetch_add(us, std::memory_order_relaxed);
}

Dispatcher::Dispatcher(Now now, ToPool to_pool)
    : now_(std::move(now)), to_pool_(std::move(to_pool)) {}

void Dispatcher::add(std::uint16_t id, std::string_view name, Safety safety, Placement placement,
                     std::variant<Handler, LateHandler> handler) {
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
  for (const auto& [before, after] : interceptors_) {
    if (after) {
      after(context, result, took);
    }
  }
}

Dispatcher::Opened Dispatcher::open(const IncomingCall& call) const {
  Opened opened{.entry = entry_of(call.method), .metadata = {}, .refused = {}};
  if (opened.entry == nullptr) {
    opened.refused = failure(Code::unimplemented, Executed::no, "this server has no such method");
    return opened;
  }
  if (!call.metadata.empty()) {
    auto decoded = wire::decode<Metadata>(call.metadata);
    if (!decoded) {
      opened.refused = malformed();
      return opened;
    }
    opened.metadata = std::move(*decoded);
  }
  const CallContext context = context_of(call, opened);
  opened.refused = refusal_of(*opened.entry, context);
  if (opened.refused) {
    finish(*opened.entry, context, *opened.refused);
  }
  return opened;
}

CallContext Dispatcher::context_of(const IncomingCall& call, const Opened& opened) {
  return {.arrived = call.arrived,
          .deadline = call.deadline,
          .metadata = opened.metadata,
          .method = opened.entry->name,
          .trusted = call.trusted};
}

bool Dispatcher::is_at_once(const Opened& opened) {
  const Entry& entry = *opened.entry;
  const bool once = entry.safety == Safety::once && !opened.metadata.origin.client.empty();
  return !once && entry.placement.where == Where::reading_thread &&
         std::holds_alternative<Handler>(entry.handler);
}

void Dispatcher::dispatch(const IncomingCall& call, const RespondTo& respond_to) {
  Opened opened = open(call);
  if (opened.refused) {
    respond_to.at_once(*opened.refused);
    return;
  }
  const CallContext context = context_of(call, opened);
  if (is_at_once(opened)) {
    const CallResult result = std::get<Handler>(opened.entry->handler)(context, call.body);
    finish(*opened.entry, context, result);
    respond_to.at_once(result);
    return;
  }
  const bool once = opened.entry->safety == Safety::once && !opened.metadata.origin.client.empty();
  start(std::make_shared<Running>(*opened.entry, context, call, respond_to.later()), once);
}

void Dispatcher::start(const RunningCall& call, bool once) {
  if (once) {
    const std::uint64_t hash = XXH3_64bits_withSeed(
        call->body.data(), call->body.size(), std::hash<std::string_view>{}(call->context.method));
    call->keeps_answer = true;
    if (!answers_.enter(call->metadata.origin, hash, [this, call](const CallResult& result) {
          call->keeps_answer = false;  // a repetition: the first run's answer, already kept
          end(*call, result);
        })) {
      return;
    }
  }
  if (call->entry.placement.where == Where::reading_thread) {
    execute(call);
  } else if (!to_pool_([this, call] { execute(call); })) {
    end(*call, failure(Code::resource_exhausted, Executed::no, "the server's queue is full"));
  }
}

void Dispatcher::execute(const RunningCall& call) {
  if (now_() >= call->context.deadline) {
    end(*call, failure(Code::deadline_exceeded, Executed::no, "too late when its turn came"));
    return;
  }
  if (const auto* handler = std::get_if<Handler>(&call->entry.handler)) {
    end(*call, (*handler)(call->context, call->body));
    return;
  }
  std::get<LateHandler>(call->entry.handler)(
      call->context, call->body, [this, call](const CallResult& result) { end(*call, result); });
}

void Dispatcher::end(Running& call, const CallResult& result) {
  if (call.keeps_answer) {
    answers_.finished(call.metadata.origin, result);
  }
  finish(call.entry, call.context, result);
  call.respond(result);
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
