// The store: keys and values in memory, 64-byte values at under 100 bytes an item all in, and no
// operation that waits for the whole table.
//
// It is extendible hashing: the first bits of a key's hash choose a segment (common/kv/segment.h),
// which splits when it is full and joins its neighbour when both are sparse, so every step is
// bounded by one segment (a thousand items or 128 KiB), beside the doubling of the directory of 8
// bytes a segment. A snapshot is the segments as they were at its beginning: whoever changes one
// that the snapshot has not reached yet leaves it a copy.
//
// Pure: the same calls give the same answers, the same order and the same snapshot bytes. Used
// from one thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "common/core/bytes.h"
#include "common/kv/command.h"
#include "common/kv/segment.h"

namespace kv {

/// Why no store can carry the command out, whatever it holds: too long, or an empty key. Null if
/// one can.
const char* refusal_of(const Command& command);

/// A key with its hash in one store: hashed once for what is asked of it more than once.
struct HashedKey {
  ByteView key;
  std::uint64_t hash = 0;
};

class Store {
 public:
  /// Whoever serves strangers gives a random seed, so that nobody can choose keys that collide.
  /// The seed decides the order of a snapshot's items and nothing else that can be seen.
  static constexpr std::uint64_t default_hash_seed = 0x5175696e74657400;

  explicit Store(std::uint64_t hash_seed = default_hash_seed);
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;
  ~Store();

  /// Does what `command` says; the reply's value is valid until the next change of the store.
  /// A batch is all or nothing: conflict, and nothing changed, if one guard does not hold.
  /// Too long (or an empty key): bad_request, and nothing changed. Origin is not looked at.
  ReplyView apply(const Command& command);
  /// The same, to keep. Every field of `reply` is set; its strings keep their capacity.
  void apply(const Command& command, Reply& reply);

  /// Sets the hashes of keys, of whatever bytes, that will be asked for: and fetches what is needed
  /// for all of them into the caches, the memory's latencies beside one another.
  void expect(std::span<HashedKey> keys) const;

  // The verbs themselves. Sizes are checked: key 1 to key_bytes_max, value to value_bytes_max.
  // What is handed in must not be a view of this store's own bytes.

  /// Valid until the next change of the store.
  std::optional<ByteView> get(ByteView key) const { return get(hashed(key)); }
  std::optional<ByteView> get(const HashedKey& key) const;
  void put(ByteView key, ByteView value) { put(hashed(key), value); }
  void put(const HashedKey& key, ByteView value);
  /// ok or not_found.
  Status erase(ByteView key);
  /// ok, conflict (`key` holds something else) or not_found.
  Status compare_and_set(ByteView key, ByteView expected, ByteView value);
  void clear();

  std::size_t size() const { return items_; }
  /// What is asked of the allocator for all of it, open snapshot included; the allocator's own
  /// words (8 to 16 bytes for each 4 KiB) are not in it.
  std::size_t memory_bytes() const;

  /// Freezes an image of the items as they are now; an older image that is still open is dropped.
  /// Costs nothing by itself. Until its last piece is out, a change costs a copy of each segment
  /// that it is the first to touch (10 to 50 us; long values are shared, not copied), and that
  /// copy is held until its piece is out. Pieces take such copies first: who takes a piece
  /// (three segments) every N changes holds N copies at most; who takes none, the whole image.
  void begin_snapshot();
  /// Replaces `out` by the next items of the image: whole items to about `bytes_max`, at least
  /// one, unless `segments_passed_max` segments had nothing new. False once all are out.
  bool next_snapshot_piece(Bytes& out, std::size_t bytes_max);
  void end_snapshot();
  bool snapshot_open() const { return snapshot_open_; }

  /// Adds a snapshot piece's items. False if it is damaged; what was added by then stays.
  bool restore_piece(ByteView piece);

 private:
  static constexpr unsigned depth_max = 24;
  static constexpr std::size_t segments_passed_max = 4096;

  /// A segment as it was when the snapshot began, and how far it has been written out.
  struct Saved {
    std::unique_ptr<Segment> segment;
    Segment::Slot next;
  };

  std::uint64_t hash_of_key(ByteView key) const;
  HashedKey hashed(ByteView key) const { return {.key = key, .hash = hash_of_key(key)}; }
  std::size_t index_of(std::uint64_t hash) const { return hash >> 1 >> (63 - depth_); }
  Segment& segment_of(std::uint64_t hash) const { return *directory_[index_of(hash)]; }
  /// How many neighbours in the directory point at a segment of that depth.
  std::size_t span_of(unsigned depth) const { return std::size_t{1} << (depth_ - depth); }

  void before_change(Segment& segment);
  void save(Segment& segment);
  bool save_next();
  void split_while_overfull(std::uint64_t hash);
  void split(std::uint64_t hash);
  void join_if_sparse(std::uint64_t hash);
  bool join(std::uint64_t hash);
  void double_directory();
  void halve_directory();
  void free_segments();
  void place(std::size_t first, std::size_t count, Segment* segment);

  std::uint64_t hash_seed_;
  std::size_t items_ = 0;
  std::size_t segment_bytes_ = 0;    // what all segments allocated
  unsigned depth_ = 0;               // the directory has 2^depth_ places
  std::vector<Segment*> directory_;  // owned: each segment stands in span_of(depth()) places
  std::array<std::size_t, depth_max + 1> segments_of_depth_{};

  bool snapshot_open_ = false;
  std::uint64_t image_ = 0;   // the number of the last snapshot begun
  std::uint64_t cursor_ = 0;  // hashes below it are in saved_ or out
  bool cursor_at_end_ = false;
  std::deque<Saved> saved_;
};

/// Carries out a batch that refusal_of() lets pass, over whatever stores hold its keys:
/// `store_of(key)` says which.
template <typename StoreOf>
Status apply_batch(const Command& batch, StoreOf store_of) {
  for (const Guard& guard : batch.guards) {
    const std::optional<ByteView> value = store_of(guard.key).get(guard.key);
    if (guard.absent ? value.has_value() : value != guard.value) {
      return Status::conflict;
    }
  }
  for (const Write& write : batch.writes) {
    if (write.erase) {
      store_of(write.key).erase(write.key);
    } else {
      store_of(write.key).put(write.key, write.value);
    }
  }
  return Status::ok;
}

}  // namespace kv
