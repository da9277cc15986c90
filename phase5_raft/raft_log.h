// The log: entries as they stand on the wire and on disk, and where each begins.
//
// Entries are bytes from the beginning: encoded once by the leader, copied as they are into
// messages, records and other logs, and read when they are applied. They lie one after another in
// chunks that never move, so a run of entries is one copy, and no entry is an allocation.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>

#include "common/core/bytes.h"
#include "phase5_raft/ids.h"

namespace kv::raft {

enum class EntryKind : std::uint8_t { noop, command, membership };
constexpr EntryKind last_of(EntryKind) {
  return EntryKind::membership;
}

/// An entry in its wire form: term (varint) · kind (1) · length (varint) · payload.
struct EntryView {
  Term term;
  EntryKind kind = EntryKind::noop;
  ByteView payload;
  ByteView whole;  // the wire form, payload included
};

void append_entry(Bytes& out, Term term, EntryKind kind, ByteView payload);
/// Takes an entry off the front of `bytes`; nothing if they begin with none.
std::optional<EntryView> take_entry(ByteView& bytes);

/// Entries base()+1 to last(). What stood up to base() is in the state machine.
class RaftLog {
 public:
  Index base() const { return base_; }
  Index first() const { return base_ + 1; }
  Index last() const { return base_ + places_.size(); }
  Term base_term() const { return base_term_; }
  Term last_term() const { return places_.empty() ? base_term_ : places_.back().term; }
  /// From base() to last(); nothing elsewhere.
  std::optional<Term> term_at(Index index) const;
  /// check() that it is held. The views are good until the entry is dropped.
  EntryView at(Index index) const;
  std::size_t bytes() const { return bytes_; }
  std::size_t bytes_at(Index index) const { return places_[offset_of(index)].bytes; }

  void append(Term term, EntryKind kind, ByteView payload);
  /// An entry of another log.
  void append(const EntryView& entry);
  /// Drops what stands behind `index`, which is at least base().
  void truncate_after(Index index);
  /// Forgets what stands up to `index`, which is at most last(): it is applied.
  void drop_through(Index index);
  /// Empty, and everything up to `base` is in the state machine.
  void reset(Index base, Term base_term);

  /// Appends the wire forms from `from` on: to about `bytes_max`, and one at least. What was
  /// copied ends at the returned place. check() that `from` is held.
  Index copy_to(Bytes& out, Index from, std::size_t bytes_max) const;

  /// The highest place up to `index` whose term is at most `term`; base() if none is held.
  /// Raft 5.3: how leader and follower find where their logs part without a message an entry.
  Index last_up_to(Index index, Term term) const;

  /// How often something was taken away at its end: whoever watches the log sees it change.
  std::uint64_t truncations() const { return truncations_; }

 private:
  struct Place {
    Term term;
    std::uint32_t chunk;  // number since the beginning
    std::uint32_t offset;
    std::uint32_t bytes;
  };

  std::size_t offset_of(Index index) const;
  Bytes& chunk_for(std::size_t bytes);
  ByteView whole_at(const Place& place) const;
  void drop_unused_chunks();

  Index base_;
  Term base_term_;
  std::deque<Place> places_;
  std::deque<Bytes> chunks_;
  std::uint32_t first_chunk_ = 0;
  Bytes spare_;  // the last chunk dropped: its memory is the next one's
  std::size_t bytes_ = 0;
  std::uint64_t truncations_ = 0;
};

}  // namespace kv::raft
