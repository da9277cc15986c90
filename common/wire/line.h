// The line protocol: one request a line, one answer a line, so that netcat is a client.
//
// docs/PROTOCOL.md is normative. A codec of lines only: whoever owns the stream finds their ends.
#pragma once

#include <string_view>

#include "common/core/bytes.h"
#include "common/kv/command.h"

namespace kv::wire {

/// The longest request line, its LF or CRLF not counted: an ID, a verb, a key, a value, blanks.
inline constexpr std::size_t line_bytes_max =
    value_bytes_max + key_bytes_max + 2 * origin_part_bytes_max + 64;

/// What one request line says, in the line protocol or the legacy one. Reuse it: its strings keep
/// their capacity.
struct LineRequest {
  enum class Kind : std::uint8_t { command, exit, malformed };

  Kind kind = Kind::malformed;
  Command command;       // also when malformed: its origin, if that much could be read
  std::string_view why;  // malformed: what is wrong and what would be right; a literal
};

/// Reads one line, without its line end. Never fails: what is no request is `malformed`.
void parse_line(ByteView line, LineRequest& request);

/// Appends the answer to an operation, LF included.
void append_line_answer(Bytes& out, const Origin& origin, Verb verb, const Reply& reply);

/// Appends `command` (any verb but batch) as a request line, LF included. Its key and value must
/// be such as a line can carry: check() otherwise.
void append_line_request(Bytes& out, const Command& command);

struct LineAnswer {
  Origin origin;
  Reply reply;
};

/// Reads one answer line, without its line end; false if it is none.
bool parse_line_answer(ByteView line, LineAnswer& answer);

/// Reads `client.sequence` as an Origin: see there for what is no number. False unless both
/// halves are 1 to origin_part_bytes_max of A-Z a-z 0-9 _ -.
bool parse_origin(std::string_view id, Origin& origin);

/// Appends the ID that parse_origin() read, to the byte; nothing for an empty origin.
void append_origin(Bytes& out, const Origin& origin);

}  // namespace kv::wire
