// What /metrics and /status say, from the counters of all lanes.
#pragma once

#include <string>
#include <vector>

#include "phase1_sockets/counters.h"

namespace kv::sockets {

struct Figure {
  enum class Kind : std::uint8_t { counter, gauge };
  Kind kind = Kind::counter;
  std::string name;
  std::string help;
  std::string label;  // `verb="get"`, or nothing; figures of one name stand side by side
  double value = 0;
};

/// The sums over `lanes`. Any thread.
std::vector<Figure> sum_up(const std::vector<const LoopCounters*>& lanes);

/// Prometheus's text format.
std::string to_prometheus(const std::vector<Figure>& figures);
/// One JSON object: {"connections": 3, "requests": {"get": 7, …}, …}.
std::string to_json(const std::vector<Figure>& figures);

}  // namespace kv::sockets
