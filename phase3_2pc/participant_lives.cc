// A participant's lives: how one begins from a snapshot and records, and what it leaves.
#include <algorithm>

#include "common/core/check.h"
#include "phase3_2pc/participant.h"

namespace kv::two_phase {

void Participant::recover(RecordKind kind, ByteView body) {
  if (kind == RecordKind::prepared || kind == RecordKind::decided) {
    auto record = wire::decode<ListRecord<Transaction>>(body);
    check(record.has_value());
    for (Transaction& transaction : record->items) {
      if (kind == RecordKind::prepared) {
        recover_prepared(std::move(transaction));
      } else {
        if (options_.witness != nullptr) {
          options_.witness->committed(transaction.id);  // its coordinator may not know yet
        }
        state_->apply(transaction);
        touch(keys_of(transaction));
      }
    }
    return;
  }
  const bool mine =
      kind == RecordKind::committed || kind == RecordKind::aborted || kind == RecordKind::refused;
  if (mine) {
    const auto record = wire::decode<ListRecord<TxnId>>(body);
    check(record.has_value());
    for (const TxnId& txn : record->items) {
      recover_decision(txn, kind == RecordKind::committed);
    }
  }
}

void Participant::recover_prepared(Transaction&& transaction) {
  const TxnId txn = transaction.id;
  Life& life = lives_[txn.coordinator];
  life.boot = std::max(life.boot, txn.boot);
  auto held = std::make_unique<Held>();
  held->claim = {.keys = keys_of(transaction), .age = transaction.age, .txn = txn};
  held->transaction = std::move(transaction);
  LockTable::Turned turned;
  // What was promised was granted, so it is granted again.
  check(locks_.take(held->claim, turned) == LockTable::Verdict::granted);
  held->claim.prepared = true;
  ++prepared_;
  touch(held->claim.keys);
  check(held_.emplace(txn, std::move(held)).second);
}

void Participant::recover_decision(const TxnId& txn, bool committed) {
  bury(txn, committed);
  tell_decided(txn, committed);
  const auto found = held_.find(txn);
  if (found == held_.end()) {
    return;
  }
  const std::unique_ptr<Held> held = std::move(found->second);
  held_.erase(found);
  --prepared_;
  LockTable::Turned turned;
  locks_.release(held->claim, turned);
  if (committed) {
    state_->apply(held->transaction);
  }
  touch(held->claim.keys);
}

void Participant::start(Instant now) {
  for (const auto& [txn, held] : held_) {
    held->since = now;
    held->ask_at = now;
    ask_dues_.push_back({now, txn});
  }
}

void Participant::die() {
  for (const auto& [key, readers] : readers_) {
    for (const Reader& reader : readers) {
      orphans_.push_back(reader.id);
    }
  }
  locks_.clear();
  held_.clear();
  own_.clear();
  decided_.clear();
  granted_.clear();
  turned_ = {};
  lives_.clear();
  readers_.clear();
  read_dues_.clear();
  ask_dues_.clear();
  reads_waiting_ = prepared_ = in_doubt_ = 0;
  if (state_->snapshot_open()) {
    image_ = std::move(state_);  // the image outlives the role: it stands for records given out
  }
  state_ = std::make_unique<CommittedState>(options_.outcomes, options_.hash_seed);
}

bool Participant::next_items(Bytes& out, std::size_t bytes_max) {
  const bool more = (image_ ? *image_ : *state_).next_items(out, bytes_max);
  if (!more) {
    image_.reset();
  }
  return more;
}

struct Participant::Image {
  struct Known {
    std::uint32_t node = 0;
    std::uint64_t boot = 0;
    std::uint64_t mark_boot = 0;
    std::uint64_t mark_sequence = 0;
    std::vector<Vote> tombstones;

    static void fields(auto& self, auto& visit) {
      visit("node", self.node);
      visit("boot", self.boot);
      visit("mark_boot", self.mark_boot);
      visit("mark_sequence", self.mark_sequence);
      visit("tombstones", self.tombstones);
    }
  };
  std::vector<Known> known;
  std::vector<Transaction> prepared;
  std::string state;

  static void fields(auto& self, auto& visit) {
    visit("known", self.known);
    visit("prepared", self.prepared);
    visit("state", self.state);
  }
};

void Participant::begin_snapshot(Bytes& head) {
  Image image;
  for (const auto& [node, life] : lives_) {
    Image::Known& known = image.known.emplace_back();
    known = {node.value, life.boot, life.mark_boot, life.mark_sequence, {}};
    for (const auto& [txn, ballot] : life.tombstones) {
      known.tombstones.push_back({txn, ballot});
    }
  }
  for (const auto& [txn, held] : held_) {
    if (held->claim.prepared) {
      image.prepared.push_back(held->transaction);
    }
  }
  std::ranges::sort(image.prepared, {}, &Transaction::id);
  image_.reset();
  state_->begin_snapshot(image.state);
  wire::encode_to(image, head);
}

bool Participant::restore_head(ByteView head) {
  die();
  auto image = wire::decode<Image>(head);
  if (!image || !state_->restore_rest(image->state)) {
    return false;
  }
  for (const Image::Known& known : image->known) {
    Life& life = lives_[{known.node}];
    life.boot = known.boot;
    life.mark_boot = known.mark_boot;
    life.mark_sequence = known.mark_sequence;
    for (const Vote& tombstone : known.tombstones) {
      life.tombstones[tombstone.txn] = tombstone.ballot;
    }
  }
  for (Transaction& transaction : image->prepared) {
    recover_prepared(std::move(transaction));
  }
  return true;
}

}  // namespace kv::two_phase
