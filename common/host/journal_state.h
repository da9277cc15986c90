// The inside of a Journal, for the files that implement it and nobody else: journal.cc runs it,
// journal_recovery.cc reads what an earlier life left.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "common/host/disk.h"
#include "common/host/journal.h"
#include "common/wire/journal_format.h"

namespace kv::host {

inline constexpr std::string_view segment_prefix = "segment-";
inline constexpr std::string_view spare_prefix = "spare-";

/// Segments sort by name as they follow one another: 16 hexadecimal digits of the first block's
/// number.
std::string segment_name(std::uint64_t first_block);

/// One line: what could not be done to which file, and why.
std::string failed(std::string_view what, const std::string& path, std::error_code error);

/// Memory that a File may write directly from.
class DiskBuffer {
 public:
  /// Room for so many bytes; what stood there is lost when it grows.
  char* room(std::size_t bytes) {
    if (bytes > bytes_) {
      memory_.reset(static_cast<char*>(::operator new[](bytes, alignment)));
      bytes_ = bytes;
    }
    return memory_.get();
  }

 private:
  static constexpr std::align_val_t alignment{direct_memory_alignment};
  struct Free {
    void operator()(char* memory) const { ::operator delete[](memory, alignment); }
  };

  std::unique_ptr<char[], Free> memory_;
  std::size_t bytes_ = 0;
};

struct Journal::State {
  struct Segment {
    std::string path;
    wire::JournalPlace start;
  };
  struct Stretch {  // records of a segment, and how much of its file holds them
    std::uint64_t from;
    std::uint64_t until;
    std::uint64_t bytes;
  };
  struct Spare {
    std::string path;
    std::unique_ptr<File> file;
  };

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
  bool read(std::uint64_t from, const std::function<void(ByteView)>& on_record, std::string& why);
  bool read_segment(const Segment& segment, const Stretch& stretch,
                    const std::function<void(ByteView)>& on_record, std::string& why) const;
  void start_threads();

  // --- the writer's thread
  void write_all_that_comes();
  bool write_records(std::span<const Bytes> records);
  bool write_batch(std::span<const Bytes> records);
  void tell_progress(bool more_to_write);
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
  void free_old_locked();

  Disk& disk;
  Options options;
  std::unique_ptr<DirectoryLock> directory_lock;
  std::uint64_t journal_id = 0;
  Bytes reading;

  // The writer's thread alone, once it runs.
  std::unique_ptr<File> file;
  std::string file_path;
  wire::JournalPlace place;
  DiskBuffer encoded;

  mutable std::mutex mutex;  // guards all that follows
  std::condition_variable writer_wakes;
  std::condition_variable maker_wakes;
  std::vector<Bytes> queue;
  std::vector<Bytes> spent;       // written; whoever allocated them is the cheapest to free them
  std::size_t pending_bytes = 0;  // handed over and not durable yet
  std::size_t offset = 0;         // where the next batch goes in the current segment
  std::deque<Segment> segments;   // oldest first; the last is in use
  std::deque<Segment> freed;
  std::uint64_t unneeded = 0;  // records below it may go …
  bool being_read = false;     // … but not now
  std::unique_ptr<Spare> spare;
  std::string reusable;  // a freed segment's path, to become the spare
  std::uint64_t spares_made = 0;
  bool writer_sleeps = false;
  bool writer_starves = false;  // it needs a spare
  bool disk_full = false;
  bool closing = false;  // the writer ends when all is written
  bool closed = false;   // the maker ends
  bool dead = false;

  std::atomic<std::uint64_t> handed_over{0};
  std::atomic<std::uint64_t> durable{0};
  std::atomic<std::uint64_t> syncs{0};
  std::thread writer;
  std::thread maker;
};

}  // namespace kv::host
