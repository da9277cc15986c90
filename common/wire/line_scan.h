// How a line's bytes are looked at: sixteen at once, for every request is.
#pragma once

#include <bit>
#include <cstddef>

#include "common/core/bytes.h"
#include "common/core/sixteen.h"

namespace kv::wire {

/// The place of the first byte, from `at` on, of which `is` says yes; the text's size if there is
/// none. `is` is asked of sixteen bytes at once, at the end with some that were seen; of a text
/// that is shorter, one by one.
template <typename Is>
std::size_t first_that(Is is, ByteView text, std::size_t at = 0) {
  constexpr std::size_t step = sizeof(Sixteen);
  for (; at + step <= text.size(); at += step) {
    if (const unsigned bits = bits_of(is(sixteen_at<Sixteen>(text.data() + at))); bits != 0) {
      return at + static_cast<std::size_t>(std::countr_zero(bits));
    }
  }
  if (text.size() >= step) {
    const std::size_t last = text.size() - step;
    const unsigned bits = bits_of(is(sixteen_at<Sixteen>(text.data() + last))) >> (at - last);
    return bits != 0 ? at + static_cast<std::size_t>(std::countr_zero(bits)) : text.size();
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
