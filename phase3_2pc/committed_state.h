// What transactions have left at one replica: the store, and what clients were told.
//
// Replicas that have applied the same transactions hold the same, in whatever order those that
// share no key came; the checksum says so: it is a sum over what stands there, so it does not know
// the order either. Pure; used from one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/core/bytes.h"
#include "common/kv/command.h"
#include "common/kv/store.h"
#include "phase3_2pc/messages.h"
#include "phase3_2pc/outcomes.h"

namespace kv::two_phase {

/// Every key that `command`, a change, reads or writes: sorted, each once.
std::vector<std::string> keys_of(const Command& command);

class CommittedState {
 public:
  explicit CommittedState(OutcomeBounds bounds = {},
                          std::uint64_t hash_seed = Store::default_hash_seed)
      : store_(hash_seed), outcomes_(bounds) {}

  /// A get or a ping.
  void read(const Command& command, Reply& reply);

  /// What `command`, a change whose keys are locked, would do now. Either it needs no transaction,
  /// because it is a repeat, malformed, or changes nothing and nobody will repeat it; then `reply`
  /// is its answer. Or `parts` and `outcome` are the transaction's.
  struct Plan {
    bool needs_transaction = false;
    Reply reply;
    std::vector<Part> parts;
    Status outcome = Status::ok;
  };
  Plan plan(const Command& command) const;

  void apply(const Transaction& transaction);

  /// A hash of what stands there; 0 for nothing.
  std::uint64_t print_of(ByteView key) const;
  std::uint64_t applied() const { return applied_; }
  std::uint64_t checksum() const { return checksum_; }
  std::size_t size() const { return store_.size(); }
  std::size_t memory_bytes() const { return store_.memory_bytes(); }
  const Outcomes& outcomes() const { return outcomes_; }

  /// Freezes the items. The rest is appended to `rest` now.
  void begin_snapshot(Bytes& rest);
  /// False once all items are out.
  bool next_items(Bytes& out, std::size_t bytes_max) {
    return store_.next_snapshot_piece(out, bytes_max);
  }
  bool snapshot_open() const { return store_.snapshot_open(); }
  bool restore_rest(ByteView rest);
  bool restore_items(ByteView items) { return store_.restore_piece(items); }
  void clear();

 private:
  struct Totals;

  Status plan_single(const Command& command, std::vector<Part>& parts) const;
  Status plan_batch(const Command& command, std::vector<Part>& parts) const;
  Part part_of(const std::string& key) const;
  static std::uint64_t weight_of(ByteView key, ByteView value);

  Store store_;
  Outcomes outcomes_;
  std::uint64_t applied_ = 0;
  std::uint64_t checksum_ = 0;
};

}  // namespace kv::two_phase
