#include "common/host/journal.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <iterator>
#include <mutex>
#include <span>
#include <string_view>
#include <thread>
#include <utility>

#include "common/core/check.h"
#include "common/wire/journal_format.h"

namespace kv::host {
namespace {

using wire::JournalPlace;
using wire::SegmentHeader;
using wire::SegmentVerdict;

constexpr std::string_view segment_prefix = "segment-";
constexpr std::string_view spare_prefix = "spare-";
constexpr std::size_t zeros_at_once = 256 * 1024;

/// Segments sort by name as they follow one another: 16 hexadecimal digits of the first block's
/// number.
std::string segment_name(std::uint64_t first_block) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string name{segment_prefix};
  for (int shift = 60; shift >= 0; shift -= 4) {
    name += digits[first_block >> shift & 15];
  }
  return name;
}

std::string failed(std::string_view what, const std::string& path, std::error_code error) {
  return "journal: cannot " + std::string{what} + " " + path + ": " + error.message();
}

std::string damage(const std::string& path, std::uint64_t offset, const std::string& what) {
  return "journal: " + path + " at offset " + std::to_string(offset) + " " + what +
         "; acknowledged records may be lost, so this replica must not go on under its id: move " +
         "its directory away and let it join again as a new member";
}

struct Segment {
  std::string path;
  JournalPlace start;
};

struct Spare {
  std::string path;
  std::unique_ptr<File> file;
};

}  // namespace

struct Journal::State {
  State(Disk& the_disk, Options the_options) : disk(the_disk), options(std::move(the_options)) {}

  // --- set up, before the threads run
  bool open(std::string& why);
  bool read_headers(const std::vector<std::string>& names, std::string& why);
  bool recover(std::uint64_t from, const std::function<void(ByteView)>& on_record,
               std::string& why);
  bool recover_segment(std::size_t number, std::uint64_t from,
                       const std::function<void(ByteView)>& on_record, std::string& why);
  bool settle_end(const std::string& path, ByteView bytes, const wire::SegmentEnd& end,
                  std::string& why);
  bool begin_first_segment(std::string& why);
  void start_threads();

  // --- the writer's thread
  void write_all_that_comes();
  bool write_records(std::span<const Bytes> records);
  bool write_batch(std::span<const Bytes> records);
  bool roll();
  bool take_spare(Spare& spare);
  bool begin_segment(Spare spare);
  void close();

  // --- the maker's thread
  void make_what_is_needed();
  std::error_code make_spare(Spare& spare);
  void free_segment(const Segment& segment);
  void keep_or_remove(const std::string& path);

  std::string path_of(std::string_view name) const {
    return options.directory + "/" + std::string{name};
  }
  bool good(std::error_code error, std::string_view what, const std::string& path);
  std::error_code sync_file(File& to_sync) const {
    return options.sync == Sync::always ? to_sync.sync() : std::error_code{};
  }
  std::error_code sync_directory() const {
    return options.sync == Sync::always ? disk.sync_directory(options.directory)
                                        : std::error_code{};
  }
  std::uint64_t room_left_locked() const;

  Disk& disk;
  Options options;
  std::unique_ptr<DirectoryLock> directory_lock;
  std::uint64_t journal_id = 0;
  Bytes reading;

  // The writer's thread alone, once it runs.
  std::unique_ptr<File> file;
  std::string file_path;
  JournalPlace place;
  Bytes encoded;

  mutable std::mutex mutex;  // guards all that follows
  std::condition_variable writer_wakes;
  std::condition_variable maker_wakes;
  std::vector<Bytes> queue;
  std::vector<Bytes> spent;       // written; whoever allocated them is the cheapest to free them
  std::size_t pending_bytes = 0;  // handed over and not durable yet
  std::size_t offset = 0;         // where the next batch goes in the current segment
  std::deque<Segment> segments;   // oldest first; the last is in use
  std::deque<Segment> freed;
  std::unique_ptr<Spare> spare;
  std::string reusable;  // a freed segment's path, to become the spare
  std::uint64_t spares_made = 0;
  bool writer_sleeps = false;
  bool disk_full = false;
  bool closing = false;  // the writer ends when all is written
  bool closed = false;   // the maker ends
  bool dead = false;

