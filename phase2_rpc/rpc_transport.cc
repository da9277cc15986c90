#include "phase2_rpc/rpc_transport.h"

#include <utility>

#include "common/core/check.h"
#include "common/wire/line.h"
#include "phase2_rpc/kv_methods.h"
#include "phase2_rpc/server_methods.h"

namespace kv::rpc {
namespace {

using client::Outcome;

/// What is certain about a call that brought no reply of the store.
Outcome outcome_without_reply(const CallResult& result) {
  if (result.executed == Executed::no) {
    return Outcome::not_sent;
  }
  return result.code == Code::deadline_exceeded ? Outcome::timed_out : Outcome::lost;
}

std::optional<Reply> reply_of(Verb verb, const CallResult& result) {
  if (verb != Verb::ping) {
    return wire::decode<Reply>(result.body);
  }
  const auto health = wire::decode<Health>(result.body);
  if (!health) {
    return std::nullopt;
  }
  return health->serving ? Reply{} : Reply{.status = Status::unavailable, .why = "cannot write"};
}

}  // namespace

Request request_of(const Command& command) {
  Metadata metadata;
  metadata.origin = command.origin;
  wire::append_origin(metadata.op, command.origin);
  switch (command.verb) {
    case Verb::get:
      return RpcClient::request_of(kv_get, Get{command.key}, metadata);
    case Verb::put:
      return RpcClient::request_of(kv_put, Put{command.key, command.value}, metadata);
    case Verb::erase:
      return RpcClient::request_of(kv_delete, Erase{command.key}, metadata);
    case Verb::compare_and_set:
      return RpcClient::request_of(
          kv_cas, CompareAndSet{command.key, command.expected, command.value}, metadata);
    case Verb::batch:
      return RpcClient::request_of(kv_batch, Batch{command.guards, command.writes}, metadata);
    case Verb::ping:
      return RpcClient::request_of(server_health, Nothing{}, metadata);
  }
  check(false);
  return {};
}

client::CallResult outcome_of(Verb verb, const CallResult& result) {
  if (result.code != Code::ok) {
    return {.outcome = outcome_without_reply(result),
            .reply = {},
            .why = std::string{name_of(result.code)} + ": " + result.why};
  }
  auto reply = reply_of(verb, result);
  if (!reply) {
    return {.outcome = Outcome::lost, .reply = {}, .why = "the answer is malformed"};
  }
  return {.outcome = Outcome::answered, .reply = std::move(*reply), .why = {}};
}

RpcTransport::RpcTransport(const RpcClient::Options& options, std::string servers,
                           client::EventSink& events)
    : client_(options,
              [&events](Level level, std::string_view fields) { events.event(level, fields); }),
      servers_(std::move(servers)) {}

client::CallResult RpcTransport::call(const Command& command, Duration timeout) {
  return outcome_of(command.verb, client_.call_and_wait(request_of(command), timeout));
}

}  // namespace kv::rpc
