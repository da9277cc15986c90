// A node's lives: how one begins from what the last one left, and what faults do to it. Its work
// stands in node.cc.
#include <algorithm>

#include "common/core/check.h"
#include "common/sim/node.h"
#include "common/wire/logfmt.h"

namespace kv::sim {
namespace {

using std::chrono::hours;
using std::chrono::microseconds;

constexpr std::int64_t million = 1'000'000;

}  // namespace

// --- a life --------------------------------------------------------------------------------------

void Node::start() {
  check(!up());
  refused_ = false;
  clock_anchor_ = world_.now();  // a clock's start means nothing: each life has another
  local_anchor_ = Instant{} + random_.between(Duration{hours{1}}, Duration{hours{1000}});
  replica_ = protocol_.make(self_, scenario_.nodes, random_.next());
  std::string why;
  const std::optional<Snapshot> snapshot = snapshots_.load(why);
  if (!recover(snapshot ? &*snapshot : nullptr)) {
    return;
  }
  given_out_ = journal_.written();
  replica_->start(local_now(), effects_);
  after_call();
  ship();
}

/// False if the process ended over it: by damage, or because it was to die here.
bool Node::recover(const Snapshot* snapshot) {
  std::uint64_t first = 0;
  if (snapshot != nullptr) {
    first = snapshot->record;
    for (const Bytes& piece : snapshot->pieces) {
      replica_->restore(piece);
      snapshot_bytes_ += piece.size();
    }
  }
  const Recovery recovery = journal_.open(first, [this](ByteView record) {
    bytes_since_snapshot_ += record.size();
    replica_->recover(record);
  });
  if (!journal_.broken_promise().empty()) {
    world_.fail("what_was_synced_is_recovered", journal_.broken_promise());
  }
  world_.counts.torn_tails += recovery.torn_bytes > 0 ? 1 : 0;
  if (!recovery.good) {
    refuse(recovery.why);
    return false;
  }
  if (dies_at(CrashPoint::during_recovery)) {
    return false;
  }
  world_.note(self_, Level::info,
              wire::LogFields{}
                  .add("event", "start")
                  .add("snapshot", first)
                  .add("records", recovery.records)
                  .add("torn_bytes", recovery.torn_bytes)
                  .text());
  return true;
}

void Node::refuse(const std::string& why) {
  ++world_.counts.refused_starts;
  note_event(Level::error, "refused", "why", why);
  const bool spared = rotten_files_.size() == 1 && DiskSnapshots::owns(*rotten_files_.begin());
  if (rotten_files_.empty()) {
    world_.fail("what_a_crash_leaves_is_recovered", why);
  } else if (spared) {
    world_.fail("one_damaged_snapshot_costs_nothing", why);
  }
  drop_memory();
  refused_ = true;
}

void Node::crash(const Armed& armed) {
  held_down_by_.push_back(armed.fault);
  if (up()) {
    ++world_.counts.crashes;
    note_event(Level::warn, "crash", "point", name_of(armed.point));
    drop_memory();
    disk_.crash(random_);
  }
  if (armed.damage == DiskDamage::rot) {
    const std::string file = disk_.rot(random_);
    if (!file.empty()) {
      rotten_files_.insert(file);
    }
    note_event(Level::warn, "disk_rot", "file", file);
  } else if (armed.damage == DiskDamage::wiped) {
    disk_.wipe();
    journal_.forget();
    rotten_files_.clear();
    note_event(Level::warn, "disk_wiped");
  }
}

void Node::arm(std::uint32_t fault, CrashPoint point, DiskDamage damage) {
  const Armed armed{.fault = fault, .point = point, .damage = damage};
  if (point == CrashPoint::now) {
    crash(armed);
  } else {
    armed_.push_back(armed);
  }
}

void Node::lift(std::uint32_t fault) {
  std::erase_if(armed_, [fault](const Armed& armed) { return armed.fault == fault; });
  if (std::erase(held_down_by_, fault) > 0 && held_down_by_.empty() && !up()) {
    start();
  }
}

bool Node::dies_at(CrashPoint point) {
  const auto armed = std::ranges::find(armed_, point, &Armed::point);
  if (armed == armed_.end()) {
    return false;
  }
  const Armed struck = *armed;
  armed_.erase(armed);
  crash(struck);
  return true;
}

void Node::drop_memory() {
  ++life_;
  replica_.reset();
  for (const Input& input : inbox_) {
    give_back(input);
  }
  inbox_.clear();
  effects_.clear();
  unwritten_.clear();
  waiting_.clear();
  open_requests_.clear();
  ops_.clear();
  roles_to_start_.clear();
  snapshot_record_.reset();
  snapshot_refused_since_.reset();
  snapshot_not_before_ = {};
  run_planned_ = run_missed_ = syncing_ = sync_held_ = snapshot_complete_ = false;
  told_room_ = true;
  wake_planned_ = never;
  bytes_since_snapshot_ = snapshot_bytes_ = 0;
}

void Node::resume() {
  check(pauses_ > 0);
  if (--pauses_ > 0 || !up()) {
    return;
  }
  note_event(Level::warn, "resume");
  if (run_missed_) {
    run_missed_ = false;
    plan_run();
  }
  try_held_sync();
}

// --- clock and disk ------------------------------------------------------------------------------

void Node::set_clock_rate(Share rate) {
  local_anchor_ = local_now();
  clock_anchor_ = world_.now();
  clock_rate_ = rate;
  plan_wake();
}

void Node::jump_clock(Duration forward) {
  local_anchor_ += forward;
  plan_wake();
}

Instant Node::local_now() const {
  const std::int64_t passed = (world_.now() - clock_anchor_).count();
  return local_anchor_ + Duration{passed * clock_rate_.ppm / million};
}

Duration Node::until(Instant local) const {
  const std::int64_t left = (local - local_now()).count();
  return left <= 0 ? Duration{} : Duration{left * million / clock_rate_.ppm + 1};
}

void Node::set_disk(DiskState state, std::uint32_t factor) {
  const bool room_changes = (state == DiskState::full) != (disk_state_ == DiskState::full);
  disk_state_ = state;
  disk_factor_ = factor;
  reserve_left_ = scenario_.disk.segment_bytes / 4;
  if (room_changes && up()) {
    plan_run();  // the replica is told
  }
  try_held_sync();
  write_records();
}

// --- a snapshot ----------------------------------------------------------------------------------

void Node::begin_snapshot_if_due() {
  const std::uint64_t after = scenario_.disk.snapshot_after;
  if (!up() || snapshot_record_ || after == 0 || world_.now() < snapshot_not_before_ ||
      bytes_since_snapshot_ < std::max(after, snapshot_bytes_)) {
    return;  // a large one is worth it only when much has changed
  }
  if (!replica_->begin_snapshot()) {
    return put_snapshot_off();
  }
  snapshot_refused_since_.reset();
  snapshot_record_ = given_out_;
  snapshot_complete_ = false;
  bytes_since_snapshot_ = 0;
  snapshot_bytes_ = 0;
  snapshots_.begin(given_out_);
  schedule(EventKind::snapshot, random_.between(microseconds{20}, microseconds{500}));
}

/// Its next run after a while asks again.
void Node::put_snapshot_off() {
  ++world_.counts.snapshots_put_off;
  snapshot_not_before_ = world_.now() + random_.between(microseconds{200}, microseconds{20'000});
  snapshot_refused_since_ = snapshot_refused_since_.value_or(world_.now());
  if (world_.now() - *snapshot_refused_since_ >= snapshot_late) {
    snapshot_refused_since_ = world_.now();
    note_event(Level::warn, "snapshot_late", "why", "the replica says, not now");
  }
}

void Node::take_snapshot_piece() {
  if (pauses_ == 0 && !snapshot_complete_) {
    const Bytes piece = replica_->next_snapshot_piece();
    snapshot_complete_ = piece.empty();
    if (!piece.empty()) {
      snapshots_.add(piece);
      snapshot_bytes_ += piece.size();
    }
  }
  // The journal must hold what the snapshot stands for, or its end would come before the
  // snapshot's.
  const bool disk_works = disk_state_ == DiskState::healthy || disk_state_ == DiskState::slow;
  if (snapshot_complete_ && pauses_ == 0 && disk_works && journal_.synced() >= *snapshot_record_) {
    return keep_snapshot();
  }
  schedule(EventKind::snapshot, random_.between(microseconds{20}, microseconds{500}));
}

void Node::keep_snapshot() {
  snapshots_.seal();
  if (dies_at(CrashPoint::before_rename)) {
    return;
  }
  snapshots_.rename();
  if (dies_at(CrashPoint::after_rename)) {
    return;
  }
  snapshots_.sync_folder();
  if (dies_at(CrashPoint::before_truncate)) {
    return;
  }
  snapshots_.drop_old();
  journal_.truncate(snapshots_.covered());
  if (dies_at(CrashPoint::after_truncate)) {
    return;
  }
  ++world_.counts.snapshots;
  note_event(Level::info, "snapshot", "record", std::to_string(*snapshot_record_));
  snapshot_record_.reset();
}

// --- roles ---------------------------------------------------------------------------------------

bool Node::plays(std::string_view role) const {
  const Roles* parts = up() ? roles() : nullptr;
  return parts != nullptr && parts->plays(role);
}

bool Node::kill_role(const std::string& role) {
  Roles* parts = up() ? roles() : nullptr;
  if (parts == nullptr || !parts->has_role(role)) {
    return false;
  }
  note_event(Level::warn, "role_died", "role", role);
  parts->kill_role(role);
  return true;
}

void Node::start_role(const std::string& role) {
  if (up()) {
    roles_to_start_.push_back(role);
    start_waiting_roles();
  }
}

/// A role's new life reads the journal: what its old one gave out must be there.
void Node::start_waiting_roles() {
  if (!up() || roles_to_start_.empty() || journal_.synced() < given_out_) {
    return;
  }
  std::string why;
  const std::optional<Snapshot> snapshot = snapshots_.load(why);
  const std::vector<std::string> names = std::move(roles_to_start_);
  roles_to_start_.clear();
  for (const std::string& role : names) {
    note_event(Level::warn, "role_born", "role", role);
    for (const Bytes& piece : snapshot ? snapshot->pieces : std::vector<Bytes>{}) {
      roles()->restore_role(role, piece);
    }
    journal_.replay(snapshot ? snapshot->record : 0,
                    [&](ByteView record) { roles()->recover_role(role, record); });
    roles()->start_role(role, local_now(), effects_);
    after_call();
  }
  ship();
}

}  // namespace kv::sim
