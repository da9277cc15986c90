// A coordinator's lives: how one begins from a snapshot and records, and what it leaves.
#include <algorithm>

#include "common/core/check.h"
#include "phase3_2pc/coordinator.h"

namespace kv::two_phase {

void Coordinator::recover(RecordKind kind, ByteView body) {
  switch (kind) {
    case RecordKind::booted: {
      const auto booted = wire::decode<Booted>(body);
      check(booted.has_value());
      boot_ = std::max(boot_, booted->boot);
      return;
    }
    case RecordKind::decided: {
      const auto decided = wire::decode<ListRecord<Transaction>>(body);
      check(decided.has_value());
      for (const Transaction& transaction : decided->items) {
        see_clock(transaction.age.clock);
        if (options_.witness != nullptr) {
          options_.witness->committed(transaction.id);
          options_.witness->decided(self_, transaction.id, true);
        }
        if (presumes_commit()) {
          old_.erase(transaction.id);
        } else {
          old_.emplace(transaction.id, 0);
        }
      }
      return;
    }
    case RecordKind::collecting:
    case RecordKind::ended: {
      const auto list = wire::decode<ListRecord<TxnId>>(body);
      check(list.has_value());
      for (const TxnId& txn : list->items) {
        if (kind == RecordKind::ended) {
          old_.erase(txn);
        } else {
          old_.emplace(txn, 0);
        }
      }
      return;
    }
    default:
      return;  // the participant's
  }
}

void Coordinator::start(Instant now) {
  ++boot_;
  boot_durable_ = false;
  outbox_.record_booted(boot_);
  outbox_.tell_self_when_durable({boot_, 0});
  if (outbox_.peers().empty()) {
    old_.clear();  // nobody is to be told
  }
  old_due_ = now;
}

void Coordinator::die() {
  // What had no commit record is aborted by that: its next life knows nothing of it. Of the others
  // it is not known here whether the record reaches the disk.
  for (const auto& [ticket, operation] : operations_) {
    const Entry* entry =
        operation.sequence == 0 ? nullptr : find({self_, boot_, operation.sequence});
    const bool committed = entry != nullptr && entry->commit;
    orphans_.push_back({operation.asker, committed ? Status::unknown : Status::aborted});
  }
  operations_.clear();
  to_begin_.clear();
  entries_.clear();
  first_sequence_ = 1;
  undecided_ = 0;
  open_bytes_ = 0;
  round_open_ = 0;
  to_commit_.clear();
  flushed_.clear();
  old_.clear();
  send_dues_.clear();
  deadlines_.clear();
  pauses_.clear();
  boot_ = 0;
  last_flush_ = 0;
  old_sent_ = 0;
  boot_durable_ = false;
}

void Coordinator::leave() {
  for (const auto& [ticket, operation] : operations_) {
    const bool begun = operation.sequence != 0;
    orphans_.push_back({operation.asker, begun ? Status::unknown : Status::unavailable});
  }
  operations_.clear();
  die();
}

struct Coordinator::Image {
  std::uint64_t boot = 0;
  std::uint64_t clock = 0;
  std::vector<TxnId> telling;

  static void fields(auto& self, auto& visit) {
    visit("boot", self.boot);
    visit("clock", self.clock);
    visit("telling", self.telling);
  }
};

void Coordinator::encode_head(Bytes& head) const {
  Image image{.boot = boot_, .clock = clock_, .telling = {}};
  for (const auto& [txn, acks] : old_) {
    image.telling.push_back(txn);
  }
  for (const Entry& entry : entries_) {
    // Presumed abort: what was decided, until all know. Presumed commit: what was begun, until it
    // is decided or all know that it was aborted.
    const bool kept = presumes_commit() ? entry.state != State::finished && !entry.commit
                                        : entry.state != State::finished && entry.commit;
    if (kept) {
      image.telling.push_back(entry.transaction.id);
    }
  }
  wire::encode_to(image, head);
}

bool Coordinator::restore_head(ByteView head) {
  const auto image = wire::decode<Image>(head);
  if (!image) {
    return false;
  }
  boot_ = image->boot;
  see_clock(image->clock);
  for (const TxnId& txn : image->telling) {
    old_.emplace(txn, 0);
    if (options_.witness != nullptr && !presumes_commit()) {
      options_.witness->committed(txn);
    }
  }
  return true;
}

}  // namespace kv::two_phase
