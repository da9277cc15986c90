#include "common/host/replica_host_snapshot.h"

#include "common/core/check.h"
#include "common/host/thread_name.h"

namespace kv::host {

SnapshotTaker::SnapshotTaker(SnapshotFiles& files, Ends ends)
    : files_(files), ends_(std::move(ends)), thread_([this] {
        name_this_thread("snapshot");
        write_all_that_comes();
      }) {}

SnapshotTaker::~SnapshotTaker() {
  {
    const std::lock_guard lock{mutex_};
    stopping_ = true;
    wakes_.notify_all();
  }
  thread_.join();
}

void SnapshotTaker::begin(std::uint64_t record) {
  {
    const std::lock_guard lock{mutex_};
    check(outcome_ == Outcome::none && tasks_.empty());
    outcome_ = Outcome::writing;
  }
  give({Task::Kind::begin, record, {}});
}

bool SnapshotTaker::wants_piece() const {
  const std::lock_guard lock{mutex_};
  return tasks_.size() < pieces_waiting_max;
}

void SnapshotTaker::add(Bytes piece) {
  give({Task::Kind::piece, 0, std::move(piece)});
}

void SnapshotTaker::finish() {
  give({Task::Kind::finish, 0, {}});
}

SnapshotTaker::Outcome SnapshotTaker::outcome() {
  const std::lock_guard lock{mutex_};
  const Outcome now = outcome_;
  if (now != Outcome::writing) {
    outcome_ = Outcome::none;
  }
  return now;
}

void SnapshotTaker::give(Task task) {
  const std::lock_guard lock{mutex_};
  if (outcome_ == Outcome::writing) {  // else it was given up, and the rest is not wanted
    tasks_.push_back(std::move(task));
    wakes_.notify_all();
  }
}

void SnapshotTaker::write_all_that_comes() {
  std::unique_lock lock{mutex_};
  for (;;) {
    wakes_.wait(lock, [this] { return stopping_ || !tasks_.empty(); });
    if (stopping_) {
      return;
    }
    const Task task = std::move(tasks_.front());
    lock.unlock();
    const std::error_code error = write(task);
    if (error && !is_full(error)) {
      ends_.fatal("snapshot: cannot write: " + error.message());
    }
    if (!error && task.kind == Task::Kind::finish) {
      ends_.on_finished(files_.needed_from());
    }
    lock.lock();
    tasks_.pop_front();
    if (error) {
      tasks_.clear();
      outcome_ = Outcome::no_space;
    } else if (task.kind == Task::Kind::finish) {
      outcome_ = Outcome::finished;
    }
    lock.unlock();
    ends_.on_progress();
    lock.lock();
  }
}

std::error_code SnapshotTaker::write(const Task& task) {
  switch (task.kind) {
    case Task::Kind::begin:
      return files_.begin(task.record);
    case Task::Kind::piece:
      return files_.add(task.piece);
    case Task::Kind::finish:
      return files_.finish();
  }
  return {};
}

}  // namespace kv::host
