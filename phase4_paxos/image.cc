#include "phase4_paxos/image.h"

#include "common/core/check.h"
#include "phase4_paxos/options.h"

namespace kv::paxos {

LentImage::LentImage(StateMachine& machine, Slot applied, Bytes head, std::uint64_t id, NodeId to,
                     Instant now)
    : machine_(machine), applied_(applied), id_(id), to_(to), asked_at_(now) {
  machine_.begin_snapshot();
  pieces_.push_back(std::move(head));
}

const Bytes* LentImage::piece(std::uint64_t number, std::uint64_t kept_from) {
  for (; first_ < kept_from && !pieces_.empty(); ++first_) {
    pieces_.pop_front();
  }
  if (number < first_) {
    return nullptr;
  }
  while (!complete_ && number >= first_ + pieces_.size() && pieces_.size() < 2 * image_window) {
    Bytes next = machine_.next_snapshot_piece();
    complete_ = next.empty();
    if (!complete_) {
      pieces_.push_back(std::move(next));
    }
  }
  const std::uint64_t index = number - first_;
  return index < pieces_.size() ? &pieces_[index] : nullptr;
}

}  // namespace kv::paxos
