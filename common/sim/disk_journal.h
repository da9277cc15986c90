// A node's journal on its simulated disk: the same bytes, read by the same reader, as the real one.
//
// And the truth about it: what was appended and what was synced is remembered outside of the disk,
// so that each recovery can be held against it.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/core/bytes.h"
#include "common/sim/disk.h"
#include "common/wire/journal_format.h"

namespace kv::sim {

/// What reading a disk came to.
struct Recovery {
  bool good = true;
  std::string why;            // not good: what is damaged, and where
  std::uint64_t records = 0;  // handed over
  std::uint64_t torn_bytes = 0;
};

class DiskJournal {
 public:
  /// Makes segments of `segment_bytes`, or longer ones for longer batches.
  DiskJournal(Disk& disk, std::size_t segment_bytes);

  /// Hands over every record from number `first` on, in order. Finds the end, wipes a torn tail,
  /// and refuses what no crash can have left. An empty disk becomes a new journal.
  Recovery open(std::uint64_t first, const std::function<void(ByteView)>& recover);

  /// Writes a batch, not synced. Only after the one before it was synced.
  void write(std::span<const Bytes> records);
  void sync();
  std::uint64_t written() const { return place_.record; }
  std::uint64_t synced() const { return synced_; }

  /// Hands over every record from number `first` on that was written, and changes nothing.
  void replay(std::uint64_t first, const std::function<void(ByteView)>& recover) const;

  /// Removes the segments of which no record is `first` or later.
  void truncate(std::uint64_t first);
  /// The disk was lost: nothing is expected of it any more.
  void forget();

  /// What a recovery broke that the reader did not see; empty if all is well.
  std::string broken_promise() const { return broken_promise_; }

 private:
  struct Segment {
    std::string name;
    wire::JournalPlace start;
  };

  std::vector<Segment> find_segments(Recovery& recovery);
  void read_segment(const Segment& segment, bool last, std::uint64_t first, Recovery& recovery,
                    const std::function<void(ByteView)>& recover);
  void begin_segment(std::size_t batch_bytes);
  void compare(std::uint64_t number, ByteView record);

  Disk& disk_;
  std::size_t segment_bytes_;
  std::deque<Segment> segments_;
  wire::JournalPlace place_;
  std::size_t offset_ = 0;      // in the last segment
  std::size_t last_bytes_ = 0;  // its length
  std::uint64_t synced_ = 0;
  Bytes batch_;

  std::deque<std::uint64_t> truth_;  // checksums of all records from truth_first_ on
  std::uint64_t truth_first_ = 0;
  std::string broken_promise_;
};

}  // namespace kv::sim
