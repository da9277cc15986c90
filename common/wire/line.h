// The line protocol: one request a line, one answer a line, so that netcat is a client.
//
// docs/PROTOCOL.md is normative. A codec of lines only: whoever owns the stream finds their ends.
#pragma once

#include <cstdint>
#include <string_view>

#include "common/core/bytes.h"
#include "common/kv/command.h"

namespace kv::wire {

/// The longest request line, its LF or CRLF not counted: an ID, a verb, a key, a value, blanks.
inline constexpr std::size_t line_bytes_max =
    value_bytes_max + key_bytes_max + 2 * origin_part_bytes_max + 64;

/// The longest answer that fits into one UDP datagram, over IPv4 and IPv6 alike.
inline constexpr std::size_t datagram_bytes_max = 65'507;

/// Why a get over UDP whose answer exceeds datagram_bytes_max is bad_request instead.
inline constexpr std::string_view longer_than_a_datagram =
    "the answer is longer than a datagram: ask over TCP";

/// What one request line says, in the line protocol or the legacy one. Reuse it: its strings keep
/// their capacity.
///
/// `multi` begins a batch, and `exec` or `discard` ends it; whoever owns the conversation gathers
/// what stands between (see sockets::OpenBatch). A `guard` has key and value, a `guard_absent` a
/// key alone. None of these makes sense in a datagram.
struct LineRequest {
  enum class Kind : std::uint8_t {
    command,
    exit,
    malformed,
    multi,
    guard,
    guard_absent,
    exec,
    discard,
  };

  Kind kind = Kind::malformed;
  Command command;       // unless it is one: empty, but for its origin, if that much could be read
  std::string_view why;  // malformed: what is wrong and what would be right; a literal
};

/// Leaves nothing of what was read but the strings' capacity.
void clear(LineRequest& request);

/// `line` without the LF or CRLF it may end with: what one datagram holds.
constexpr ByteView without_line_end(ByteView line) {
  if (line.ends_with('\n')) {
    line.remove_suffix(1);
    if (line.ends_with('\r')) {
      line.remove_suffix(1);
    }
  }
  return line;
}

/// Reads one line, without its line end. Never fails: what is no request is `malformed`. Every
/// field of `request` is set anew, whatever stood there.
void parse_line(ByteView line, LineRequest& request);

/// Appends the answer to an operation, LF included. It is always one line: a value that holds CR
/// or LF (a binary protocol may have put it there) becomes an ERROR that says so, and such bytes
/// in a reason become blanks.
void append_line_answer(Bytes& out, const Origin& origin, Verb verb, const ReplyView& reply);

/// Whether every dialect can name this key: 1 to key_bytes_max bytes without white space and
/// control bytes.
bool is_key(ByteView text);

/// Whether append_line_request() can carry `command`: a verb but batch, a key and values such as
/// a line can hold, an origin that parse_origin() could have read.
bool fits_line(const Command& command);

/// Appends `command` as a request line, LF included; check() that it fits_line().
void append_line_request(Bytes& out, const Command& command);

/// Appends the answer to a line of a batch that is not done yet, LF included.
void append_line_queued(Bytes& out, const Origin& origin);

struct LineAnswer {
  Origin origin;
  Reply reply;
  bool has_value = false;  // VALUE, not OK: what only a get is answered with

  bool operator==(const LineAnswer&) const = default;
};

/// Why a line with another first word is malformed: in a list, the right ones.
inline constexpr std::string_view unknown_verb_why =
    "an unknown verb: PUT, GET, DELETE, CAS, MULTI, PING or EXIT";

/// Reads one answer line, without its line end; false if it is none. Every field of `answer` is
/// set anew.
bool parse_line_answer(ByteView line, LineAnswer& answer);

/// Reads `client.sequence` as an Origin: see there for what is no number. False, and an empty
/// origin, unless both halves are 1 to origin_part_bytes_max of A-Z a-z 0-9 _ -.
bool parse_origin(std::string_view id, Origin& origin);

/// Appends the ID that parse_origin() read, to the byte; nothing for an empty origin.
void append_origin(Bytes& out, const Origin& origin);

}  // namespace kv::wire
