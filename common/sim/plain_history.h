// A history's line in the very form in which append_json() and quintet's load write it, read
// without a JSON parser: many times as fast.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "common/core/bytes.h"
#include "common/kv/command.h"
#include "common/sim/history.h"

namespace kv::sim {

/// The texts are views of the line.
struct PlainLine {
  std::uint64_t client = 0;
  Verb verb = Verb::get;
  std::string_view key;
  std::string_view value;     // empty if there is none
  std::string_view expected;  // likewise
  std::int64_t call_ns = 0;
  std::optional<std::int64_t> return_ns;  // nothing: null
  Status result = Status::unknown;
  bool has_value = false;
  bool has_expected = false;
  std::string_view id;                  // the load's own: the operation's ID; empty: none
  std::optional<std::int64_t> wall_ns;  // the load's first line: what makes a call a time of day
};

/// Nothing if the line is in any other form, be it valid or not: escapes, other bytes than
/// printable ASCII, blanks between, another order, other names. Then the JSON parser decides.
std::optional<PlainLine> read_plain(ByteView line);

/// Makes it an operation. False, and nothing is changed, if no operation can be so: a put that is
/// not found, a get that is ok and has no value, a return before the call.
bool take(const PlainLine& line, Operation& operation);

/// Whether an operation of this kind can end so at all.
bool can_end(Verb verb, Status status);

}  // namespace kv::sim
