// A request line: whatever the bytes are, it is a request that is written as it was read, or a
// reason; and its answer is one line that a client can read.
#include <cstddef>
#include <cstdint>

#include "common/core/check.h"
#include "common/wire/line.h"
#include "common/wire/line_ahead.h"

namespace kv::wire {
namespace {

LineRequest full() {
  return {.kind = LineRequest::Kind::exit,
          .command = {.verb = Verb::batch,
                      .origin = {.client = "c", .sequence = 3, .first_outstanding = 2},
                      .key = "k",
                      .value = "v",
                      .expected = "e",
                      .guards = {{.key = "g"}},
                      .writes = {{.key = "w"}}},
          .why = "old"};
}

void check_round_trip(ByteView line, const Command& command) {
  check(fits_line(command));
  Bytes written;
  append_line_request(written, command);
  check(written.size() == line.size() + 1);  // but for the verb's case, there is one way to say it
  LineRequest again;
  parse_line(without_line_end(written), again);
  check(again.kind == LineRequest::Kind::command && again.command == command);
}

/// `text` stands for whatever the store holds and the service gives as a reason.
void check_answers(const Command& command, ByteView text) {
  for (int status = 0; status <= static_cast<int>(last_of(Status{})); ++status) {
    const Reply reply{
        .status = static_cast<Status>(status), .value = Bytes{text}, .why = Bytes{text}};
    Bytes answer;
    append_line_answer(answer, command.origin, command.verb, reply);
    check(answer.find('\n') == answer.size() - 1 && answer.find('\r') == Bytes::npos);
    LineAnswer read;
    check(parse_line_answer(without_line_end(answer), read));
    check(read.origin.client == command.origin.client);
    check(read.origin.sequence == command.origin.sequence);
  }
}

/// Whole lines at the front of what a stream holds are read as if each had come alone.
void check_look_ahead(ByteView stream) {
  LinesAhead ahead;
  look_ahead(stream, 0, ahead);
  LineRequest reused = full();
  for (std::size_t i = 0; i < ahead.count; ++i) {
    ByteView line = stream.substr(0, ahead.lines[i].bytes - 1);
    check(stream[line.size()] == '\n' && line.find('\n') == ByteView::npos);
    if (line.ends_with('\r')) {
      line.remove_suffix(1);
    }
    parse_line_ahead(line, ahead.lines[i], reused);
    LineRequest alone;
    parse_line(line, alone);
    check(reused.kind == alone.kind && reused.command == alone.command && reused.why == alone.why);
    stream.remove_prefix(ahead.lines[i].bytes);
  }
  check(ahead.count == LinesAhead::lines_max || stream.find('\n') == ByteView::npos);
}

void run(ByteView line) {
  check_look_ahead(line);
  LineRequest request;
  parse_line(line, request);
  LineRequest reused = full();
  parse_line(line, reused);
  check(reused.kind == request.kind && reused.command == request.command);
  check(reused.why == request.why);
  check((request.kind == LineRequest::Kind::malformed) != request.why.empty());
  if (request.kind == LineRequest::Kind::command) {
    check_round_trip(line, request.command);
  }
  check_answers(request.command, line);
}

}  // namespace
}  // namespace kv::wire

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  kv::wire::run({reinterpret_cast<const char*>(bytes), size});
  return 0;
}
