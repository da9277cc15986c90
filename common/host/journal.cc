#include "common/host/journal.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "common/core/check.h"
#include "common/host/journal_state.h"
#include "common/host/thread_name.h"

namespace kv::host {
namespace {

using wire::SegmentHeader;

constexpr std::size_t zeros_at_once = 256 * 1024;

}  // namespace

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

void Journal::State::start_threads() {
  writer = std::thread{[this] {
    name_this_thread("journal");
    write_all_that_comes();
  }};
  maker = std::thread{[this] {
    name_this_thread("segments");
    make_what_is_needed();
  }};
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
    tell_progress(!records.empty());
  }
  return true;
}

bool Journal::State::write_batch(std::span<const Bytes> records) {
  const std::size_t bytes = wire::journal_batch_bytes(records);
  check(bytes <= options.segment_bytes - wire::journal_block_bytes);
  if (bytes > options.segment_bytes - offset && !roll()) {
    return false;
  }
  char* const batch = encoded.room(bytes);
  wire::write_journal_batch(batch, place, records);
  // What is not synced at once had better stay in the page cache.
  const ByteView whole{batch, bytes};
  const std::error_code error = options.sync == Sync::always ? file->write_directly(offset, whole)
                                                             : file->write_at(offset, whole);
  if (!good(error, "write", file_path) || !good(sync_file(*file), "sync", file_path)) {
    return false;
  }
  syncs.fetch_add(1, std::memory_order_relaxed);
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
  return true;
}

void Journal::State::tell_progress(bool more_to_write) {
  if (!more_to_write && options.on_rest) {
    const std::lock_guard lock{mutex};
    more_to_write = !queue.empty();
  }
  if (!more_to_write && options.on_rest) {
    options.on_rest();
  } else {
    options.on_progress();
  }
}

/// Goes on in a new segment. Only here, after the sync of the last batch: a segment that has its
/// name proves that the one before it is whole.
bool Journal::State::roll() {
  Spare next;
  return take_spare(next) && begin_segment(std::move(next));
}

bool Journal::State::take_spare(Spare& next) {
  std::unique_lock lock{mutex};
  writer_starves = true;  // the maker tells of it, if the disk is full
  writer_wakes.wait(lock, [&] { return dead || spare || (closing && disk_full); });
  writer_starves = false;
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

std::uint64_t Journal::syncs() const {
  return state_->syncs.load(std::memory_order_relaxed);
}

Journal::Room Journal::room() const {
  const std::lock_guard lock{state_->mutex};
  const bool tight = state_->room_left_locked() < state_->options.segment_bytes / 4;
  if (state_->disk_full && tight) {
    return state_->writer_starves ? Room::none : Room::full;
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
  state_->unneeded = std::max(state_->unneeded, record);
  state_->free_old_locked();
}

/// A segment that is freed is soon written anew, so nobody may be reading it.
void Journal::State::free_old_locked() {
  while (!being_read && segments.size() > 1 && segments[1].start.record <= unneeded) {
    freed.push_back(std::move(segments.front()));
    segments.pop_front();
  }
  maker_wakes.notify_all();
}

bool Journal::read(std::uint64_t from, const std::function<void(ByteView)>& on_record,
                   std::string& why) {
  return state_->read(from, on_record, why);
}

}  // namespace kv::host
