// Writes a replica's snapshots on a thread of its own: the protocol's thread only hands over
// pieces, and never waits for that disk work.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "common/core/bytes.h"
#include "common/host/snapshot_files.h"

namespace kv::host {

/// Its calls come from one thread.
class SnapshotTaker {
 public:
  /// So many pieces may wait for the disk: what a snapshot costs in memory beyond its image.
  static constexpr std::size_t pieces_waiting_max = 4;

  enum class Outcome : std::uint8_t {
    none,  // nothing was begun, or it was told already
    writing,
    finished,  // it is durable
    no_space,  // it was given up
  };

  struct Ends {
    std::function<void(std::uint64_t needed_from)> on_finished;  // on its thread
    std::function<void()> on_progress;                           // on its thread: ask again
    std::function<void(const std::string&)> fatal;               // on its thread: the disk failed
  };

  SnapshotTaker(SnapshotFiles& files, Ends ends);
  SnapshotTaker(const SnapshotTaker&) = delete;
  SnapshotTaker& operator=(const SnapshotTaker&) = delete;
  ~SnapshotTaker();  // abandons what is not finished

  void begin(std::uint64_t record);
  bool wants_piece() const;
  void add(Bytes piece);
  /// All its records are durable now, and all its pieces were handed over.
  void finish();

  /// How the snapshot under way stands; a final outcome is told once.
  Outcome outcome();

 private:
  struct Task {
    enum class Kind : std::uint8_t { begin, piece, finish } kind;
    std::uint64_t record;
    Bytes piece;
  };

  void give(Task task);
  void write_all_that_comes();
  std::error_code write(const Task& task);

  SnapshotFiles& files_;
  const Ends ends_;
  mutable std::mutex mutex_;  // guards all that follows
  std::condition_variable wakes_;
  std::deque<Task> tasks_;
  Outcome outcome_ = Outcome::none;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace kv::host
