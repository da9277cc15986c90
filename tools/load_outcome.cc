#include "tools/load_outcome.h"

#include <utility>

#include "common/wire/line.h"
#include "common/wire/logfmt.h"

namespace kv::load {
namespace {

constexpr std::size_t shown_bytes_max = 120;

std::string shown(ByteView bytes) {
  std::string text;
  wire::append_logfmt_value(text, bytes.substr(0, shown_bytes_max));
  return text;
}

}  // namespace

void Outcome::count_error(std::uint64_t times, std::string why) {
  errors += times;
  if (first_error.empty() && times > 0) {
    first_error = std::move(why);
  }
}

void Outcome::count_status(Status status) {
  aborted += status == Status::aborted ? 1 : 0;
  unavailable += status == Status::unavailable ? 1 : 0;
  unknown += status == Status::unknown ? 1 : 0;
}

void Outcome::count_wrong_answer(ByteView got, ByteView wanted) {
  ++errors;
  if (first_error.empty()) {
    first_error = "got " + shown(got) + " where " + shown(wanted) + " is right";
  }
}

void Outcome::count_wrong_answer(Dialect dialect, ByteView got, ByteView wanted) {
  count_wrong_answer(got, wanted);
  const ByteView line = got.substr(0, got.find_first_of("\r\n"));
  if (wire::LineAnswer answer; dialect == Dialect::line && wire::parse_line_answer(line, answer)) {
    count_status(answer.reply.status);
  }
}

}  // namespace kv::load
