// Lines that are seen ahead: the two commonest requests, as they are mostly written, are read at a
// glance, and many at once.
//
// Of a plain line nothing is looked at twice, and nothing copied: `GET key` or `PUT key value`
// without an ID, its verb in capitals. All others are left to parse_line().
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "common/core/bytes.h"
#include "common/wire/line.h"

namespace kv::wire {

struct LineAhead {
  enum class Kind : std::uint8_t { get, put, other };

  Kind kind = Kind::other;
  std::uint32_t bytes = 0;  // LF included
  ByteView key;             // of a get or a put
  ByteView value;           // of a put
};

/// The whole lines that stand at the front, …
struct LinesAhead {
  static constexpr std::size_t lines_max = 32;

  std::size_t next = 0;   // … from this one on, …
  std::size_t count = 0;  // … up to this one; both 0: there is none
  std::array<LineAhead, lines_max> lines;

  bool empty() const { return next == count; }
  const LineAhead& front() const { return lines[next]; }
};

/// Looks at the whole lines at the front of `lines`, of which the first `clean` bytes hold no LF.
/// What is found points into `lines`.
void look_ahead(ByteView lines, std::size_t clean, LinesAhead& ahead);

/// As parse_line() of `line`, which has been seen as `ahead`, without its line end.
void parse_line_ahead(ByteView line, const LineAhead& ahead, LineRequest& request);

}  // namespace kv::wire
