// What each dialect says: requests, the only right answer to each, and where an answer ends.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "common/core/bytes.h"
#include "tools/load_target.h"

namespace kv::load {

struct Item {
  std::string_view key;
  std::string_view value;
};

/// Append one request, and the answer that a right server gives to it when `key` holds `value`.
/// An echo is sent the line protocol's requests.
void append_put(Dialect dialect, const Item& item, Bytes& request, Bytes& answer);
void append_get(Dialect dialect, const Item& item, Bytes& request, Bytes& answer);

/// What stands before each of memcached's datagrams: the request's number, and that it is the only
/// datagram of its message.
void append_memcache_header(Bytes& out, std::uint16_t request);

inline constexpr std::size_t answer_unfinished = 0;
inline constexpr std::size_t answer_malformed = static_cast<std::size_t>(-1);
inline constexpr std::size_t answer_bytes_max = 2 * 1024 * 1024;

/// The length of the answer that `stream` begins with, right or wrong; answer_unfinished if more
/// must come; answer_malformed if nobody can say where the next one begins. An echo has no ends:
/// its answer is as long as `expected`.
std::size_t answer_bytes(Dialect dialect, ByteView stream, ByteView expected);

}  // namespace kv::load
