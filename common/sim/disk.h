// One node's disk: what was synced outlives a crash, what was only written may not.
//
// A file has two states: as its process sees it, and as it stands on the medium. A write changes
// the first, a sync copies it to the second. At a crash every sector of 512 bytes that was written
// and not synced is either there or not, each for itself, and so is the end of the folder's list of
// changes. A sector is never half there: that is the one promise that disks make.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/core/bytes.h"
#include "common/core/random.h"

namespace kv::sim {

inline constexpr std::size_t sector_bytes = 512;

class Disk {
 public:
  /// Makes the file if it is not there; `offset` is at most its length. Many zeros, as of a file
  /// that is laid out in advance, may follow the bytes: they cost nothing.
  void write(const std::string& name, std::size_t offset, ByteView bytes, std::size_t zeros = 0);
  void sync(const std::string& name);
  void rename(const std::string& from, const std::string& to);  // over `to`, if that is there
  void remove(const std::string& name);
  void sync_folder();

  bool holds(const std::string& name) const { return folder_.contains(name); }
  ByteView read(const std::string& name);                              // until the next write to it
  std::vector<std::string> names(std::string_view prefix = {}) const;  // in their order

  /// The process ends, or the machine: decides for every sector that was not synced.
  void crash(Random& random);
  /// Turns one bit of what is on the medium: of which file; empty if nothing is there. Half of the
  /// times it is a bit of what was synced last, where rot looks most like a torn write.
  std::string rot(Random& random);
  void wipe();

 private:
  struct Extent {
    std::size_t begin;
    std::size_t end;
  };
  /// What a file holds: `bytes`, and zeros from there to `length`.
  struct Content {
    Bytes bytes;
    std::size_t length = 0;

    void put(std::size_t offset, ByteView what, std::size_t zeros);
    void copy(const Content& from, std::size_t begin, std::size_t end);
    Bytes& laid_out();  // all of it
  };
  struct File {
    Content seen;
    Content medium;
    std::vector<Extent> unsynced;
  };
  using FileRef = std::shared_ptr<File>;  // a file is there for as long as a name leads to it
  struct FolderChange {
    std::string removed;  // a name that is gone; may be empty
    std::string added;    // a name that is there; may be empty
    FileRef file;
  };
  using Folder = std::map<std::string, FileRef, std::less<>>;
  /// Where the last sync wrote last; nothing that the folder still leads to is possible too.
  struct Youngest {
    std::weak_ptr<File> file;
    Extent extent{0, 0};
  };
  enum class Loss : std::uint8_t { all, none, tail, some };

  File& file(const std::string& name) { return *folder_.at(name); }
  void change(FolderChange change);
  static void crash_file(File& file, Loss loss, Random& random);
  static void apply(Folder& folder, const FolderChange& change);
  const std::string* name_of_youngest() const;

  Folder folder_;
  Folder folder_on_medium_;
  std::vector<FolderChange> folder_changes_;  // not synced
  Youngest youngest_;
};

}  // namespace kv::sim
