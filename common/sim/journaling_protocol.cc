#include "common/sim/journaling_protocol.h"

namespace kv::sim {

ProtocolTraits JournalingProtocol::traits() {
  return {.name = "trivial",
          .context = "",
          .cluster_sizes = {1},
          .roles = {},
          .survives_wiped_disk = false};
}

std::unique_ptr<Replica> JournalingProtocol::make(NodeId, std::uint32_t, std::uint64_t) {
  return std::make_unique<JournalingReplica>();
}

std::optional<Violation> JournalingProtocol::check(std::span<const Replica* const> replicas,
                                                   NodeId) {
  const auto* replica = static_cast<const JournalingReplica*>(replicas.front());
  if (replica == nullptr || replica->applied() == applied_) {
    return std::nullopt;
  }
  // Records that were not synced may be gone; others will stand in their place.
  for (; applied_ > replica->applied(); --applied_) {
    checksums_.erase(applied_);
  }
  applied_ = replica->applied();
  const auto [known, fresh] = checksums_.try_emplace(applied_, replica->checksum());
  if (!fresh && known->second != replica->checksum()) {
    return Violation{
        .invariant = "a_new_life_is_where_the_last_one_was",
        .detail = "after " + std::to_string(applied_) + " records the state is not what it was"};
  }
  return std::nullopt;
}

}  // namespace kv::sim
