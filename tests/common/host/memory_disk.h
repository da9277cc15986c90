// A disk in memory that can be torn, filled, failed and held: what a test of the journal or of the
// snapshots runs on.
#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "common/core/random.h"
#include "common/host/disk.h"

namespace kv::host {

/// Safe from several threads.
class MemoryDisk final : public Disk {
 public:
  std::error_code open(const std::string& path, Open how, std::unique_ptr<File>& file) override;
  std::error_code make_directory(const std::string&) override { return {}; }
  std::error_code list(const std::string& directory, std::vector<std::string>& names) override;
  std::error_code rename(const std::string& from, const std::string& to) override;
  std::error_code remove(const std::string& path) override;
  std::error_code sync_directory(const std::string& path) override;
  std::unique_ptr<DirectoryLock> lock(const std::string& path) override;

  /// What a loss of power at this moment would leave: all that was synced, and of the rest, sector
  /// by sector and name by name, what chance keeps.
  std::unique_ptr<MemoryDisk> after_power_loss(Random& random) const;
  /// What the end of the process alone would leave: everything, synced or not.
  std::unique_ptr<MemoryDisk> after_kill() const;

  void set_space(std::uint64_t bytes);  // of all files together
  void fail_next_sync();                // told once, as by kernels: no later one writes that
  void hold_syncs();                    // until release_syncs()
  void release_syncs();
  std::uint64_t syncs() const;
  std::uint64_t bytes_used() const;

  /// To look at and to damage: the bytes of a file as they are now, synced.
  Bytes content(const std::string& path) const;
  void set_content(const std::string& path, Bytes content);

 private:
  friend class MemoryFile;
  struct Written {
    std::uint64_t offset;
    Bytes bytes;
  };
  struct Content {
    Bytes now;
    Bytes synced;
    std::vector<Written> pending;
  };
  using Names = std::map<std::string, std::shared_ptr<Content>>;

  std::uint64_t bytes_used_locked() const;
  void changed_names();
  std::error_code grow(Content& content, std::uint64_t bytes);

  mutable std::mutex mutex_;
  std::condition_variable released_;
  Names names_;
  std::vector<Names> names_since_sync_{{}};  // the first is what was synced
  std::map<std::string, std::weak_ptr<DirectoryLock>> locks_;
  std::uint64_t space_ = UINT64_MAX;
  std::uint64_t syncs_ = 0;
  bool held_ = false;
  bool failing_ = false;
};

}  // namespace kv::host
