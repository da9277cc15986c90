// A command as the payload of a log entry: the time that its proposer stamped, then its fields.
#pragma once

#include "common/core/bytes.h"
#include "common/kv/state_machine.h"
#include "common/wire/fields.h"

namespace kv::raft {

/// The command's fields stand last and unwrapped: what a replica forwards is copied behind the
/// leader's stamp as it is.
inline void append_stamp(Bytes& out, LogTime time) {
  wire::FieldWriter writer{out};
  writer("time", time);
}

inline void append_command(Bytes& out, const Command& command) {
  wire::encode_to(command, out);
}

/// False if the payload is no such entry. Strings of `entry` keep their capacity.
inline bool read_log_command(ByteView payload, Entry& entry) {
  entry.time = {};
  entry.command.origin = {};
  entry.command.key.clear();
  entry.command.value.clear();
  entry.command.expected.clear();
  entry.command.guards.clear();
  entry.command.writes.clear();
  wire::FieldReader reader{payload};
  reader("time", entry.time);
  Command::fields(entry.command, reader);
  return reader.good() && !payload.empty();
}

}  // namespace kv::raft
