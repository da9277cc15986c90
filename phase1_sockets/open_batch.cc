#include "phase1_sockets/open_batch.h"

#include <utility>

namespace kv::sockets {

std::string_view OpenBatch::add(wire::LineRequest& request) {
  using Kind = wire::LineRequest::Kind;
  Command& part = request.command;
  const bool guards = request.kind == Kind::guard || request.kind == Kind::guard_absent;
  const bool writes =
      request.kind == Kind::command && (part.verb == Verb::put || part.verb == Verb::erase);
  if (!guards && !writes) {
    return "between MULTI and EXEC stand PUT, DELETE, IF and IFNOT";
  }
  if (!has_room(part)) {
    return "the batch is too large: 1024 lines, 4 MiB of keys and values";
  }
  if (spoiled_) {
    return {};  // nothing is kept, but what comes is right
  }
  if (guards) {
    batch_.guards.push_back({.key = std::move(part.key),
                             .value = std::move(part.value),
                             .absent = request.kind == Kind::guard_absent});
  } else {
    batch_.writes.push_back({.key = std::move(part.key),
                             .value = std::move(part.value),
                             .erase = part.verb == Verb::erase});
  }
  return {};
}

bool OpenBatch::has_room(const Command& part) {
  bytes_ += part.key.size() + part.value.size();
  return bytes_ <= batch_bytes_max && batch_.guards.size() + batch_.writes.size() < batch_parts_max;
}

void OpenBatch::spoil() {
  spoiled_ = true;
  batch_ = {.verb = Verb::batch};
  bytes_ = 0;
}

std::string_view OpenBatch::take(Command& command) {
  if (spoiled_) {
    return "nothing was done: a line of the batch was refused";
  }
  batch_.origin = std::move(command.origin);
  command = std::move(batch_);
  return {};
}

}  // namespace kv::sockets
