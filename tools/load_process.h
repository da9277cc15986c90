// What another process of this machine holds and has used: the server under load.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

namespace kv::load {

/// The resident memory of process `pid`, without what it shares with files; nothing if there is
/// no such process, or it is not ours to look at.
std::optional<std::uint64_t> resident_bytes(std::uint64_t pid);

/// The processor time that the threads of process `pid` that live now have used; nothing as above.
std::optional<std::chrono::nanoseconds> processor_time(std::uint64_t pid);

}  // namespace kv::load
