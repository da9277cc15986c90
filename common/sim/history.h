// What clients asked, when, and what they were told: one line of JSON an operation, as
// `quintet check` reads them.
//
//   {"client":7,"op":"put","key":"a","value":"1","call":12,"return":34,"result":"ok"}
//
// "op" is get, put, delete or cas; a cas has "old" beside its new "value"; a get that is ok has the
// "value" it read. "call" and "return" are nanoseconds on one clock. "result" is ok, not_found,
// conflict; aborted, unavailable, bad_request (certainly not done); or unknown. "return" null or
// absent, or "result" unknown or absent: may take effect at any later time, or never. Other names
// are passed over. Texts are UTF-8.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "common/core/bytes.h"
#include "common/core/time.h"
#include "common/kv/command.h"

namespace kv::sim {

/// Finer than an Instant, which becomes one by itself: two operations of a real run may well begin
/// and end within one microsecond.
using HistoryTime = std::chrono::time_point<RunClock, std::chrono::nanoseconds>;
inline constexpr HistoryTime never_returned = HistoryTime::max();

struct Operation {
  std::uint64_t client = 0;
  Verb verb = Verb::get;  // get, put, erase or compare_and_set
  std::string key;
  std::string value;     // put, compare_and_set: the new value; get: the value read
  std::string expected;  // compare_and_set: the old value
  HistoryTime call{};
  HistoryTime returned = never_returned;
  Status result = Status::unknown;  // then `returned` means nothing

  bool operator==(const Operation&) const = default;
};

/// Whether it may take effect at any later time, or never.
inline bool is_unknown(const Operation& operation) {
  return operation.result == Status::unknown || operation.returned == never_returned;
}

/// Appends `operation` as one line, its LF included.
void append_json(Bytes& out, const Operation& operation);

/// Reads all lines of `text` behind what `history` holds; empty lines are passed over. False, and
/// the line's number and what is wrong with it in `why`, if one is no operation.
bool read_history(ByteView text, std::vector<Operation>& history, std::string& why);

}  // namespace kv::sim
