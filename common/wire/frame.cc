#include "common/wire/frame.h"

#include "common/core/check.h"
#include "common/wire/checksum.h"
#include "common/wire/fixed.h"

namespace kv::wire {
namespace {

constexpr ByteView magic = "QTF1";
constexpr std::size_t checksum_at = 24;

std::uint64_t checksum_of(ByteView header, ByteView body) {
  return checksum(body, checksum(header.substr(0, checksum_at)));
}

}  // namespace

void append_frame(Bytes& out, const Frame& frame) {
  check(frame.body.size() <= frame_body_bytes_max);
  const std::size_t begin = out.size();
  out.append(magic);
  append_fixed(out, static_cast<std::uint32_t>(frame.body.size()));
  append_fixed(out, frame.from.value);
  append_fixed(out, frame.to.value);
  append_fixed(out, frame.msg);
  append_fixed(out, checksum_of(ByteView{out}.substr(begin), frame.body));
  out.append(frame.body);
}

FrameVerdict take_frame(ByteView& stream, Frame& frame) {
  const ByteView magic_here = stream.substr(0, magic.size());
  if (magic_here != magic.substr(0, magic_here.size())) {
    return FrameVerdict::damaged;
  }
  if (stream.size() < frame_header_bytes) {
    return FrameVerdict::partial;
  }
  const auto length = get_fixed<std::uint32_t>(stream, 4);
  if (length > frame_body_bytes_max) {
    return FrameVerdict::damaged;
  }
  if (stream.size() - frame_header_bytes < length) {
    return FrameVerdict::partial;
  }
  const ByteView body = stream.substr(frame_header_bytes, length);
  if (get_fixed<std::uint64_t>(stream, checksum_at) != checksum_of(stream, body)) {
    return FrameVerdict::damaged;
  }
  frame = {.from = {get_fixed<std::uint32_t>(stream, 8)},
           .to = {get_fixed<std::uint32_t>(stream, 12)},
           .msg = get_fixed<std::uint64_t>(stream, 16),
           .body = body};
  stream.remove_prefix(frame_header_bytes + length);
  return FrameVerdict::whole;
}

}  // namespace kv::wire
