// A message between replicas as bytes: a header of fixed width, then the message.
//
// Little-endian: magic "QTF1" (4) · body length (4) · from (4) · to (4) · msg (8) · checksum (8) ·
// body. The checksum covers everything else, header included, so that no flipped bit can change
// what is said, by whom or to whom. `msg` is the id that both ends' log lines carry.
#pragma once

#include <cstdint>

#include "common/core/bytes.h"
#include "common/core/ids.h"

namespace kv::wire {

inline constexpr std::size_t frame_header_bytes = 32;
inline constexpr std::size_t frame_body_bytes_max = 16 * 1024 * 1024;

struct Frame {
  NodeId from;
  NodeId to;
  std::uint64_t msg = 0;
  ByteView body;

  bool operator==(const Frame&) const = default;
};

/// Appends `frame`; check() that its body is at most frame_body_bytes_max long.
void append_frame(Bytes& out, const Frame& frame);

enum class FrameVerdict : std::uint8_t {
  whole,    // taken off the stream
  partial,  // more bytes are needed; nothing was taken
  damaged,  // no frame, and where the next one begins cannot be known: close the connection
};

/// Takes one frame off the front of `stream`. Its body is a view into the stream's bytes.
FrameVerdict take_frame(ByteView& stream, Frame& frame);

}  // namespace kv::wire
