// What a journal does before its threads run: it reads what an earlier life left, and judges it.
#include <algorithm>
#include <iterator>
#include <utility>

#include "common/core/check.h"
#include "common/host/journal_state.h"

namespace kv::host {
namespace {

using wire::SegmentVerdict;

std::string damage(const std::string& path, std::uint64_t offset, const std::string& what) {
  return "journal: " + path + " at offset " + std::to_string(offset) + " " + what +
         "; acknowledged records may be lost, so this replica must not go on under its id: move " +
         "its directory away and let it join again as a new member";
}

}  // namespace

bool Journal::State::open(std::string& why) {
  const std::string& directory = options.directory;
  if (const auto error = disk.make_directory(directory)) {
    why = failed("make", directory, error);
    return false;
  }
  directory_lock = disk.lock(path_of("lock"));
  if (!directory_lock) {
    why = "journal: " + directory + " is in use by another process, or " + path_of("lock") +
          " cannot be written";
    return false;
  }
  std::vector<std::string> names;
  if (const auto error = disk.list(directory, names)) {
    why = failed("read", directory, error);
    return false;
  }
  for (const std::string& name : names) {
    if (name.starts_with(spare_prefix)) {
      if (const auto error = disk.remove(path_of(name))) {
        why = failed("remove", path_of(name), error);
        return false;
      }
    }
  }
  return read_headers(names, why);
}

bool Journal::State::read_headers(const std::vector<std::string>& names, std::string& why) {
  for (const std::string& name : names) {
    if (!name.starts_with(segment_prefix)) {
      continue;
    }
    const std::string path = path_of(name);
    std::unique_ptr<File> segment;
    auto error = disk.open(path, Disk::Open::read, segment);
    if (!error) {
      error = segment->read_at(0, wire::journal_block_bytes, reading);
    }
    if (error) {
      why = failed("read", path, error);
      return false;
    }
    std::string what;
    const auto header = wire::decode_segment_header(reading, what);
    if (!header || segment_name(header->start.block) != name) {
      why = damage(path, 0, header ? "belongs under another name" : what);
      return false;
    }
    if (!segments.empty() && header->journal != journal_id) {
      why = damage(path, 0, "belongs to another journal");
      return false;
    }
    journal_id = header->journal;
    segments.push_back({path, header->start});
  }
  if (segments.empty()) {
    journal_id = options.id;
  }
  return true;
}

bool Journal::State::recover(std::uint64_t from, const std::function<void(ByteView)>& on_record,
                             std::string& why) {
  if (segments.empty()) {
    if (from > 0) {
      why = "journal: " + options.directory + " is empty, but a snapshot stands at record " +
            std::to_string(from) + ": what followed it is lost; let this replica join again as a " +
            "new member";
      return false;
    }
    if (!begin_first_segment(why)) {
      return false;
    }
    start_threads();
    return true;
  }
  if (from < segments.front().start.record) {
    why = "journal: " + options.directory + " begins at record " +
          std::to_string(segments.front().start.record) + " but is needed from record " +
          std::to_string(from) + " on: the snapshot for what is before is missing or damaged; " +
          "let this replica join again as a new member";
    return false;
  }
  std::size_t first = 0;
  while (first + 1 < segments.size() && segments[first + 1].start.record <= from) {
    ++first;
  }
  place = segments[first].start;
  for (std::size_t i = first; i < segments.size(); ++i) {
    if (!recover_segment(i, from, on_record, why)) {
      return false;
    }
  }
  if (place.record < from) {
    why = "journal: " + options.directory + " ends at record " + std::to_string(place.record) +
          ", before the snapshot at record " + std::to_string(from) + ": its end is lost; let " +
          "this replica join again as a new member";
    return false;
  }
  reading = {};
  handed_over = place.record;
  durable = place.record;
  start_threads();
  return true;
}

bool Journal::State::recover_segment(std::size_t number, std::uint64_t from,
                                     const std::function<void(ByteView)>& on_record,
                                     std::string& why) {
  const std::string& path = segments[number].path;
  const bool last = number + 1 == segments.size();
  auto error = disk.open(path, last ? Disk::Open::write : Disk::Open::read, file);
  std::uint64_t bytes = 0;
  if (!error) {
    error = file->size(bytes);
  }
  if (!error) {
    error = file->read_at(0, bytes, reading);
  }
  if (error) {
    why = failed("read", path, error);
    return false;
  }
  if (segments[number].start != place) {
    why = damage(path, 0,
                 "does not follow the segment before it, which ends at record " +
                     std::to_string(place.record));
    return false;
  }
  wire::SegmentReader reader{reading};
  std::uint64_t record = place.record;
  while (const auto body = reader.next()) {
    if (record++ >= from) {
      on_record(*body);
    }
  }
  const wire::SegmentEnd& end = reader.end();
  if (end.verdict == SegmentVerdict::damaged) {
    why = damage(path, end.offset, end.what);
    return false;
  }
  if (!last && end.verdict == SegmentVerdict::torn) {
    why = damage(path, end.offset, "is torn, though a later segment is there");
    return false;
  }
  place = end.place;
  return !last || settle_end(path, reading, end, why);
}

/// Makes the end of the last segment what it was read as. The last batch is written once more: a
/// crash of the process alone leaves it in the page cache, and a sync that failed in the life
/// before may have left it there as if it were on the disk.
bool Journal::State::settle_end(const std::string& path, ByteView bytes,
                                const wire::SegmentEnd& end, std::string& why) {
  std::error_code error;
  if (end.last_batch < end.offset) {
    error =
        file->write_at(end.last_batch, bytes.substr(end.last_batch, end.offset - end.last_batch));
  }
  if (!error && end.torn_bytes > 0) {
    error = file->write_at(end.offset, Bytes(end.torn_bytes, '\0'));
  }
  if (!error) {
    error = sync_file(*file);
  }
  if (!error) {
    error = sync_directory();
  }
  if (error) {
    why = failed("write", path, error);
    return false;
  }
  file_path = path;
  offset = end.offset;
  options.segment_bytes = bytes.size();
  return true;
}

bool Journal::State::read(std::uint64_t from, const std::function<void(ByteView)>& on_record,
                          std::string& why) {
  std::deque<Segment> to_read;
  const std::uint64_t until = durable.load();
  check(until == handed_over.load() && from <= until);
  std::size_t used = 0;  // of the last segment: mostly a small part
  {
    const std::lock_guard lock{mutex};
    being_read = true;
    to_read = segments;
    used = offset;
  }
  bool good = from >= to_read.front().start.record;
  if (!good) {
    why = "journal: " + options.directory + " no longer has record " + std::to_string(from);
  }
  for (std::size_t i = 0; good && i < to_read.size(); ++i) {
    const bool last = i + 1 == to_read.size();
    if (last || to_read[i + 1].start.record > from) {
      const Stretch stretch{.from = from,
                            .until = last ? until : to_read[i + 1].start.record,
                            .bytes = last ? used : options.segment_bytes};
      good = read_segment(to_read[i], stretch, on_record, why);
    }
  }
  const std::lock_guard lock{mutex};
  being_read = false;
  free_old_locked();
  return good;
}

bool Journal::State::read_segment(const Segment& segment, const Stretch& stretch,
                                  const std::function<void(ByteView)>& on_record,
                                  std::string& why) const {
  std::unique_ptr<File> opened;
  Bytes content;
  auto error = disk.open(segment.path, Disk::Open::read, opened);
  if (!error) {
    error = opened->read_at(0, stretch.bytes, content);
  }
  if (error) {
    why = failed("read", segment.path, error);
    return false;
  }
  wire::SegmentReader reader{content, wire::SegmentReader::Extent::beginning};
  std::uint64_t record = segment.start.record;
  while (record < stretch.until) {
    const auto body = reader.next();
    if (!body) {
      why = damage(segment.path, reader.end().offset,
                   "ends before record " + std::to_string(stretch.until));
      return false;
    }
    if (record++ >= stretch.from) {
      on_record(*body);
    }
  }
  return true;
}

bool Journal::State::begin_first_segment(std::string& why) {
  Spare first;
  if (const auto error = make_spare(first)) {
    why = failed("make", first.path, error);
    return false;
  }
  place = {.record = 0, .block = 1, .chain = journal_id};
  std::string said;
  const auto fatal = std::exchange(options.fatal, [&](const std::string& what) { said = what; });
  const bool begun = begin_segment(std::move(first));
  options.fatal = fatal;
  why = said;
  return begun;
}

}  // namespace kv::host