  std::atomic<std::uint64_t> handed_over{0};
  std::atomic<std::uint64_t> durable{0};
  std::thread writer;
  std::thread maker;
};

// --- set up --------------------------------------------------------------------------------------

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

void Journal::State::start_threads() {
  writer = std::thread{[this] { write_all_that_comes(); }};
  maker = std::thread{[this] { make_what_is_needed(); }};
}

/// False, after the fatal line, if there was an error.
bool Journal::State::good(std::error_code error, std::string_view what, const std::string& path) {
  if (!error) {
    return true;
  }
  {
    const std::lock_guard lock{mutex};
    if (std::exchange(dead, true)) {
      return false;
    }
    writer_wakes.notify_all();
    maker_wakes.notify_all();
  }
  options.fatal(failed(what, path, error));
  return false;
}

// --- the writer's thread -------------------------------------------------------------------------

void Journal::State::write_all_that_comes() {
  for (;;) {
    std::vector<Bytes> records;
    {
      std::unique_lock lock{mutex};
      writer_sleeps = true;
      writer_wakes.wait(lock, [&] { return dead || closing || !queue.empty(); });
      writer_sleeps = false;
      if (dead || queue.empty()) {
        return;
      }
      records.swap(queue);
    }
    if (!write_records(records)) {
      return;
    }
    const std::lock_guard lock{mutex};
    spent.swap(records);
  }
}

/// In batches that fit; false if the journal is dead, or closed while the disk is full.
bool Journal::State::write_records(std::span<const Bytes> records) {
  const std::size_t room_max = std::min<std::size_t>(
      wire::journal_batch_bytes_max, options.segment_bytes - wire::journal_block_bytes);
  while (!records.empty()) {
    std::size_t count = 0;
    std::size_t bytes = 0;
    while (count < records.size() && (count == 0 || bytes + records[count].size() < room_max / 2)) {
      bytes += records[count].size() + sizeof(std::uint32_t);
      ++count;
    }
    if (!write_batch(records.first(count))) {
      return false;
    }
    records = records.subspan(count);
  }
  return true;
}

bool Journal::State::write_batch(std::span<const Bytes> records) {
  const std::size_t bytes = wire::journal_batch_bytes(records);
  check(bytes <= options.segment_bytes - wire::journal_block_bytes);
  if (bytes > options.segment_bytes - offset && !roll()) {
    return false;
  }
  if (encoded.size() < bytes) {
    encoded.resize(bytes);
  }
  wire::write_journal_batch(encoded.data(), place, records);
  if (!good(file->write_at(offset, ByteView{encoded}.substr(0, bytes)), "write", file_path) ||
      !good(sync_file(*file), "sync", file_path)) {
    return false;
  }
  std::size_t handed = 0;
  for (const Bytes& record : records) {
    handed += record.size();
  }
  {
    const std::lock_guard lock{mutex};
    offset += bytes;
    pending_bytes -= handed;
    durable.store(place.record, std::memory_order_release);
  }
  options.on_progress();
  return true;
}

/// Goes on in a new segment. Only here, after the sync of the last batch: a segment that has its
/// name proves that the one before it is whole.
bool Journal::State::roll() {
  Spare next;
  return take_spare(next) && begin_segment(std::move(next));
}

bool Journal::State::take_spare(Spare& next) {
  std::unique_lock lock{mutex};
  writer_wakes.wait(lock, [&] { return dead || spare || (closing && disk_full); });
  if (dead || !spare) {
    return false;
  }
  next = std::move(*spare);
  spare.reset();
  maker_wakes.notify_all();
  return true;
}

