// A small hash table that holds its own keys and values: the piece of which a Store is made.
//
// Entries lie one after another in chunks of equal size, so that growing copies nothing and the
// allocator cannot fragment. Slots name them: a slot is 16 bits of the key's hash and the entry's
// place, eight slots to a group. The 16 bits also say in which group the search begins, so the
// slots are laid out anew without reading a key. An entry is
//   1 byte key length, key, 1 byte value code, value
// where the code is the value's length; or says that two bytes of length follow; or that the value
// stands outside, in a counted allocation of its own whose address follows.
//
// Used by Store alone, which keeps segments small: each step here is bounded by one segment.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "common/core/bytes.h"

namespace kv {

/// Beyond one of these a segment is worth splitting in two.
inline constexpr std::size_t segment_items_max = 1024;
inline constexpr std::size_t segment_entry_bytes_max = 128 * 1024;
/// Longer values stand outside their segment.
inline constexpr std::size_t inline_value_bytes_max = 512;

class Segment {
 public:
  /// Where an entry is found; valid until the segment changes.
  using Slot = std::uint32_t;
  static constexpr Slot nowhere = UINT32_MAX;
  /// 16 bits of a key's hash, at least first_tag.
  using Tag = std::uint16_t;
  static constexpr Tag first_tag = 2;

  /// What the segment allocates is added to `memory_bytes`, and taken off again.
  Segment(unsigned depth, std::size_t& memory_bytes);
  Segment(const Segment&) = delete;
  Segment& operator=(const Segment&) = delete;
  ~Segment();

  Slot find(Tag tag, ByteView key) const;
  /// What to fetch into the caches before a find(): where its search begins; and, as soon as that
  /// is there, what it will most likely compare with. Null if there is nothing. Whoever asks
  /// fetches: GCC takes a function that only fetches for one without any effect, and leaves its
  /// call out.
  const void* group_of(Tag tag) const { return items_ > 0 ? &groups_[home_of(tag)] : nullptr; }
  const char* likely_entry(Tag tag) const;
  ByteView key_at(Slot slot) const;
  ByteView value_at(Slot slot) const;

  /// `key` must not be there yet.
  void insert(Tag tag, ByteView key, ByteView value);
  void overwrite(Slot slot, ByteView value);
  void erase(Slot slot);

  /// The first occupied slot at or after `slot`; nowhere if there is none.
  Slot occupied_from(Slot slot) const;
  /// Adds the entry to `other` too, which must not have its key. A value outside is then shared.
  void copy_entry(Slot slot, Segment& other) const;
  /// Adds every entry to `other`.
  void copy_all(Segment& other) const;
  /// Makes room for `items` entries more, so that adding them lays the slots out once.
  void reserve(std::size_t items);

  std::size_t items() const { return items_; }
  std::size_t entry_bytes() const { return live_bytes_; }
  bool overfull() const {
    return items_ > segment_items_max || live_bytes_ > segment_entry_bytes_max;
  }
  /// How many leading bits of a hash all its keys share.
  unsigned depth() const { return depth_; }

  /// The last snapshot that has what this segment held at its beginning.
  std::uint64_t image = 0;

 private:
  static constexpr std::size_t group_slots = 8;
  static constexpr std::size_t group_slots_used_max = 7;
  static constexpr std::size_t chunk_bytes = 4080;  // with the allocator's own words: a page

  struct Group {
    std::array<Tag, group_slots> tags{};              // 0 empty, 1 erased, or a key's
    std::array<std::uint32_t, group_slots> places{};  // chunk number, 12 bits of offset

    bool has_empty() const;
  };
  struct Outside;  // a long value and the number of entries that share it
  struct Entry;    // an entry's parts, found by reading it

  std::uint32_t home_of(Tag tag) const { return (tag * group_count_) >> 16; }
  bool is_of(std::uint32_t place, ByteView key) const;
  Slot find_further(Tag tag, ByteView key) const;
  void overwrite_otherwise(Slot slot, ByteView value);
  Entry entry_at(Slot slot) const;
  void occupy(Tag tag, std::uint32_t place);
  std::uint32_t append(std::size_t bytes);
  char* at(std::uint32_t place) const { return chunks_[place >> 12].get() + (place & 0xfff); }
  void write_value(char* to, ByteView value);
  void lay_out(std::size_t groups);
  void drop_entry(const Entry& entry);
  void compact_if_sparse();
  void compact();
  void release();
  void count_memory(std::ptrdiff_t bytes);

  std::unique_ptr<Group[]> groups_;
  std::vector<std::unique_ptr<char[]>> chunks_;
  std::uint32_t group_count_ = 0;
  std::uint32_t items_ = 0;
  std::uint32_t erased_slots_ = 0;
  std::uint32_t last_chunk_used_ = 0;
  std::uint32_t values_outside_ = 0;
  std::uint32_t depth_;
  std::size_t live_bytes_ = 0;
  std::size_t& memory_bytes_;
};

}  // namespace kv
