#include "phase3_2pc/membership.h"

#include <algorithm>

namespace kv::two_phase {

Membership::Membership(NodeId self, std::uint64_t drawn, Outbox& outbox)
    : self_(self), drawn_(drawn), outbox_(outbox) {}

void Membership::start() {
  meet(self_, drawn_);
  // Whoever has joined has met all the others.
  const bool joined =
      std::ranges::all_of(outbox_.peers(), [this](NodeId peer) { return disks_.contains(peer); });
  standing_ = joined ? Standing::member : Standing::joins;
}

void Membership::on_pulse(NodeId from, const Pulse& pulse) {
  const auto mine = std::ranges::find(pulse.known, self_, &KnownDisk::node);
  if (mine != pulse.known.end() && mine->disk != disk()) {
    standing_ = Standing::lost;  // nothing is written: its next life asks again
  }
  if (standing_ == Standing::lost) {
    return;
  }
  meet(from, pulse.disk);
  heard_.insert(from);
  if (standing_ == Standing::joins && heard_.size() == outbox_.peers().size()) {
    standing_ = Standing::member;
  }
}

void Membership::meet(NodeId node, std::uint64_t disk) {
  if (disks_.try_emplace(node, disk).second) {
    outbox_.record(RecordKind::met, KnownDisk{node, disk});
  }
}

bool Membership::is_stranger(NodeId node, std::uint64_t disk) const {
  const auto met = disks_.find(node);
  return met != disks_.end() && met->second != disk;
}

std::vector<KnownDisk> Membership::known() const {
  std::vector<KnownDisk> known;
  for (const auto& [node, disk] : disks_) {
    known.push_back({node, disk});
  }
  return known;
}

}  // namespace kv::two_phase
