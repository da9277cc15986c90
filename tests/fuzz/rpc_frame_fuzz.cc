// RPC frames: bytes at random, cut anywhere, give the same frames or the same refusal as the bytes
// in one piece, and never more than they hold.
//
// Input: how long the pieces are (1 byte), the stream.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "common/core/check.h"
#include "phase2_rpc/rpc_frame.h"

namespace kv::rpc {
namespace {

struct Read {
  std::vector<std::string> frames;
  std::string why;

  bool operator==(const Read&) const = default;
};

Read read(ByteView bytes, std::size_t piece) {
  Read read;
  FrameStream stream;
  while (!bytes.empty()) {
    const ByteView next = bytes.substr(0, piece);
    bytes.remove_prefix(next.size());
    const bool good = stream.feed(next, [&](const Frame& frame) {
      Bytes written;
      append_frame(written, frame.header, frame.metadata, frame.body);
      read.frames.push_back(std::move(written));
    });
    if (!good) {
      break;
    }
  }
  read.why = stream.why();
  return read;
}

}  // namespace
}  // namespace kv::rpc

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  if (size < 1) {
    return 0;
  }
  const kv::ByteView stream{reinterpret_cast<const char*>(bytes) + 1, size - 1};
  const kv::rpc::Read whole = kv::rpc::read(stream, std::max<std::size_t>(size, 1));
  kv::check(kv::rpc::read(stream, bytes[0] % 64U + 1) == whole);
  std::size_t total = 0;
  for (const std::string& frame : whole.frames) {
    kv::check(stream.substr(total, frame.size()) == frame);  // what was read is what stood there
    total += frame.size();
  }
  return 0;
}
