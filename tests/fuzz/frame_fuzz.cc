// A peer frame: bytes at random are never taken for one that says something else, and a good one
// with any byte changed is damaged or incomplete, never another message.
//
// Input: where to change (2 bytes), to what (1), sender (1), receiver (1), body.
#include <cstddef>
#include <cstdint>

#include "common/core/check.h"
#include "common/wire/frame.h"

namespace kv::wire {
namespace {

void check_raw(ByteView bytes) {
  ByteView stream = bytes;
  Frame frame;
  if (take_frame(stream, frame) != FrameVerdict::whole) {
    check(stream.size() == bytes.size());
    return;
  }
  Bytes written;
  append_frame(written, frame);
  check(bytes.starts_with(written) && written.size() + stream.size() == bytes.size());
}

void check_changed(ByteView bytes) {
  constexpr std::size_t prefix = 5;
  if (bytes.size() < prefix) {
    return;
  }
  const auto number = [&](std::size_t at) { return static_cast<unsigned char>(bytes[at]); };
  const Frame sent{
      .from = {number(3)}, .to = {number(4)}, .msg = bytes.size(), .body = bytes.substr(prefix)};
  Bytes written;
  append_frame(written, sent);
  ByteView stream = written;
  Frame read;
  check(take_frame(stream, read) == FrameVerdict::whole && read == sent && stream.empty());

  Bytes changed = written;
  changed[(number(0) * 256U + number(1)) % changed.size()] = bytes[2];
  stream = changed;
  check((take_frame(stream, read) == FrameVerdict::whole) == (changed == written));
}

}  // namespace
}  // namespace kv::wire

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const kv::ByteView view{reinterpret_cast<const char*>(bytes), size};
  kv::wire::check_raw(view);
  kv::wire::check_changed(view);
  return 0;
}
