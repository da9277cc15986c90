// A node's snapshots on its simulated disk: written beside, synced, renamed, folder synced; the two
// newest are kept.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/core/bytes.h"
#include "common/sim/disk.h"

namespace kv::sim {

struct Snapshot {
  std::uint64_t record = 0;  // the first record that is not in it
  std::vector<Bytes> pieces;
};

class DiskSnapshots {
 public:
  explicit DiskSnapshots(Disk& disk) : disk_(disk) {}

  static bool owns(const std::string& file);

  // One snapshot is written by these, in this order; a crash may come between any two.
  void begin(std::uint64_t record);
  void add(ByteView piece);
  void seal();         // complete and synced, under a temporary name
  void rename();       // has its name
  void sync_folder();  // and keeps it
  void drop_old();     // all but the two newest

  /// Records before this one are in every snapshot that is kept: they may go. 0 while there is
  /// only one, so that a damaged newest one costs nothing but time.
  std::uint64_t covered() const;

  /// The newest that is whole; an unfinished one is removed. Nothing if there never was one. If
  /// there are some but none is whole, or a newer one is damaged, `why` says so.
  std::optional<Snapshot> load(std::string& why);

 private:
  std::vector<std::string> names() const;  // oldest first

  Disk& disk_;
  std::uint64_t record_ = 0;
  std::vector<Bytes> pieces_;
};

}  // namespace kv::sim
