// Waiting awake: a loop that looks for its next event a while before it sleeps.
//
// Where idle cores doze (virtual machines, laptops), to be woken costs more than many calls do. A
// loop that spins pays with processor time while it waits, and takes it from whoever shares its
// core: never spin more threads than there are cores. Includes Asio: for .cc files.
#pragma once

#include <cstddef>

#include <boost/asio/io_context.hpp>

#include "common/core/time.h"
#include "common/host/clock.h"

namespace kv::rpc {

/// Runs one handler of `loop`; one that comes within `spin` finds it awake. 0 if it was stopped.
inline std::size_t run_one_spinning(boost::asio::io_context& loop, Duration spin) {
  if (spin > Duration::zero()) {
    const Instant end = host::run_now() + spin;
    do {
      if (const std::size_t ran = loop.poll_one(); ran > 0 || loop.stopped()) {
        return ran;
      }
    } while (host::run_now() < end);
  }
  return loop.run_one();
}

/// Until it is stopped.
inline void run_spinning(boost::asio::io_context& loop, Duration spin) {
  if (spin == Duration::zero()) {
    loop.run();
    return;
  }
  while (run_one_spinning(loop, spin) > 0) {
  }
}

}  // namespace kv::rpc
