#include "phase2_rpc/kv_skeleton.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "common/wire/fields.h"
#include "common/wire/line.h"
#include "phase2_rpc/kv_methods.h"

namespace kv::rpc {
namespace {

constexpr std::string_view key_rule =
    "a key is 1 to 250 bytes without white space and control bytes";

constexpr std::string_view batch_rule = "batch: to 1024 parts and 4194304 bytes";
static_assert(batch_parts_max == 1024 && batch_bytes_max == 4194304);

/// What a call leaves behind for the next one's strings, at most.
constexpr std::size_t kept_bytes_max = value_bytes_max + 4096;

/// Reads fields, but no list of more parts than a batch may have: an element takes a byte of a
/// frame, and some seventy of memory.
class CommandReader {
 public:
  explicit CommandReader(ByteView bytes) : reader_(bytes) {}

  template <typename T>
  void operator()(std::string_view name, T& field) {
    reader_(name, field);
  }
  template <typename T>
  void operator()(std::string_view name, std::vector<T>& list) {
    wire::FieldReader ahead = reader_;
    too_long_ = too_long_ || ahead.read_varint() > batch_parts_max;
    if (!too_long_) {
      reader_(name, list);
    }
  }

  bool good() const { return reader_.good(); }
  bool too_long() const { return too_long_; }

 private:
  wire::FieldReader reader_;
  bool too_long_ = false;
};

/// A command that a thread reads its calls into, one after the other; its strings keep their
/// capacity, but for those of a long one.
class CommandInHand {
 public:
  CommandInHand(Command& command, ByteView bytes)
      : command_(command), is_long_(bytes.size() > kept_bytes_max) {}
  CommandInHand(const CommandInHand&) = delete;
  CommandInHand& operator=(const CommandInHand&) = delete;
  ~CommandInHand() {
    if (is_long_) {
      command_ = Command{};
    }
  }

 private:
  Command& command_;
  bool is_long_;
};

/// What an `Ask` brings of a command.
template <typename Ask>
CommandReader read_into(Command& command, ByteView bytes) {
  const auto clear = [](std::string_view, auto& field) { field.clear(); };
  Ask::fields(command, clear);  // what a shorter request does not bring is empty
  CommandReader reader{bytes};
  Ask::fields(command, reader);
  return reader;
}

/// `to`: what takes the call's result.
template <typename To>
void answer(To&& to, const ReplyView& reply) {
  static thread_local CallResult result;
  result.body.clear();
  wire::encode_to(reply, result.body);
  to(result);
  if (result.body.capacity() > kept_bytes_max) {
    result.body = Bytes{};
  }
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
    const CommandInHand in_hand{command, bytes};
    const auto at_once = [&asked](const CallResult& result) { asked.answer(result); };
    const CommandReader read = read_into<Ask>(command, bytes);
    if (read.too_long()) {
      answer(at_once, {.status = Status::bad_request, .value = {}, .why = batch_rule});
      return;
    }
    if (!read.good()) {
      asked.answer(Dispatcher::malformed());
      return;
    }
    command.verb = verb;
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
