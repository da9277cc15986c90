// The RPC frame: a header of 24 bytes, then metadata, then a body. docs/PROTOCOL.md is normative.
//
//   0  payload_bytes  u32   metadata and body together
//   4  version        u8    1
//   5  type           u8    FrameType
//   6  flags          u8    frame_one_way, frame_idempotent, frame_not_executed
//   7  code           u8    an answer's Code
//   8  method         u16
//   10 metadata_bytes u16   how much of the payload is metadata
//   12 patience_us    u32   what is left of the caller's deadline: no clocks need agree
//   16 id             u64   the caller's number of the call
//
// All numbers are little-endian.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/core/bytes.h"
#include "common/core/time.h"
#include "common/kv/command.h"
#include "phase2_rpc/code.h"

namespace kv::rpc {

inline constexpr std::size_t header_bytes = 24;
inline constexpr std::uint8_t protocol_version = 1;
inline constexpr std::size_t payload_bytes_max = 8 * 1024 * 1024;
inline constexpr std::size_t metadata_bytes_max = 4096;
inline constexpr std::size_t hello_bytes_max = 4096;  // a client's

enum class FrameType : std::uint8_t { hello = 1, request, answer, cancel, ping, pong, go_away };
constexpr FrameType last_of(FrameType) {
  return FrameType::go_away;
}

inline constexpr std::uint8_t frame_one_way = 1;       // request: no answer is wanted
inline constexpr std::uint8_t frame_idempotent = 2;    // request: may be run more than once
inline constexpr std::uint8_t frame_not_executed = 4;  // answer: the handler did not run

/// patience_us of a call without a deadline.
inline constexpr std::uint32_t patience_unlimited_us = UINT32_MAX;

struct FrameHeader {
  std::uint32_t payload_bytes = 0;
  FrameType type = FrameType::ping;
  std::uint8_t flags = 0;
  Code code = Code::ok;
  std::uint16_t method = 0;
  std::uint16_t metadata_bytes = 0;
  std::uint32_t patience_us = patience_unlimited_us;
  std::uint64_t id = 0;

  bool operator==(const FrameHeader&) const = default;
};

void append_header(Bytes& out, const FrameHeader& header);

/// Appends a whole frame; fills in the two lengths. check()s them against the limits above.
void append_frame(Bytes& out, FrameHeader header, ByteView metadata, ByteView body);

/// Reads header_bytes bytes. Nothing, and one line in `why`, if no frame may begin so.
std::optional<FrameHeader> read_header(ByteView bytes, std::string& why);

struct Frame {
  FrameHeader header;
  ByteView metadata;
  ByteView body;
};

/// Cuts a byte stream into frames.
class FrameStream {
 public:
  /// Calls on_frame(const Frame&) for each whole frame, in order; its views are valid during the
  /// call only. False, with why(), if the bytes are no frames: the stream is then of no further
  /// use.
  template <typename OnFrame>
  bool feed(ByteView bytes, OnFrame&& on_frame) {
    return feed(bytes, on_frame, [] { return true; });
  }

  /// The same, until goes_on() says no before a whole frame: it and what follows are kept here, and
  /// the next feed() begins with them.
  template <typename OnFrame, typename GoesOn>
  bool feed(ByteView bytes, OnFrame&& on_frame, GoesOn&& goes_on) {
    Bytes kept;
    if (std::exchange(stopped_, false)) {
      kept.swap(partial_);
      kept.append(bytes);
      bytes = kept;
    } else if (!partial_.empty()) {
      top_up(bytes, header_bytes);
      const std::size_t needed = whole_frame_bytes(partial_);
      top_up(bytes, needed);
      if (needed == 0 || partial_.size() < needed) {
        return why_.empty();
      }
      kept.swap(partial_);
      on_frame(split(kept));
    }
    while (const std::size_t needed = whole_frame_bytes(bytes)) {
      if (needed > bytes.size()) {
        break;
      }
      if (!goes_on()) {
        stopped_ = true;
        break;
      }
      on_frame(split(bytes.substr(0, needed)));
      bytes.remove_prefix(needed);
    }
    partial_.assign(bytes);
    return why_.empty();
  }

  /// Whether whole frames wait for the next feed(), which may bring nothing new.
  bool stopped() const { return stopped_; }
  const std::string& why() const { return why_; }
  bool in_the_middle() const { return !partial_.empty(); }

 private:
  /// Moves bytes from the front of `bytes` until partial_ has `size` of them.
  void top_up(ByteView& bytes, std::size_t size);

  /// How long the frame at the front of `bytes` is; 0 while its header is not whole, and, with
  /// why_ set, if it is no header.
  std::size_t whole_frame_bytes(ByteView bytes);
  Frame split(ByteView whole) const;

  Bytes partial_;
  FrameHeader header_;  // of the frame last measured
  bool stopped_ = false;
  std::string why_;
};

/// A server's feature: the name of what remembers its operations with an origin. Servers that say
/// the same one remember for each other; without it nobody knows.
inline constexpr std::uint32_t feature_memory = 1;

/// What each side says of itself first. Unknown features are skipped.
struct Hello {
  struct Feature {
    std::uint32_t id = 0;
    Bytes value;

    bool operator==(const Feature&) const = default;
    static void fields(auto& self, auto& visit) {
      visit("id", self.id);
      visit("value", self.value);
    }
  };

  std::uint64_t calls_in_flight_max = 0;
  std::uint64_t bytes_in_flight_max = 0;
  Bytes nonce;  // to be proved against: see ClusterSecret
  Bytes proof;  // the other side's nonce under the secret, in a second hello
  std::vector<Feature> features;

  bool operator==(const Hello&) const = default;
  static void fields(auto& self, auto& visit) {
    visit("calls_in_flight_max", self.calls_in_flight_max);
    visit("bytes_in_flight_max", self.bytes_in_flight_max);
    visit("nonce", self.nonce);
    visit("proof", self.proof);
    visit("features", self.features);
  }
};

/// What travels beside a request: whom it is for, for logs and for exactly-once.
struct Metadata {
  static constexpr std::size_t entries_max = 64;
  static constexpr std::size_t client_bytes_max = 256;  // of the origin

  std::string op;  // the client operation that caused this call: the trace id
  Origin origin;   // of a call that changes something: what makes it at-most-once

  struct Entry {
    std::string key;
    std::string value;

    bool operator==(const Entry&) const = default;
    static void fields(auto& self, auto& visit) {
      visit("key", self.key);
      visit("value", self.value);
    }
  };
  std::vector<Entry> entries;

  bool empty() const { return op.empty() && origin.client.empty() && entries.empty(); }
  bool operator==(const Metadata&) const = default;
  static void fields(auto& self, auto& visit) {
    visit("op", self.op);
    visit("origin", self.origin);
    visit("entries", self.entries);
  }
};

/// Microseconds from `now` to `deadline` as the header carries them: rounded up to at least 1
/// while any are left, at most what the field holds.
std::uint32_t patience_us(Instant now, Instant deadline);

/// The deadline that a header's patience means at `now`.
Instant deadline_of(Instant now, std::uint32_t patience);

}  // namespace kv::rpc
