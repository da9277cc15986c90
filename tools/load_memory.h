// How much memory another process of this machine holds.
#pragma once

#include <cstdint>
#include <optional>

namespace kv::load {

/// The resident memory of process `pid`, without what it shares with files; nothing if there is
/// no such process, or it is not ours to look at.
std::optional<std::uint64_t> resident_bytes(std::uint64_t pid);

}  // namespace kv::load
