// One thread that plays many clients against a server, and is itself cheaper than any of them.
//
// Everything that can be made beforehand is (see Workload); one send and, as a rule, one receive
// a batch; one clock reading a batch; epoll edge-triggered. The generator's own ceiling is in
// docs/BENCHMARKS.md, and each run tells how busy it was: a figure taken at a share near 1 is the
// generator's, not the server's.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "common/core/time.h"
#include "phase2_rpc/spin.h"
#include "tools/load_outcome.h"
#include "tools/load_pacer.h"
#include "tools/load_target.h"
#include "tools/load_workload.h"

namespace kv::load {

/// How often a run says how it stands.
inline constexpr Nanoseconds progress_interval = std::chrono::milliseconds{250};

struct Plan {
  Target target;
  Mix mix;                                       // its dialect and transport are the target's
  std::uint32_t clients = 50;                    // sockets
  std::uint32_t depth = 1;                       // requests a client sends at once, then awaits
  Duration spin = rpc::SpinHabit::spin_default;  // RPC: see spin.h
  double seconds = 5;
  std::uint64_t requests_max = UINT64_MAX;
  std::uint64_t rate = 0;                       // a second, over all clients; 0: closed loop
  Duration patience = std::chrono::seconds{5};  // for answers after the end, and for the fill
  Duration retransmit_after = std::chrono::milliseconds{200};  // UDP

  /// Not empty: a recorded run (see load_record.h), and its history's file.
  std::string history;
  Duration attempt_patience = std::chrono::seconds{1};  // recorded: then another is made
  bool read_back = false;                               // recorded: then read all from everyone
  std::uint32_t readers = 0;                            // recorded: so many clients only read

  /// Called now and then with what the run has come to so far.
  std::function<void(const Outcome&)> progress;
};

inline constexpr std::uint32_t clients_max = 20'000;
inline constexpr std::uint32_t depth_max = 1024;

class Load {
 public:
  /// Looks up the target and connects every client. Nothing, and one line in `why`, if one
  /// cannot be.
  static std::unique_ptr<Load> connect(const Plan& plan, std::string& why);

  virtual ~Load() = default;

  /// Puts every key once.
  virtual Outcome fill() = 0;

  /// Draws from the mix for as long, or as often, as planned.
  virtual Outcome run() = 0;
};

}  // namespace kv::load
