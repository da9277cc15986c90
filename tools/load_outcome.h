// What a run of load came to.
#pragma once

#include <cstdint>
#include <string>

#include "common/core/bytes.h"
#include "common/kv/command.h"
#include "tools/load_histogram.h"
#include "tools/load_target.h"

namespace kv::load {

struct Outcome {
  std::uint64_t ops = 0;              // rightly answered; the latencies are theirs
  std::uint64_t errors = 0;           // wrongly answered, or not at all
  std::uint64_t unanswered = 0;       // the part of the errors that got no answer
  std::uint64_t not_started = 0;      // open loop: due, but every client was busy until the end
  std::uint64_t retransmissions = 0;  // UDP; a recorded run's further attempts
  std::uint64_t unsolicited = 0;      // answers to nothing that was asked; UDP: or come late
  std::uint64_t reconnects = 0;       // TCP
  // Parts of the errors, by what the answer said in the line protocol or over RPC; of a recorded
  // run, whose ops are all that were answered definitely, by what is known of each operation.
  std::uint64_t aborted = 0;      // certainly not done
  std::uint64_t unavailable = 0;  // not done
  std::uint64_t unknown = 0;      // nobody knows
  // Of a recorded run's end, and of nothing above: keys read at a target.
  std::uint64_t read_back = 0;
  std::uint64_t read_back_failed = 0;
  double seconds = 0;  // from the first request to the last answer
  double busy = 0;     // share of one core that the generator itself used: near 1, it is the limit
  Histogram latency;
  std::string first_error;    // for people
  bool history_lost = false;  // not all of it could be written

  void count_error(std::uint64_t times, std::string why);
  void count_wrong_answer(ByteView got, ByteView wanted);
  /// The same, of an answer as it came: what it says instead counts too, in the line protocol.
  void count_wrong_answer(Dialect dialect, ByteView got, ByteView wanted);
  /// Of an operation that is counted as an error: which one.
  void count_status(Status status);
};

}  // namespace kv::load
