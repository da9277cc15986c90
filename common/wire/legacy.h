// The wire of the original course's Java clients: over TCP a two-byte big-endian length and that
// many bytes of text (Java's writeUTF), over UDP the text alone.
#pragma once

#include <cstddef>

#include "common/core/bytes.h"
#include "common/kv/command.h"
#include "common/wire/line.h"

namespace kv::wire {

inline constexpr std::size_t legacy_text_bytes_max = 65535;

/// A first byte below this one begins a legacy frame; the line protocol has no such first byte.
inline constexpr unsigned char legacy_first_byte_end = 0x20;

/// Takes one frame's text off the front of `stream`; false while it is not whole.
bool take_legacy_frame(ByteView& stream, ByteView& text);

/// Appends `text` as a frame; check() that it is at most legacy_text_bytes_max long.
void append_legacy_frame(Bytes& out, ByteView text);

/// Reads `PUT key value`, `GET key` or `DELETE key`, with the limits of the line protocol;
/// everything else is malformed. Every field of `request` is set anew. Over UDP, take
/// without_line_end() first.
void parse_legacy(ByteView text, LineRequest& request);

/// Appends the answer's text, without a frame: at most `text_bytes_max` bytes, whatever the store
/// holds. `command` is the request: its key and value are repeated in the answer, unless they are
/// too long for that, which it then says. Over UDP `text_bytes_max` is datagram_bytes_max.
void append_legacy_answer(Bytes& out, const Command& command, const ReplyView& reply,
                          std::size_t text_bytes_max = legacy_text_bytes_max);

/// `text_bytes_max` is at least this: the longest text around a key.
inline constexpr std::size_t legacy_text_bytes_least = key_bytes_max + 100;

/// The answer to what is no request.
inline constexpr ByteView legacy_malformed_answer = "Invalid command";

/// Whether `text` may be an answer of this wire. No request can be one.
bool is_legacy_answer(ByteView text);

}  // namespace kv::wire
