// A message of the CS3700 simulator's world: one JSON object a datagram.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/core/bytes.h"
#include "common/core/ids.h"

namespace kv::raft {

/// Far below what a datagram can carry, and JSON has its own share.
inline constexpr std::size_t cs3700_data_bytes_max = 24 * 1024;

/// Replicas and clients are named by four hexadecimal digits.
using Cs3700Name = std::string;
inline const Cs3700Name cs3700_everyone = "FFFF";
inline const Cs3700Name cs3700_nobody = "FFFF";

/// Fields that a type does not have are empty.
struct Cs3700Message {
  Cs3700Name src;
  Cs3700Name dst;
  Cs3700Name leader = cs3700_nobody;
  std::string type;  // hello; get, put; ok, redirect, fail; raft
  std::string mid;   // get, put and what answers them
  std::string key;
  std::string value;
  Bytes data;  // raft: the bytes of a message between replicas

  bool operator==(const Cs3700Message&) const = default;
};

/// Nothing if the datagram is no such object.
std::optional<Cs3700Message> parse_cs3700(std::string_view datagram);
/// ASCII, whatever the fields hold.
std::string format_cs3700(const Cs3700Message& message);

/// Four hexadecimal digits, and not everyone's.
bool is_cs3700_replica(std::string_view name);
/// The replica's number among NodeIds: never nobody's.
NodeId node_of(std::string_view name);

}  // namespace kv::raft
