#include "phase2_rpc/kv_skeleton.h"

#include <algorithm>
#include <utility>

#include "common/wire/fields.h"
#include "common/wire/line.h"
#include "phase2_rpc/kv_methods.h"

namespace kv::rpc {
namespace {

constexpr std::string_view key_rule =
    "a key is 1 to 250 bytes without white space and control bytes";

/// What an `Ask` brings of a command; its strings keep their capacity.
template <typename Ask>
bool read_into(Command& command, ByteView bytes) {
  const auto clear = [](std::string_view, auto& field) { field.clear(); };
  Ask::fields(command, clear);  // what a shorter request does not bring is empty
  wire::FieldReader reader{bytes};
  Ask::fields(command, reader);
  return reader.good();
}

/// `to`: what takes the call's result.
template <typename To>
void answer(To&& to, const ReplyView& reply) {
  static thread_local CallResult result;
  result.body.clear();
  wire::encode_to(reply, result.body);
  to(result);
}

bool keys_are_good(const Command& command) {
  const auto good = [](const auto& part) { return wire::is_key(part.key); };
  return command.verb == Verb::batch ? std::ranges::all_of(command.guards, good) &&
                                           std::ranges::all_of(command.writes, good)
                                     : wire::is_key(command.key);
}

template <typename Ask>
void serve_one(Dispatcher& dispatcher, const Method<Ask, Reply>& method, Verb verb,
               Service& service, Where where) {
  const auto handler = [&service, verb](const CallContext& context, ByteView bytes,
                                        Dispatcher::Asked& asked) {
    static thread_local Command command;
    if (!read_into<Ask>(command, bytes)) {
      asked.answer(Dispatcher::malformed());
      return;
    }
    command.verb = verb;
    const auto at_once = [&asked](const CallResult& result) { asked.answer(result); };
    if (!keys_are_good(command)) {
      answer(at_once, {.status = Status::bad_request, .value = {}, .why = key_rule});
      return;
    }
    if (const Origin& origin = context.metadata.origin; command.origin != origin) {
      command.origin = origin;
    }
    if (ReplyView reply; service.try_now(command, reply)) {
      answer(at_once, reply);
      return;
    }
    // As one word, and not as a Respond, for which a std::function would allocate.
    service.submit(command, [call = asked.later().release()](const Reply& reply) {
      answer(Dispatcher::Respond::adopt(call), reply);
    });
  };
  dispatcher.add(method.id, method.name, method.safety,
                 {.where = where, .once_by = OnceBy::handler}, Dispatcher::DirectHandler{handler});
}

}  // namespace

void serve_service(Dispatcher& dispatcher, Service& service, Where where) {
  serve_one(dispatcher, kv_get, Verb::get, service, where);
  serve_one(dispatcher, kv_put, Verb::put, service, where);
  serve_one(dispatcher, kv_delete, Verb::erase, service, where);
  serve_one(dispatcher, kv_cas, Verb::compare_and_set, service, where);
  serve_one(dispatcher, kv_batch, Verb::batch, service, where);
}

}  // namespace kv::rpc
