// The journal's bytes, and what its end proves: shared by the host's journal and the simulator's
// disk.
//
// A journal is a stream of records, numbered 0, 1, 2 …, in segments: files of a fixed length that
// are made, filled with zeros and synced before their first use. A segment is a row of blocks of
// 512 bytes, the least that any disk writes whole or not at all. Block 0 is the segment's header.
// What is synced together is a batch, and a batch fills whole blocks, so that no write ever
// touches a block that was acknowledged:
//
//   block   checksum of the rest (8) · number of this block in the journal's life (8) ·
//           chain: checksum of the last block before this batch (8) · 488 bytes of the batch
//   batch   version (4) · records in it (4) · number of its first record (8) · bytes of its
//           records (8) · each record as length (4) and bytes · zeros to the end of the block
//   header  checksum of the rest (8) · "QTJOURN1" (8) · version (4) · 0 (4) · journal (8) ·
//           length of the segment (8) · number of its first block (8) · of its first record (8) ·
//           chain (8) · zeros
//
// All numbers are little-endian.
//
// What the end proves. One batch is written at a time, and the next one only after a sync. So at
// a crash at most one batch was not acknowledged: the last. Each of its blocks is then either
// as before (zeros; or, in a segment used again, a block of the segment's former life: it is
// whole, but its number is below the segment's first) or as written (its checksum holds, its
// number is its place, its chain the last good batch's). Hence, when the blocks after the last
// good batch are
//   - all as before: that was the end;
//   - as before or as written, with at least one of the batch's own as before: torn. It was never
//     acknowledged, for a sync would have left none as before. Dropping it loses nothing;
//   - anything else: no crash leaves that. A block that is neither was changed by the disk; a good
//     block with another chain belongs to a later batch, so what is missing before it had been
//     acknowledged. That is damage, and nothing may be dropped.
// A flipped bit anywhere thus refuses the segment, also in the last batch, in the padding and in
// the header; and a file that is shorter than its header says was cut by no crash.
// What this cannot see: a disk that loses acknowledged blocks at the very end and shows exactly
// what stood there before, in a journal that was not closed. An empty batch at an orderly stop
// excludes that too.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "common/core/bytes.h"

namespace kv::wire {

inline constexpr std::size_t journal_block_bytes = 512;
inline constexpr std::size_t record_bytes_max = 16 * 1024 * 1024;
/// A writer ends a batch before it grows beyond this, unless it is one record.
inline constexpr std::size_t journal_batch_bytes_max = 4 * 1024 * 1024;

/// Where a journal goes on: all that a batch must know of those before it.
struct JournalPlace {
  std::uint64_t record = 0;  // the next record's number
  std::uint64_t block = 0;   // the next block's number
  std::uint64_t chain = 0;   // checksum of the last block before

  bool operator==(const JournalPlace&) const = default;
};

struct SegmentHeader {
  std::uint64_t journal = 0;  // drawn when the journal was made: files of two never mix
  std::uint64_t bytes = 0;    // length of the segment, header included
  JournalPlace start;

  bool operator==(const SegmentHeader&) const = default;
};

/// One block.
Bytes encode_segment_header(const SegmentHeader& header);

/// Nothing, and what is wrong in `why`, if the block is no such header.
std::optional<SegmentHeader> decode_segment_header(ByteView block, std::string& why);

/// How long the batch of `records` is in a segment: whole blocks.
std::size_t journal_batch_bytes(std::span<const Bytes> records);

/// Appends the batch of `records` as it stands at `place`, and moves `place` behind it. Each
/// record is at most record_bytes_max long: check(). No records: a batch that only proves that
/// all before it was acknowledged, for an orderly stop.
void append_journal_batch(Bytes& out, JournalPlace& place, std::span<const Bytes> records);

/// The same to `at`, where journal_batch_bytes(records) bytes are writable: nothing that stood
/// there is kept, and nothing is written twice.
void write_journal_batch(char* at, JournalPlace& place, std::span<const Bytes> records);

enum class SegmentVerdict : std::uint8_t {
  whole,    // the last good batch is the last that was ever written here
  torn,     // what follows it was never acknowledged; wipe it before writing on
  damaged,  // acknowledged records are lost or may be: refuse
};

struct SegmentEnd {
  SegmentVerdict verdict = SegmentVerdict::whole;
  std::uint64_t offset = 0;      // whole, torn: where the next batch goes; damaged: the damage
  std::uint64_t torn_bytes = 0;  // torn: from `offset` on, what to wipe
  std::uint64_t last_batch = 0;  // where the last good batch begins; `offset` if there is none
  JournalPlace place;            // behind the last good batch
  std::string what;              // damaged: what is wrong there, one line
};

/// Walks the records of one segment.
class SegmentReader {
 public:
  enum class Extent : std::uint8_t {
    whole,      // the file, to its end
    beginning,  // of a segment that is in use: whole batches, and nothing may be said of the rest
  };

  /// `segment` must outlive the reader.
  explicit SegmentReader(ByteView segment, Extent extent = Extent::whole);

  /// The header; nothing if it is damaged (end() says how).
  const std::optional<SegmentHeader>& header() const { return header_; }

  /// The next record, in order; nothing after the last of the last good batch. The view holds
  /// until the next call.
  std::optional<ByteView> next();

  /// What the rest proves. Only after next() gave nothing.
  const SegmentEnd& end() const;

 private:
  enum class Block : std::uint8_t { before, written, foreign, rotten };

  bool read_batch();
  bool gather(std::size_t first, std::size_t count);
  std::size_t blocks_of_batch_at(std::size_t block);
  Block classify(std::size_t block) const;
  ByteView block_at(std::size_t block) const;
  void judge_rest(std::size_t tail, std::size_t told);
  void finish_damaged(std::size_t offset, std::string what);

  ByteView segment_;
  std::optional<SegmentHeader> header_;
  std::size_t next_block_ = 1;  // in the file
  std::size_t last_batch_ = 1;
  JournalPlace place_;
  Bytes batch_;  // the current batch's bytes without the blocks' heads
  std::size_t batch_at_ = 0;
  std::uint32_t records_left_ = 0;
  std::optional<SegmentEnd> end_;
};

}  // namespace kv::wire
