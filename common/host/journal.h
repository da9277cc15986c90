// A replica's records on disk: appended in order, durable in order, read again after a crash.
//
// The bytes, and what their end proves, are common/wire/journal_format.h's. Here is what moves
// them: segments made ahead of their use by one thread, appends and syncs by another. Whatever is
// handed over while a sync runs shares the next one, so a lone record goes at once and a crowd
// pays one sync together.
//
// A write or sync that fails ends the process: see die_of_disk(). A full disk does not: space is
// taken before anything is promised on it, so room() tells of it while there is still room for
// what was handed over.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/core/bytes.h"
#include "common/core/time.h"
#include "common/host/disk.h"

namespace kv::host {

class Journal {
 public:
  enum class Sync : std::uint8_t { always, never };

  /// What may be handed over now.
  enum class Room : std::uint8_t {
    free,  // anything
    wait,  // nothing new from clients for a moment: the disk is behind; on_progress will tell
    full,  // refuse clients' writes: the disk has no space. Tried again every full_retry
    none,  // refuse everything: nor has what was handed over, so nothing more becomes durable
  };
  static constexpr bool has_space(Room room) { return room != Room::full && room != Room::none; }

  struct Options {
    std::string directory;  // made if it is not there
    std::uint64_t id = 1;   // drawn by the caller; for a journal that is made now
    std::uint64_t segment_bytes = 32 * 1024 * 1024;
    /// Room::wait from here on. A soft limit: append() never refuses.
    std::size_t queue_bytes_max = 16 * 1024 * 1024;
    Sync sync = Sync::always;
    Duration full_retry = std::chrono::seconds{1};
    /// Called on the journal's threads when durable_records() or room() may have changed. Must
    /// not call the journal back.
    std::function<void()> on_progress = [] {};
    /// If given, called instead on the writer's thread when all that was handed over is durable.
    /// It may call append() and ask: whoever wants to go on with that need not be woken for it.
    std::function<void()> on_rest;
    /// Called at most once, on any thread of the journal's. If it returns, as in a test, nothing
    /// further becomes durable.
    std::function<void(const std::string&)> fatal = die_of_disk;
  };

  /// Locks the directory and reads where the journal begins and ends. Nothing, and one line in
  /// `why` that says what is wrong and what to do, if another process has it or it is damaged.
  static std::unique_ptr<Journal> open(Disk& disk, Options options, std::string& why);

  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;
  ~Journal();  // as close()

  std::uint64_t id() const;
  /// The number of the oldest record still there.
  std::uint64_t first_record() const;

  /// Reads every record from number `from` on, in order, drops a torn tail, and makes the journal
  /// ready for append(). Once, before anything else. False, and why, if there is damage or
  /// `from` is not within the journal: nothing that was read may then be used.
  bool recover(std::uint64_t from, const std::function<void(ByteView)>& on_record,
               std::string& why);

  /// Reads every record from number `from` on once more, in order. Only while all that was handed
  /// over is durable, and from the thread that hands over. False, and why, if the disk fails, or
  /// does not have them (damage, or truncated).
  bool read(std::uint64_t from, const std::function<void(ByteView)>& on_record, std::string& why);

  /// Hands over records, in order; takes them out of `records`. Each is at most
  /// wire::record_bytes_max long. From one thread.
  void append(std::vector<Bytes>& records);

  /// How many records were ever handed over: the number of the next one.
  std::uint64_t next_record() const;
  /// Records below this number are on stable storage (with Sync::never: were written).
  std::uint64_t durable_records() const;
  /// How often a batch of records was synced.
  std::uint64_t syncs() const;
  Room room() const;
  /// So much waits for the disk (queue_bytes_max) that nothing at all should be added.
  bool backlogged() const;
  /// Bytes of the segments now in use.
  std::uint64_t bytes_used() const;

  /// Records below `record` may go: a snapshot stands for them. Whole segments are freed, or used
  /// again, soon after.
  void truncate_before(std::uint64_t record);

  /// Waits until everything handed over is durable (unless the disk is full or has failed), and
  /// marks an orderly end.
  void close();

 private:
  struct State;
  explicit Journal(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace kv::host
