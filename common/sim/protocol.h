// What the simulator must be told of a protocol: how its replicas are made, and what must hold
// among them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "common/core/ids.h"
#include "common/kv/replica.h"
#include "common/sim/world.h"

namespace kv::sim {

/// Lives as long as one run: it may remember what it saw.
class Protocol {
 public:
  Protocol() = default;
  Protocol(const Protocol&) = delete;
  Protocol& operator=(const Protocol&) = delete;
  virtual ~Protocol() = default;

  /// A new life of the replica `self` of nodes 1 to `nodes`. Each life has a seed of its own.
  virtual std::unique_ptr<Replica> make(NodeId self, std::uint32_t nodes, std::uint64_t seed) = 0;

  /// Called after each step of node `stepped`. `replicas[i]` is that of node i + 1; null while it
  /// is down. A restarted replica is another object.
  virtual std::optional<Violation> check(std::span<const Replica* const> replicas,
                                         NodeId stepped) = 0;

  /// Whether requests can be served while only `up` of `nodes` run for good.
  virtual bool serves_with(std::uint32_t up, std::uint32_t nodes) const = 0;
};

/// What a swarm may draw for a protocol, and how its log lines begin.
struct ProtocolTraits {
  std::string_view name;
  std::string_view context;  // fields of each log line before node=N: "phase=5"
  std::vector<std::uint32_t> cluster_sizes;
  std::vector<std::string_view> roles;  // that can be killed
  bool survives_wiped_disk = false;     // of one node, which then may stay away for good
  Share clock_off_max{};  // not 0: no clock is faster or slower than by this, and none jumps
  bool tells_the_certain = false;  // that nothing was done, if so, before clients give up
};

}  // namespace kv::sim
