// What a replica applies its log to: the store with its clients' sessions, so that every operation
// takes effect exactly once on every replica alike.
//
// Pure: the same entries in the same order give the same replies, the same state and the same
// checksum, on every replica and in every run. Used from one thread.
//
// A snapshot is a row of pieces, each with a version, its number and a checksum that is chained
// through all of them, so that a piece that is damaged, missing, from another snapshot or out of
// order is refused. docs/PROTOCOL.md has their bytes.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "common/core/bytes.h"
#include "common/core/time.h"
#include "common/kv/command.h"
#include "common/kv/sessions.h"
#include "common/kv/store.h"

namespace kv {

/// What a log holds and replicas agree on. One that shall do nothing is a ping without origin.
struct Entry {
  Command command;
  LogTime time{};  // stamped by whoever proposed it, see Stamper

  bool operator==(const Entry&) const = default;
  static void fields(auto& self, auto& visit) {
    visit("command", self.command);
    visit("time", self.time);
  }
};

/// Turns a proposer's own time into the log's. A log's time passes while somebody proposes and
/// stands still otherwise, so sessions never expire early because a clock jumped or a cluster was
/// down; between two proposers it goes on where the log stands.
class Stamper {
 public:
  /// `seen` is the time of the log as far as this proposer knows it: StateMachine::time().
  LogTime stamp(Instant now, LogTime seen) {
    const Duration ahead = seen.time_since_epoch() - now.time_since_epoch();
    offset_ = offset_ ? std::max(*offset_, ahead) : ahead;
    return LogTime{now.time_since_epoch() + *offset_};
  }

 private:
  std::optional<Duration> offset_;
};

class StateMachine {
 public:
  explicit StateMachine(SessionBounds bounds = {},
                        std::uint64_t hash_seed = Store::default_hash_seed);

  /// Applies the next entry of the log; every field of `reply` is set. The caller gives each
  /// entry of its log once; what clients repeat, in other entries, is not executed again (see
  /// sessions.h for what the reply then is). A time before an earlier entry's counts as that.
  void apply(const Entry& entry, Reply& reply);
  /// Answers a get or a ping from the state as it is: no entry, no trace.
  void read(const Command& command, Reply& reply);

  /// Entries applied, in all its lives.
  std::uint64_t applied() const { return applied_; }
  /// Chained over every entry applied: replicas with equal applied() have equal checksums, or
  /// their logs differ.
  std::uint64_t checksum() const { return checksum_; }
  /// The latest time stamp applied.
  LogTime time() const { return time_; }
  std::size_t size() const { return store_.size(); }
  /// Of the items, as Store counts them; sessions are bounded by their SessionBounds.
  std::size_t memory_bytes() const { return store_.memory_bytes(); }
  const Sessions& sessions() const { return sessions_; }

  /// Freezes an image of everything as it is now; an older one is dropped. Copies the sessions
  /// (about 5 ms with every bound reached); the items are copied on first change, see Store.
  void begin_snapshot();
  /// The next piece: to about snapshot_piece_bytes_max, or one item that is longer than that.
  /// Empty when the last is out. Changes may come in between.
  Bytes next_snapshot_piece();

  enum class Restored : std::uint8_t { more, done, damaged };
  /// Takes the pieces in order; the first begins anew, whatever stood here. Until `done` the
  /// state is nothing to be used, and after `damaged` it is empty.
  Restored restore(ByteView piece);

 private:
  enum class Part : std::uint8_t { head, sessions, items, end };

  /// A snapshot on its way out or in.
  struct Progress {
    Part part = Part::end;
    std::uint64_t number = 0;       // of the next piece
    std::uint64_t checksum = 0;     // of the last one: the seed of the next one's
    std::uint64_t items = 0;        // that the image holds
    Bytes head;                     // out: the first piece's body
    Bytes sessions;                 // out: all of them; in: what came so far
    std::size_t sessions_done = 0;  // out: bytes that left; in: bytes that must come
  };

  Bytes sealed(Part part, ByteView body);
  std::optional<Part> unseal(ByteView& piece);
  bool restore_body(Part part, ByteView body);
  bool restore_head(ByteView body);
  void clear();

  Store store_;
  Sessions sessions_;
  std::uint64_t applied_ = 0;
  std::uint64_t checksum_ = 0;
  LogTime time_{};
  Bytes encoded_;  // the entry being applied; kept for its capacity

  Progress out_;
  Progress in_;
};

}  // namespace kv