bool Journal::State::begin_segment(Spare next) {
  const SegmentHeader header{.journal = journal_id, .bytes = options.segment_bytes, .start = place};
  const std::string path = path_of(segment_name(place.block));
  if (!good(next.file->write_at(0, wire::encode_segment_header(header)), "write", next.path) ||
      !good(sync_file(*next.file), "sync", next.path) ||
      !good(disk.rename(next.path, path), "rename", next.path) ||
      !good(sync_directory(), "sync", options.directory)) {
    return false;
  }
  file = std::move(next.file);
  file_path = path;
  const std::lock_guard lock{mutex};
  segments.push_back({path, place});
  offset = wire::journal_block_bytes;
  return true;
}

void Journal::State::close() {
  {
    const std::lock_guard lock{mutex};
    closing = true;
    writer_wakes.notify_all();
  }
  if (writer.joinable()) {
    writer.join();  // the maker may have to make it one more segment
  }
  bool orderly = false;
  {
    const std::lock_guard lock{mutex};
    closed = true;
    maker_wakes.notify_all();
    orderly = file && !dead && pending_bytes == 0 &&
              offset + wire::journal_block_bytes <= options.segment_bytes;
  }
  if (maker.joinable()) {
    maker.join();
    if (orderly) {
      write_batch({});  // proves that the last batch was acknowledged
    }
  }
  file.reset();
  directory_lock.reset();
}

// --- the maker's thread --------------------------------------------------------------------------

void Journal::State::make_what_is_needed() {
  std::unique_lock lock{mutex};
  while (!dead && !closed) {
    if (!freed.empty()) {
      const Segment segment = freed.front();
      freed.pop_front();
      lock.unlock();
      free_segment(segment);
      lock.lock();
      continue;
    }
    if (spare) {
      maker_wakes.wait(lock);
      continue;
    }
    lock.unlock();
    Spare made;
    const auto error = make_spare(made);
    if (error && !is_full(error)) {
      good(error, "make", made.path);
      return;
    }
    lock.lock();
    disk_full = static_cast<bool>(error);
    if (!error) {
      spare = std::make_unique<Spare>(std::move(made));
    }
    writer_wakes.notify_all();
    lock.unlock();
    options.on_progress();
    lock.lock();
    if (disk_full && freed.empty() && !closed && !dead) {
      maker_wakes.wait_for(lock, options.full_retry);
    }
  }
}

/// A segment's worth of space, written, so that a later sync finds nothing but data to write.
std::error_code Journal::State::make_spare(Spare& made) {
  std::string again;
  {
    const std::lock_guard lock{mutex};
    again = std::exchange(reusable, {});
    made.path =
        again.empty() ? path_of(std::string{spare_prefix} + std::to_string(spares_made++)) : again;
  }
  if (!again.empty()) {
    return disk.open(again, Disk::Open::write, made.file);
  }
  auto error = disk.open(made.path, Disk::Open::create, made.file);
  if (!error) {
    error = made.file->reserve(options.segment_bytes);
  }
  const Bytes zeros(std::min<std::uint64_t>(zeros_at_once, options.segment_bytes), '\0');
  for (std::uint64_t at = 0; !error && at < options.segment_bytes; at += zeros.size()) {
    const auto count = std::min<std::uint64_t>(zeros.size(), options.segment_bytes - at);
    error = made.file->write_at(at, ByteView{zeros}.substr(0, count));
    if (!error) {
      error = sync_file(*made.file);  // in small steps: the appends' syncs share the disk
    }
  }
  if (error && made.file) {
    made.file.reset();
    const auto removed = disk.remove(made.path);
    return is_full(error) && removed ? removed : error;
  }
  return error;
}

/// First out of its name, durably, so that a crash leaves no hole in the row of segments.
void Journal::State::free_segment(const Segment& segment) {
  std::uint64_t bytes = 0;
  std::unique_ptr<File> old;
  if (!good(disk.open(segment.path, Disk::Open::read, old), "open", segment.path) ||
      !good(old->size(bytes), "read", segment.path)) {
    return;
  }
  std::string path;
  bool keep = false;
  {
    const std::lock_guard lock{mutex};
    path = path_of(std::string{spare_prefix} + std::to_string(spares_made++));
    keep = bytes == options.segment_bytes && reusable.empty();
  }
  if (!good(disk.rename(segment.path, path), "rename", segment.path) ||
      !good(sync_directory(), "sync", options.directory)) {
    return;
  }
  if (!keep) {
    good(disk.remove(path), "remove", path);
    return;
  }
  const std::lock_guard lock{mutex};
  reusable = path;
}

