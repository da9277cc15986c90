#include "common/sim/disk_journal.h"

#include <algorithm>

#include "common/core/check.h"
#include "common/wire/checksum.h"

namespace kv::sim {
namespace {

constexpr std::string_view journal_prefix = "journal-";
constexpr std::size_t journal_digits = 20;
constexpr std::uint64_t journal_id = 1;

std::string name_of_segment(std::uint64_t first_record) {
  const std::string number = std::to_string(first_record);
  return std::string{journal_prefix} + std::string(journal_digits - number.size(), '0') + number;
}

}  // namespace

DiskJournal::DiskJournal(Disk& disk, std::size_t segment_bytes)
    : disk_(disk),
      segment_bytes_(segment_bytes / wire::journal_block_bytes * wire::journal_block_bytes) {}

Recovery DiskJournal::open(std::uint64_t first, const std::function<void(ByteView)>& recover) {
  Recovery recovery;
  const std::vector<Segment> found = find_segments(recovery);
  segments_.assign(found.begin(), found.end());
  place_ = found.empty() ? wire::JournalPlace{} : found.front().start;
  if (recovery.good && place_.record > first) {
    recovery.good = false;
    recovery.why = "the journal begins with record " + std::to_string(place_.record) +
                   ", but the snapshot ends before it";
  }
  for (std::size_t i = 0; i < found.size() && recovery.good; ++i) {
    read_segment(found[i], i + 1 == found.size(), first, recovery, recover);
  }
  if (recovery.good && place_.record < first) {
    recovery.good = false;
    recovery.why = "the journal ends with record " + std::to_string(place_.record) +
                   ", but the snapshot holds more";
  }
  if (recovery.good && place_.record < synced_) {
    broken_promise_ = "records " + std::to_string(place_.record) + " to " +
                      std::to_string(synced_ - 1) + " were synced and are not recovered";
  }
  if (recovery.good) {
    truth_.resize(std::min<std::uint64_t>(truth_.size(), place_.record - truth_first_));
    synced_ = place_.record;
  }
  return recovery;
}

void DiskJournal::write(std::span<const Bytes> records) {
  check(synced_ == place_.record);
  for (const Bytes& record : records) {
    truth_.push_back(wire::checksum(record));
  }
  const std::size_t bytes = wire::journal_batch_bytes(records);
  if (segments_.empty() || offset_ + bytes > last_bytes_) {
    begin_segment(bytes);
  }
  batch_.clear();
  wire::append_journal_batch(batch_, place_, records);
  disk_.write(segments_.back().name, offset_, batch_);
  offset_ += batch_.size();
}

void DiskJournal::sync() {
  disk_.sync(segments_.back().name);
  synced_ = place_.record;
}

void DiskJournal::replay(std::uint64_t first, const std::function<void(ByteView)>& recover) const {
  for (const Segment& segment : segments_) {
    wire::SegmentReader reader{disk_.read(segment.name)};
    std::uint64_t number = segment.start.record;
    while (const auto record = reader.next()) {
      if (number++ >= first) {
        recover(*record);
      }
    }
  }
}

void DiskJournal::truncate(std::uint64_t first) {
  bool removed = false;
  while (segments_.size() > 1 && segments_[1].start.record <= first) {
    disk_.remove(segments_.front().name);
    segments_.pop_front();
    removed = true;
  }
  if (!removed) {
    return;
  }
  disk_.sync_folder();
  const std::uint64_t begin = segments_.front().start.record;
  truth_.erase(truth_.begin(), truth_.begin() + static_cast<std::ptrdiff_t>(begin - truth_first_));
  truth_first_ = begin;
}

void DiskJournal::forget() {
  segments_.clear();
  truth_.clear();
  truth_first_ = 0;
  place_ = {};
  synced_ = 0;
}

std::vector<DiskJournal::Segment> DiskJournal::find_segments(Recovery& recovery) {
  std::vector<Segment> found;
  for (const std::string& name : disk_.names(journal_prefix)) {
    std::string why;
    const auto header =
        wire::decode_segment_header(disk_.read(name).substr(0, wire::journal_block_bytes), why);
    if (!header || name != name_of_segment(header->start.record)) {
      recovery.good = false;
      recovery.why = name + " " + (header ? "has another segment's header" : why);
      return found;
    }
    found.push_back({.name = name, .start = header->start});
  }
  return found;
}

void DiskJournal::read_segment(const Segment& segment, bool last, std::uint64_t first,
                               Recovery& recovery, const std::function<void(ByteView)>& recover) {
  const ByteView bytes = disk_.read(segment.name);
  wire::SegmentReader reader{bytes};
  bool follows = segment.start == place_;
  std::uint64_t number = segment.start.record;
  while (const auto record = follows ? reader.next() : std::nullopt) {
    compare(number, *record);
    if (number >= first) {
      recover(*record);
      ++recovery.records;
    }
    ++number;
  }
  recovery.good = follows && (reader.end().verdict == wire::SegmentVerdict::whole ||
                              (last && reader.end().verdict == wire::SegmentVerdict::torn));
  if (!recovery.good) {
    recovery.why = segment.name + (follows ? " at offset " + std::to_string(reader.end().offset) +
                                                 ": " + reader.end().what
                                           : " does not follow the segment before it");
    return;
  }
  place_ = reader.end().place;
  offset_ = reader.end().offset;
  last_bytes_ = bytes.size();
  recovery.torn_bytes = reader.end().torn_bytes;
  if (recovery.torn_bytes > 0) {
    disk_.write(segment.name, offset_, {}, recovery.torn_bytes);
    disk_.sync(segment.name);
  }
}

void DiskJournal::begin_segment(std::size_t batch_bytes) {
  if (!segments_.empty() && segments_.back().start == place_) {
    disk_.remove(segments_.back().name);  // empty, and too short for this batch: another stands in
    segments_.pop_back();                 // its place
  }
  last_bytes_ = std::max(segment_bytes_, wire::journal_block_bytes + batch_bytes);
  const Segment segment{.name = name_of_segment(place_.record), .start = place_};
  const Bytes header =
      wire::encode_segment_header({.journal = journal_id, .bytes = last_bytes_, .start = place_});
  disk_.write(segment.name, 0, header, last_bytes_ - header.size());
  disk_.sync(segment.name);
  disk_.sync_folder();
  segments_.push_back(segment);
  offset_ = wire::journal_block_bytes;
}

/// Holds a recovered record against what was written under its number.
void DiskJournal::compare(std::uint64_t number, ByteView record) {
  const bool known = number >= truth_first_ && number - truth_first_ < truth_.size();
  if (!known || truth_[number - truth_first_] != wire::checksum(record)) {
    broken_promise_ = "record " + std::to_string(number) + " was recovered, but " +
                      (known ? "another was written" : "none was written");
  }
}

}  // namespace kv::sim
