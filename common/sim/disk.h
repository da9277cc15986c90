// One node's disk: what was synced outlives a crash, what was only written may not.
//
// A file has two states: as its process sees it, and as it stands on the medium. A write changes
// the first, a sync copies it to the second. At a crash every sector of 512 bytes that was written
// and not synced is either there or not, each for itself, and so is the end of the folder's list of
// changes. A sector is never half there: that is the one promise that disks make.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/core/bytes.h"
#include "common/core/random.h"

namespace kv::sim {

inline constexpr std::size_t sector_bytes = 512;

class Disk {
 public:
  /// Makes the file if it is not there; `offset` is at most its length.
  void write(const std::string& name, std::size_t offset, ByteView bytes);
  void sync(const std::string& name);
  void rename(const std::string& from, const std::string& to);  // over `to`, if that is there
  void remove(const std::string& name);
  void sync_folder();

  bool holds(const std::string& name) const { return folder_.contains(name); }
  ByteView read(const std::string& name) const;
  std::vector<std::string> names() const;  // in their order

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
  struct File {
    Bytes seen;
    Bytes medium;
    std::vector<Extent> unsynced;
  };
  struct FolderChange {
    std::string removed;  // a name that is gone; may be empty
    std::string added;    // a name that is there; may be empty
    std::uint32_t file = 0;
  };
  using Folder = std::map<std::string, std::uint32_t>;

  /// Where the last sync wrote last; nothing that the folder still leads to is possible too.
  struct Youngest {
    std::uint32_t file = 0;
    Extent extent{0, 0};
  };

  enum class Loss : std::uint8_t { all, none, tail, some };

  std::uint32_t place_of_new_file();
  File& file(const std::string& name);
  static void copy_to_medium(File& file, std::size_t begin, std::size_t end);
  static void crash_file(File& file, Loss loss, Random& random);
  static void apply(Folder& folder, const FolderChange& change);
  void drop_unnamed();
  const std::string* name_of_youngest() const;

  std::vector<File> files_;
  std::vector<std::uint32_t> free_places_;  // of files_: nothing leads there
  Folder folder_;
  Folder folder_on_medium_;
  std::vector<FolderChange> folder_changes_;  // not synced
  Youngest youngest_;
};

}  // namespace kv::sim