// --- the journal ---------------------------------------------------------------------------------

std::unique_ptr<Journal> Journal::open(Disk& disk, Options options, std::string& why) {
  check(options.segment_bytes % wire::journal_block_bytes == 0);
  auto state = std::make_unique<State>(disk, std::move(options));
  if (!state->open(why)) {
    return nullptr;
  }
  return std::unique_ptr<Journal>{new Journal{std::move(state)}};
}

Journal::Journal(std::unique_ptr<State> state) : state_(std::move(state)) {}

Journal::~Journal() {
  close();
}

void Journal::close() {
  state_->close();
}

std::uint64_t Journal::id() const {
  return state_->journal_id;
}

std::uint64_t Journal::first_record() const {
  const std::lock_guard lock{state_->mutex};
  return state_->segments.empty() ? 0 : state_->segments.front().start.record;
}

bool Journal::recover(std::uint64_t from, const std::function<void(ByteView)>& on_record,
                      std::string& why) {
  check(!state_->writer.joinable());
  return state_->recover(from, on_record, why);
}

void Journal::append(std::vector<Bytes>& records) {
  if (records.empty()) {
    return;
  }
  const std::uint64_t count = records.size();
  std::size_t bytes = 0;
  for (const Bytes& record : records) {
    bytes += record.size();
  }
  std::vector<Bytes> spent;
  bool wake = false;
  {
    const std::lock_guard lock{state_->mutex};
    check(!state_->closing);
    state_->pending_bytes += bytes;
    if (state_->queue.empty()) {
      state_->queue.swap(records);
    } else {
      std::ranges::move(records, std::back_inserter(state_->queue));
    }
    spent.swap(state_->spent);
    wake = std::exchange(state_->writer_sleeps, false);
  }
  if (wake) {
    state_->writer_wakes.notify_one();
  }
  state_->handed_over.fetch_add(count, std::memory_order_relaxed);
  records.clear();
}

std::uint64_t Journal::next_record() const {
  return state_->handed_over.load(std::memory_order_relaxed);
}

std::uint64_t Journal::durable_records() const {
  return state_->durable.load(std::memory_order_acquire);
}

/// What certainly fits: a batch costs its blocks' heads and padding, so count it twice.
std::uint64_t Journal::State::room_left_locked() const {
  const std::uint64_t room =
      options.segment_bytes - offset + (spare ? options.segment_bytes : std::uint64_t{0});
  return room - std::min<std::uint64_t>(room, 2 * pending_bytes);
}

Journal::Room Journal::room() const {
  const std::lock_guard lock{state_->mutex};
  const bool tight = state_->room_left_locked() < state_->options.segment_bytes / 4;
  if (state_->disk_full && tight) {
    return Room::full;
  }
  return tight || state_->pending_bytes >= state_->options.queue_bytes_max ? Room::wait
                                                                           : Room::free;
}

bool Journal::backlogged() const {
  const std::lock_guard lock{state_->mutex};
  return state_->pending_bytes >= state_->options.queue_bytes_max;
}

std::uint64_t Journal::bytes_used() const {
  const std::lock_guard lock{state_->mutex};
  return state_->segments.size() * state_->options.segment_bytes;
}

void Journal::truncate_before(std::uint64_t record) {
  const std::lock_guard lock{state_->mutex};
  auto& segments = state_->segments;
  while (segments.size() > 1 && segments[1].start.record <= record) {
    state_->freed.push_back(std::move(segments.front()));
    segments.pop_front();
  }
  state_->maker_wakes.notify_all();
}

}  // namespace kv::host
