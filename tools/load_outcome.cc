#include "tools/load_outcome.h"

#include <utility>

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

void Outcome::count_wrong_answer(ByteView got, ByteView wanted) {
  ++errors;
  if (first_error.empty()) {
    first_error = "got " + shown(got) + " where " + shown(wanted) + " is right";
  }
}

}  // namespace kv::load
