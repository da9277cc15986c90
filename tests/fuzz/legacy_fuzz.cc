// A legacy stream: frames come off it the same however it is cut, and every text in them is a
// request that is written as it was read, or malformed; its answer fits where it must go.
#include <cstddef>
#include <cstdint>
#include <vector>

#include "common/core/check.h"
#include "common/wire/legacy.h"

namespace kv::wire {
namespace {

void check_request(ByteView text) {
  LineRequest request;
  parse_legacy(text, request);
  if (request.kind != LineRequest::Kind::command) {
    check(request.command == Command{} && !request.why.empty());
    return;
  }
  Bytes written;
  append_line_request(written, request.command);
  LineRequest again;
  parse_legacy(without_line_end(written), again);
  check(again.command == request.command);
  for (int status = 0; status <= static_cast<int>(last_of(Status{})); ++status) {
    const Reply reply{
        .status = static_cast<Status>(status), .value = Bytes{text}, .why = Bytes{text}};
    for (const std::size_t most : {legacy_text_bytes_least, legacy_text_bytes_max}) {
      Bytes answer;
      append_legacy_answer(answer, request.command, reply, most);
      check(!answer.empty() && answer.size() <= most);
    }
  }
}

std::vector<Bytes> texts_of(ByteView stream) {
  std::vector<Bytes> texts;
  for (ByteView text; take_legacy_frame(stream, text);) {
    texts.emplace_back(text);
  }
  return texts;
}

/// The frames of a stream that comes in two pieces.
std::vector<Bytes> texts_in_two(ByteView stream, std::size_t cut) {
  ByteView first = stream.substr(0, cut);
  std::vector<Bytes> texts;
  for (ByteView text; take_legacy_frame(first, text);) {
    texts.emplace_back(text);
  }
  for (Bytes& text : texts_of(stream.substr(cut - first.size()))) {
    texts.push_back(std::move(text));
  }
  return texts;
}

void run(ByteView stream) {
  check_request(stream);
  const std::vector<Bytes> texts = texts_of(stream);
  check(texts == texts_in_two(stream, stream.size() / 2));
  Bytes written;
  for (const Bytes& text : texts) {
    check_request(text);
    append_legacy_frame(written, text);
  }
  check(stream.starts_with(written));
}

}  // namespace
}  // namespace kv::wire

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  kv::wire::run({reinterpret_cast<const char*>(bytes), size});
  return 0;
}
