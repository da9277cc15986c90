// What /metrics and /status say, from the counters of all lanes.
#pragma once

#include <string>
#include <vector>

#include "common/host/figure.h"
#include "phase1_sockets/counters.h"

namespace kv::sockets {

using host::Figure;

/// The sums over `lanes`. Any thread.
std::vector<Figure> sum_up(const std::vector<const LoopCounters*>& lanes);

/// Prometheus's text format.
std::string to_prometheus(const std::vector<Figure>& figures);
/// One JSON object: {"connections": 3, "requests": {"get": 7, …}, …}; without histograms.
std::string to_json(const std::vector<Figure>& figures);

}  // namespace kv::sockets
