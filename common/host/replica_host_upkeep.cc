// What the protocol's thread sees to beside its turns: room on the disk, snapshots, the log.
#include <utility>

#include "common/host/replica_host_core.h"

namespace kv::host {
namespace {

using wire::LogFields;

constexpr Duration totals_interval = std::chrono::seconds{1};

}  // namespace

void ReplicaHost::Core::look_at_room() {
  const Journal::Room before = std::exchange(room_, journal_->room());
  backlogged_ = journal_->backlogged();
  const bool full = !Journal::has_space(room_);
  if (full != Journal::has_space(before)) {
    return;
  }
  replica_->see_room(!full);
  note(full ? Level::error : Level::info,
       LogFields{}
           .add("event", full ? "disk_full" : "disk_has_room")
           .add("why", full ? "commands that change something are refused until there is space"
                            : "commands are taken again"));
}

void ReplicaHost::Core::flush_log() {
  if (!writer_.holds_lines()) {
    log_due_ = never;
  } else if (log_due_ == never) {
    log_due_ = now_ + LogWriter::flush_interval;
  } else if (now_ >= log_due_) {
    writer_.flush();
    log_due_ = never;
  }
}

/// Once a second while something changes.
void ReplicaHost::Core::tell_totals() {
  if (totals_due_ == never) {
    totals_due_ = counts_.activity() == activity_told_ ? never : now_ + totals_interval;
  } else if (now_ >= totals_due_) {
    activity_told_ = counts_.activity();
    totals_due_ = never;
    writer_.write(Level::info, totals_line(counts_, journal_->syncs()));
  }
}

void ReplicaHost::Core::look_at_service() {
  const bool serving = !options_.serving || options_.serving(*replica_);
  if (serving != serving_.load(std::memory_order_relaxed)) {
    serving_.store(serving, std::memory_order_relaxed);
  }
}

void ReplicaHost::Core::read_gauges() {
  const bool due = now_ >= gauges_due_;
  for (std::size_t i = 0; i < options_.gauges.size(); ++i) {
    if (due || options_.gauges[i].always_fresh) {
      gauges_[i].store(options_.gauges[i].read(*replica_), std::memory_order_relaxed);
    }
  }
  if (due) {
    gauges_due_ = now_ + totals_interval;
    read_members();
  }
}

// --- members -------------------------------------------------------------------------------------

/// Before anything is sent to them.
void ReplicaHost::Core::look_at_members() {
  if (members_ == nullptr || members_met_ == members_->members_version()) {
    return;
  }
  members_met_ = members_->members_version();
  read_members();
  transport_.meet(members_->members().members);
}

void ReplicaHost::Core::read_members() {
  if (members_ != nullptr) {
    MemberList now = members_->members();
    const std::lock_guard lock{member_list_mutex_};
    member_list_ = std::move(now);
  }
}

// --- snapshots -----------------------------------------------------------------------------------

void ReplicaHost::Core::go_on_with_snapshot() {
  switch (snapshot_) {
    case Snapshot::none:
      if (snapshot_due() && now_ >= snapshot_not_before_) {
        begin_snapshot();
      }
      return;
    case Snapshot::pulling:
      if (taker_->wants_piece()) {
        pull_piece();
      }
      return;
    case Snapshot::awaiting_records:
      // Not sooner: after a crash, the journal would end before the snapshot.
      if (journal_->durable_records() >= snapshot_record_) {
        taker_->finish();
        snapshot_ = Snapshot::finishing;
      }
      return;
    case Snapshot::finishing:
      const SnapshotTaker::Outcome outcome = taker_->outcome();
      if (outcome == SnapshotTaker::Outcome::writing) {
        return;
      }
      snapshot_ = Snapshot::none;
      if (outcome == SnapshotTaker::Outcome::no_space) {
        bytes_since_snapshot_ = options_.snapshot_every_bytes;
        snapshot_not_before_ = now_ + options_.snapshot_retry;
      }
      const bool done = outcome == SnapshotTaker::Outcome::finished;
      counts_.snapshots.add(done ? 1 : 0);
      note(done ? Level::info : Level::error, LogFields{}
                                                  .add("event", done ? "snapshot" : "no_snapshot")
                                                  .add("record", snapshot_record_)
                                                  .add("why", done ? "done" : "the disk is full"));
      return;
  }
}

bool ReplicaHost::Core::snapshot_due() const {
  return bytes_since_snapshot_ >= options_.snapshot_every_bytes && stop_by_ == never &&
         dead_roles_.empty() && roles_to_be_born_.empty();
}

void ReplicaHost::Core::begin_snapshot() {
  if (!replica_->begin_snapshot()) {
    snapshot_not_before_ = now_ + options_.snapshot_ask_again;
    snapshot_refused_since_ = snapshot_refused_since_.value_or(now_);
    if (now_ - *snapshot_refused_since_ >= options_.snapshot_late) {
      snapshot_refused_since_ = now_;
      note(Level::warn, LogFields{}
                            .add("event", "snapshot_late")
                            .add("bytes", bytes_since_snapshot_)
                            .add("why", "the replica says, not now; the journal grows meanwhile"));
    }
    return;
  }
  snapshot_refused_since_.reset();
  snapshot_record_ = journal_->next_record();
  bytes_since_snapshot_ = 0;
  taker_->begin(snapshot_record_);
  snapshot_ = Snapshot::pulling;
}

void ReplicaHost::Core::pull_piece() {
  Bytes piece = replica_->next_snapshot_piece();
  if (piece.empty()) {
    snapshot_ = Snapshot::awaiting_records;
    inbox_.poke();
    return;
  }
  taker_->add(std::move(piece));
}

}  // namespace kv::host
