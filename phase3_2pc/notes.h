// Log lines of the protocol, built only if somebody wants them.
#pragma once

#include <string_view>

#include "common/core/ids.h"
#include "common/kv/replica.h"
#include "common/wire/line.h"
#include "common/wire/logfmt.h"
#include "phase3_2pc/messages.h"

namespace kv::two_phase {

inline constexpr std::string_view coordinator_role = "coordinator";
inline constexpr std::string_view participant_role = "participant";

/// `add_fields(LogFields&)` adds what is particular.
template <typename AddFields>
void note(Effects& out, Level wanted, Level level, std::string_view role, std::string_view event,
          AddFields add_fields) {
  if (level < wanted) {
    return;
  }
  wire::LogFields fields;
  fields.add("role", role).add("event", event);
  add_fields(fields);
  out.notes.push_back({level, std::move(fields).text()});
}

inline void add_txn(wire::LogFields& fields, const TxnId& txn) {
  fields.add("txn", text_of(txn));
}

inline void add_op(wire::LogFields& fields, const Origin& origin) {
  Bytes op;
  wire::append_origin(op, origin);
  if (!op.empty()) {
    fields.add("op", op);
  }
}

}  // namespace kv::two_phase
