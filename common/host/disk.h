// The little that the journal and the snapshots ask of a file system, as an interface, so that
// tests can tear, fill and fail it.
//
// Every call waits for the disk and reports what the system said; nothing is retried here but an
// interrupted or short call. May be called from several threads; one File from one at a time.
#pragma once

#include <cerrno>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include "common/core/bytes.h"

namespace kv::host {

/// What is written directly begins at a multiple of these, and is as long.
inline constexpr std::size_t direct_memory_alignment = 4096;
inline constexpr std::size_t direct_file_alignment = 512;

class File {
 public:
  File() = default;
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  virtual ~File() = default;

  /// Writes all of `bytes`; the file grows if it must.
  virtual std::error_code write_at(std::uint64_t offset, ByteView bytes) = 0;
  /// The same for aligned bytes, past the page cache if the file can do that: cheaper for what is
  /// synced at once and not soon read.
  virtual std::error_code write_directly(std::uint64_t offset, ByteView bytes) {
    return write_at(offset, bytes);
  }
  /// Replaces `out` with up to `count` bytes: fewer only at the end of the file.
  virtual std::error_code read_at(std::uint64_t offset, std::size_t count, Bytes& out) = 0;
  /// Waits until what was written, and the file's length, survive a loss of power.
  virtual std::error_code sync() = 0;
  /// Takes space for the first `bytes` bytes and makes the file at least that long, so that
  /// writing there cannot fail for want of space.
  virtual std::error_code reserve(std::uint64_t bytes) = 0;
  virtual std::error_code size(std::uint64_t& bytes) const = 0;
};

/// Held for as long as it lives, by one process alone.
class DirectoryLock {
 public:
  DirectoryLock() = default;
  DirectoryLock(const DirectoryLock&) = delete;
  DirectoryLock& operator=(const DirectoryLock&) = delete;
  virtual ~DirectoryLock() = default;
};

class Disk {
 public:
  enum class Open : std::uint8_t {
    read,
    write,   // it exists; to write and to read
    create,  // it does not exist, or is emptied
  };

  Disk() = default;
  Disk(const Disk&) = delete;
  Disk& operator=(const Disk&) = delete;
  virtual ~Disk() = default;

  virtual std::error_code open(const std::string& path, Open how, std::unique_ptr<File>& file) = 0;
  /// With those on the way to it.
  virtual std::error_code make_directory(const std::string& path) = 0;
  /// The names in it, sorted.
  virtual std::error_code list(const std::string& directory, std::vector<std::string>& names) = 0;
  virtual std::error_code rename(const std::string& from, const std::string& to) = 0;
  virtual std::error_code remove(const std::string& path) = 0;
  /// Waits until what was created, renamed and removed in it survives a loss of power.
  virtual std::error_code sync_directory(const std::string& path) = 0;
  /// Nothing if another process holds it, or the file at `path` cannot be made.
  virtual std::unique_ptr<DirectoryLock> lock(const std::string& path) = 0;
};

/// The operating system's.
class SystemDisk final : public Disk {
 public:
  std::error_code open(const std::string& path, Open how, std::unique_ptr<File>& file) override;
  std::error_code make_directory(const std::string& path) override;
  std::error_code list(const std::string& directory, std::vector<std::string>& names) override;
  std::error_code rename(const std::string& from, const std::string& to) override;
  std::error_code remove(const std::string& path) override;
  std::error_code sync_directory(const std::string& path) override;
  std::unique_ptr<DirectoryLock> lock(const std::string& path) override;
};

/// Whether an error only says that there is no space now.
inline bool is_full(std::error_code error) {
  return error == std::errc::no_space_on_device ||
         error == std::error_code{EDQUOT, std::generic_category()};
}

/// What a host does when the disk has failed it: says so and ends the process. Going on could
/// acknowledge what is lost, and a second sync can succeed without having written anything.
[[noreturn]] void die_of_disk(const std::string& what);

}  // namespace kv::host
