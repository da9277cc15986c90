// What a command costs whoever keeps it.
#pragma once

#include <cstddef>

#include "common/kv/command.h"

namespace kv {

/// About what a command holds in memory.
inline std::size_t bytes_of(const Command& command) {
  std::size_t bytes = sizeof command + command.origin.client.size() + command.key.size() +
                      command.value.size() + command.expected.size();
  for (const Guard& guard : command.guards) {
    bytes += sizeof guard + guard.key.size() + guard.value.size();
  }
  for (const Write& write : command.writes) {
    bytes += sizeof write + write.key.size() + write.value.size();
  }
  return bytes;
}

}  // namespace kv
