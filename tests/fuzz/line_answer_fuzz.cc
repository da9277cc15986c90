// An answer line: what is one is written again as the same bytes.
#include <cstddef>
#include <cstdint>

#include "common/core/check.h"
#include "common/wire/line.h"

namespace kv::wire {
namespace {

void run(ByteView line) {
  LineAnswer answer;
  if (!parse_line_answer(line, answer)) {
    return;
  }
  LineAnswer reused{.origin = {.client = "c", .sequence = 1, .first_outstanding = 2},
                    .reply = {.status = Status::unknown, .value = "v", .why = "w"},
                    .has_value = true};
  check(parse_line_answer(line, reused) && reused == answer);
  Bytes written;
  append_line_answer(written, answer.origin, answer.has_value ? Verb::get : Verb::put,
                     answer.reply);
  check(written.ends_with('\n') && ByteView{written}.substr(0, written.size() - 1) == line);
}

}  // namespace
}  // namespace kv::wire

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  kv::wire::run({reinterpret_cast<const char*>(bytes), size});
  return 0;
}
