// Load by connections rather than by requests: many held idle, or many opened and closed.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "common/core/time.h"
#include "tools/load_target.h"

namespace kv::load {

struct ConnectionPlan {
  Target target;  // TCP
  std::uint64_t connections = 0;
  std::uint32_t at_once = 50;  // connections that are being opened at the same time
  double seconds = 0;          // held: for how long; churned: over how long, evenly
  Duration patience = std::chrono::seconds{5};  // for each connection's answer
};

struct ConnectionOutcome {
  std::uint64_t served = 0;  // connected, asked one thing, and were rightly answered
  std::uint64_t errors = 0;  // were not
  std::uint64_t lost = 0;    // held: served, and yet closed by the server before the end
  double seconds = 0;
  std::string first_error;
};

/// Opens the connections, asks one thing over each, then holds them. `held` runs when all are
/// open. Nothing, and the reason in `why`, if the target cannot be looked up or this process has
/// too few files.
std::optional<ConnectionOutcome> hold_connections(const ConnectionPlan& plan,
                                                  const std::function<void()>& held,
                                                  std::string& why);

/// Opens each connection, asks one thing over it, and closes it.
std::optional<ConnectionOutcome> churn_connections(const ConnectionPlan& plan, std::string& why);

}  // namespace kv::load
