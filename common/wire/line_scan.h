// How a line's bytes are looked at: sixteen at once, for every request is.
#pragma once

#include <bit>
#include <cstddef>

#include "common/core/bytes.h"
#include "common/core/sixteen.h"

namespace kv::wire {

/// The place of the first byte, from `at` on, of which `is` says yes; the text's size if there is
/// none. `is` is asked of sixteen bytes at once, and of single ones at the text's end.
template <typename Is>
std::size_t first_that(Is is, ByteView text, std::size_t at = 0) {
  for (; at + sizeof(Sixteen) <= text.size(); at += sizeof(Sixteen)) {
    if (const unsigned bits = bits_of(is(sixteen_at<Sixteen>(text.data() + at))); bits != 0) {
      return at + static_cast<std::size_t>(std::countr_zero(bits));
    }
  }
  while (at < text.size() && !is(static_cast<unsigned char>(text[at]))) {
    ++at;
  }
  return at;
}

/// A blank or a control byte, which no key holds.
inline constexpr auto is_foreign_to_keys = [](auto byte) { return (byte <= ' ') | (byte == 0x7f); };
inline constexpr auto is_cr_or_lf = [](auto byte) { return (byte == '\n') | (byte == '\r'); };

/// How many bytes at the front of `text` may stand in a key.
inline std::size_t key_length(ByteView text) {
  return first_that(is_foreign_to_keys, text);
}

}  // namespace kv::wire
