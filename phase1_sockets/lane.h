// One event loop with everything that only its thread may touch: its pen for the log, its
// counters, its deadlines, and the buffers that whoever is being served borrows.
//
// A lane's buffers are what lets a connection at rest own none: input is read into the lane's
// buffer and output gathered in it; what could not be parsed or sent by the end of the turn is all
// that a connection keeps.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "common/core/bytes.h"
#include "common/kv/service.h"
#include "phase1_sockets/counters.h"
#include "phase1_sockets/deadlines.h"
#include "phase1_sockets/event_loop.h"
#include "phase1_sockets/request_log.h"
#include "phase1_sockets/session.h"

namespace kv::sockets {

inline constexpr std::size_t read_bytes_max = 64 * 1024;  // by one connection in one turn

struct Lane {
  Lane(std::unique_ptr<EventLoop> event_loop, Service& behind, host::Log& to,
       const Deadlines::Patience& patience)
      : loop(std::move(event_loop)),
        service(behind),
        near_store(behind.near_store()),
        log(*loop, to),
        logs_requests(log.wants_requests()),
        deadlines(*loop, patience) {
    loop->at_turn_end([&behind] { behind.begin(); });
  }

  /// Gives a request that brings no ID a name, if anybody will read of it: so the lines that it
  /// causes can be told on every node. It stays an operation of its own, and nobody's.
  void name(Command& command) {
    if (logs_requests && next_name != 0 && command.origin.client.empty()) {
      command.origin.sequence = std::exchange(next_name, next_name + name_step);
    }
  }

  /// The time, if anybody will want to know how long a request took; else nothing worth a call.
  Instant now_if_logged() { return logs_requests ? log.look_at_clock() : Instant{}; }

  const std::unique_ptr<EventLoop> loop;
  Service& service;         // gather() only: the loop begins at the end of its turn
  Store* const near_store;  // the service's, or null
  RequestLog log;
  const bool logs_requests;  // as the log says: asked for every request
  Deadlines deadlines;
  LoopCounters counters;
  std::uint64_t next_name = 0;  // 0: the connection's numbers will do
  std::uint64_t name_step = 1;

  const std::unique_ptr<char[]> input = std::make_unique_for_overwrite<char[]>(read_bytes_max);
  Bytes output;            // empty between turns
  Session::Scratch lines;  // read into by whoever is fed
};

}  // namespace kv::sockets
