// Where load goes, and in which language: line://127.0.0.1:1111, resp://[::1]:6379 …
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/host/address.h"

namespace kv::load {

enum class Dialect : std::uint8_t { line, resp, memcache, echo };
enum class Transport : std::uint8_t { tcp, udp, rpc };  // rpc: the dialect is of no account

struct Target {
  Dialect dialect = Dialect::line;
  Transport transport = Transport::tcp;
  std::vector<host::Endpoint> endpoints;  // clients are spread over them

  bool operator==(const Target&) const = default;
};

/// Reads SCHEME://HOST:PORT[,HOST:PORT…]: the empty string, or what is wrong with it; then
/// `target` is unchanged.
///
/// Schemes: line and udp (Quintet's line protocol over TCP and UDP), rpc, resp (Redis), memcache
/// and memcache-udp (memcached's ASCII protocol), echo and echo-udp (a peer that sends back what it
/// gets: the requests of line).
std::string read_target(std::string_view text, Target& target);

/// What read_target() reads, again.
std::string to_text(const Target& target);

}  // namespace kv::load
