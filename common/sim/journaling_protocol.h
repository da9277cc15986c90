// The simplest protocol as the simulator sees it: every life of the replica must be where its
// former life was.
#pragma once

#include <unordered_map>

#include "common/sim/journaling_replica.h"
#include "common/sim/protocol.h"

namespace kv::sim {

class JournalingProtocol final : public Protocol {
 public:
  static ProtocolTraits traits();

  std::unique_ptr<Replica> make(NodeId self, std::uint32_t nodes, std::uint64_t seed) override;
  std::optional<Violation> check(std::span<const Replica* const> replicas, NodeId stepped) override;
  bool serves_with(std::uint32_t up, std::uint32_t nodes) const override { return up == nodes; }

 private:
  std::unordered_map<std::uint64_t, std::uint64_t> checksums_;  // by records applied
  std::uint64_t applied_ = 0;
};

}  // namespace kv::sim
