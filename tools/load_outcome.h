// What a run of load came to.
#pragma once

#include <cstdint>
#include <string>

#include "common/core/bytes.h"
#include "tools/load_histogram.h"

namespace kv::load {

struct Outcome {
  std::uint64_t ops = 0;              // rightly answered; the latencies are theirs
  std::uint64_t errors = 0;           // wrongly answered, or not at all
  std::uint64_t unanswered = 0;       // the part of the errors that got no answer
  std::uint64_t not_started = 0;      // open loop: due, but every client was busy until the end
  std::uint64_t retransmissions = 0;  // UDP; a recorded run's further attempts
  std::uint64_t unsolicited = 0;      // answers to nothing that was asked; UDP: or come late
  std::uint64_t reconnects = 0;       // TCP
  // Parts of the errors of a recorded run, whose ops are all that were answered definitely.
  std::uint64_t aborted = 0;      // certainly not done
  std::uint64_t unavailable = 0;  // not done
  std::uint64_t unknown = 0;      // nobody knows
  // Of a recorded run's end, and of nothing above: keys read at a target.
  std::uint64_t read_back = 0;
  std::uint64_t read_back_failed = 0;
  double seconds = 0;  // from the first request to the last answer
  double busy = 0;     // share of one core that the generator itself used: near 1, it is the limit
  Histogram latency;
  std::string first_error;  // for people

  void count_error(std::uint64_t times, std::string why);
  void count_wrong_answer(ByteView got, ByteView wanted);
};

}  // namespace kv::load
