// A replica's snapshots on disk: whole or not at all, the two newest kept.
//
// One is written beside under a name that nobody reads, synced, renamed to its own, and the
// directory synced. Its name is the number of the first record it does not stand for.
//
// Little-endian. Head: "QTSNAP01" (8) · version (4) · 0 (4) · journal (8) · record (8) · checksum
// of these (8). Then the pieces: length (4) · number, from 0 on (4) · checksum (8) · bytes. Last:
// 0xffffffff (4) · how many pieces (4) · checksum (8). Each checksum is of its piece's length,
// number and bytes after the one before, so that each piece is proved as it is read and the last
// one proves the whole.
//
// The journal must be kept from needed_from() on, the older one's record: if the newest turns out
// damaged, the older one and the journal still give everything.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/core/bytes.h"
#include "common/host/disk.h"

namespace kv::host {

/// From one thread at a time.
class SnapshotFiles {
 public:
  static constexpr std::size_t kept_max = 2;

  struct Kept {
    std::uint64_t record = 0;  // the first that it does not stand for
    std::string path;
  };

  /// Those of the journal with id `journal`; the directory is there.
  SnapshotFiles(Disk& disk, std::string directory, std::uint64_t journal);
  SnapshotFiles(const SnapshotFiles&) = delete;
  SnapshotFiles& operator=(const SnapshotFiles&) = delete;
  ~SnapshotFiles();  // abandons what is not finished

  /// Finds what is there, and removes what an earlier life did not finish. False, and why, if the
  /// directory cannot be read.
  bool find(std::string& why);

  /// Newest first.
  const std::vector<Kept>& kept() const { return kept_; }

  /// From this record on the journal is needed; 0 if fewer than kept_max are there.
  std::uint64_t needed_from() const;

  /// Reads all of it and hands over the pieces in order. False, and one line in `why`, if it is
  /// damaged: pieces may have been handed over by then. Call it first with a function that does
  /// nothing, to know.
  bool read(const Kept& snapshot, const std::function<void(ByteView)>& on_piece,
            std::string& why) const;

  /// It is damaged: the next finish() removes it, and it no longer counts.
  void forget(const Kept& snapshot);

  /// Writes one: begin(), add() for each piece (none is empty), finish(). After an error it is
  /// abandoned: only begin() may follow. is_full() errors leave everything as it was.
  std::error_code begin(std::uint64_t record);
  std::error_code add(ByteView piece);
  std::error_code finish();
  void abandon();

 private:
  std::string path_of(std::uint64_t record) const;
  std::error_code end_unless_good(std::error_code error);

  Disk& disk_;
  std::string directory_;
  std::uint64_t journal_;
  std::vector<Kept> kept_;
  std::vector<std::string> forgotten_;

  std::unique_ptr<File> file_;  // the one being written
  std::uint64_t record_ = 0;
  std::uint64_t offset_ = 0;
  std::uint64_t synced_ = 0;
  std::uint64_t chain_ = 0;
  std::uint32_t pieces_ = 0;
};

}  // namespace kv::host
