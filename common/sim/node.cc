#include "common/sim/node.h"

#include <algorithm>

#include "common/core/check.h"
#include "common/wire/frame.h"
#include "common/wire/logfmt.h"

namespace kv::sim {
namespace {

using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr std::int64_t million = 1'000'000;
constexpr Duration wake_ahead_max = hours{24};

}  // namespace

Node::Node(World& world, Protocol& protocol, const Scenario& scenario, NodeId self)
    : world_(world),
      protocol_(protocol),
      scenario_(scenario),
      self_(self),
      random_(world.random_for("node", self.value)),
      journal_(disk_, scenario.disk.segment_bytes),
      snapshots_(disk_) {}

void Node::handle(const Event& event) {
  if (event.kind == EventKind::message || event.kind == EventKind::request) {
    return gather({.is_request = event.kind == EventKind::request, .item = event.item});
  }
  if (event.life != life_) {
    return;
  }
  switch (event.kind) {
    case EventKind::wake:
      wake_planned_ = wake_planned_ == world_.now() ? never : wake_planned_;
      return run();
    case EventKind::run:
      run_planned_ = false;
      return run();
    case EventKind::sync_done:
      return finish_sync();
    case EventKind::snapshot:
      return take_snapshot_piece();
    default:
      check(false);
  }
}

// --- a run ---------------------------------------------------------------------------------------

void Node::gather(Input input) {
  if (up() && inbox_.size() < inbox_max) {
    inbox_.push_back(input);
    return plan_run();
  }
  if (input.is_request) {
    refuse_request(world_.asks[input.item].id, up() ? "too many requests wait" : "no connection");
  }
  give_back(input);
}

void Node::plan_run() {
  if (!run_planned_) {
    run_planned_ = true;
    schedule(EventKind::run, random_.between(microseconds{1}, microseconds{30}));
  }
}

void Node::run() {
  if (pauses_ > 0) {
    run_missed_ = true;
    return;
  }
  inputs_.swap(inbox_);
  const bool tick_first = random_.chance(0.5);
  if (tick_first) {
    tick_if_due();
  }
  for (const Input& input : inputs_) {
    tell(input);
  }
  inputs_.clear();
  if (!tick_first) {
    tick_if_due();
  }
  ship();
}

void Node::tell(const Input& input) {
  if (input.is_request) {
    tell_request(input.item);
  } else {
    tell_message(input.item);
  }
  give_back(input);
}

void Node::give_back(const Input& input) {
  if (input.is_request) {
    world_.asks.give(input.item);
  } else {
    world_.envelopes.give(input.item);
  }
}

void Node::refuse_request(RequestId id, std::string why) {
  world_.answer({.request = id,
                 .reply = {.status = Status::unavailable, .value = {}, .why = std::move(why)}});
}

void Node::tell_message(std::uint32_t item) {
  const Envelope& envelope = world_.envelopes[item];
  ByteView stream = envelope.frame;
  wire::Frame frame;
  const bool whole = wire::take_frame(stream, frame) == wire::FrameVerdict::whole;
  if (envelope.flipped) {
    if (whole) {
      return world_.fail("the_frame_catches_every_flipped_bit", "a damaged frame was accepted");
    }
    ++world_.counts.flips_caught;
    return;
  }
  check(whole && stream.empty() && frame.to == self_);
  if (!world_.network.open({frame.from, self_})) {
    ++world_.counts.messages_lost;  // cut while it was on its way
    return;
  }
  if (world_.noting()) {
    world_.trace(self_, wire::LogFields{}
                            .add("event", "receive")
                            .add("msg", frame.msg)
                            .add("from", frame.from.value)
                            .text());
  }
  replica_->receive(local_now(), frame.from, frame.body, effects_);
  after_call();
}

void Node::tell_request(std::uint32_t item) {
  const Ask& ask = world_.asks[item];
  if (disk_state_ == DiskState::full && changes_something(ask.command.verb)) {
    return refuse_request(ask.id, "the disk is full");
  }
  if (open_requests_.size() >= waiting_requests_max) {
    return refuse_request(ask.id, "too many requests wait");
  }
  check(open_requests_.insert(ask.id.value).second);
  replica_->request(local_now(), ask.id, ask.command, effects_);
  after_call();
}

void Node::tick_if_due() {
  if (local_now() >= replica_->wake_at()) {
    replica_->tick(local_now(), effects_);
    after_call();
  }
}

void Node::after_call() {
  replica_->check_invariants();
  ++world_.counts.calls;
}

/// Everything that a run asks of the world, in the order that keeps the replica's promises.
void Node::ship() {
  for (const Note& note : effects_.notes) {
    world_.note(self_, note.level, note.fields);
  }
  if (!effects_.records.empty() && dies_at(CrashPoint::before_write)) {
    return;
  }
  take_answers();
  given_out_ += effects_.records.size();
  std::ranges::move(effects_.records, std::back_inserter(unwritten_));
  Waiting waiting{.needs = given_out_, .sends = {}, .answers = std::move(effects_.answers)};
  for (Send& send : effects_.sends) {
    if (send.after_records) {
      waiting.sends.push_back(std::move(send));
    } else {
      world_.send(self_, send);
    }
  }
  effects_.clear();
  if (!waiting.sends.empty() || !waiting.answers.empty()) {
    waiting_.push_back(std::move(waiting));
  }
  write_records();
  release();
  begin_snapshot_if_due();
  plan_wake();
}

void Node::take_answers() {
  for (const Answer& answer : effects_.answers) {
    if (open_requests_.erase(answer.request.value) == 0) {
      world_.fail("each_request_is_answered_once",
                  "request " + std::to_string(answer.request.value) + " is answered again");
    }
  }
}

void Node::write_records() {
  if (!up() || syncing_ || unwritten_.empty() || disk_state_ == DiskState::full) {
    return;
  }
  std::size_t bytes = 0;
  std::size_t count = 0;
  while (count < unwritten_.size() && (count == 0 || bytes < wire::journal_batch_bytes_max / 2)) {
    bytes += unwritten_[count++].size();
  }
  const auto end = unwritten_.begin() + static_cast<std::ptrdiff_t>(count);
  writing_.assign(std::make_move_iterator(unwritten_.begin()), std::make_move_iterator(end));
  unwritten_.erase(unwritten_.begin(), end);
  journal_.write(writing_);
  bytes_since_snapshot_ += wire::journal_batch_bytes(writing_);
  world_.counts.records += count;
  syncing_ = true;
  if (dies_at(CrashPoint::after_write)) {
    return;
  }
  const Duration latency = random_.between(scenario_.disk.sync.low, scenario_.disk.sync.high);
  schedule(EventKind::sync_done, disk_state_ == DiskState::slow ? latency * disk_factor_ : latency);
}

void Node::finish_sync() {
  if (pauses_ > 0 || disk_state_ == DiskState::hung) {
    sync_held_ = true;
    return;
  }
  if (dies_at(CrashPoint::sync_fails)) {
    return;
  }
  journal_.sync();
  ++world_.counts.syncs;
  syncing_ = false;
  if (dies_at(CrashPoint::after_sync)) {
    return;
  }
  release();
  write_records();
  start_waiting_roles();
}

/// What held the sync may be over; if it is not, the event finds that out.
void Node::try_held_sync() {
  if (up() && sync_held_) {
    sync_held_ = false;
    schedule(EventKind::sync_done, Duration{});
  }
}

void Node::release() {
  while (up() && !waiting_.empty() && waiting_.front().needs <= journal_.synced()) {
    if (!release_one(waiting_.front())) {
      return;
    }
    waiting_.pop_front();
  }
}

/// False if the process died over it.
bool Node::release_one(Waiting& waiting) {
  std::size_t left = 0;
  const std::size_t half = (waiting.sends.size() + waiting.answers.size()) / 2;
  for (const Send& send : waiting.sends) {
    if (left++ == half && dies_at(CrashPoint::during_send)) {
      return false;
    }
    world_.send(self_, send);
  }
  for (const Answer& answer : waiting.answers) {
    if (left++ == half && dies_at(CrashPoint::during_send)) {
      return false;
    }
    world_.answer(answer);
  }
  return !dies_at(CrashPoint::after_send);
}

void Node::plan_wake() {
  if (!up()) {
    return;
  }
  const Instant local = replica_->wake_at();
  if (local == never || local - local_now() > wake_ahead_max) {
    return;
  }
  const Duration delay = until(local);
  if (world_.now() + delay < wake_planned_) {
    wake_planned_ = world_.now() + delay;
    schedule(EventKind::wake, delay);
  }
}

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
  if (!rotten_) {
    world_.fail("what_a_crash_leaves_is_recovered", why);
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
  if (armed.damage == DiskDamage::rot && disk_.rot(random_)) {
    rotten_ = true;
    note_event(Level::warn, "disk_rot");
  } else if (armed.damage == DiskDamage::wiped) {
    disk_.wipe();
    journal_.forget();
    rotten_ = false;
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
  roles_to_start_.clear();
  snapshot_record_.reset();
  run_planned_ = run_missed_ = syncing_ = sync_held_ = snapshot_complete_ = false;
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
  disk_state_ = state;
  disk_factor_ = factor;
  try_held_sync();
  write_records();
}

// --- a snapshot ----------------------------------------------------------------------------------

void Node::begin_snapshot_if_due() {
  const std::uint64_t after = scenario_.disk.snapshot_after;
  if (!up() || snapshot_record_ || after == 0 ||
      bytes_since_snapshot_ < std::max(after, snapshot_bytes_)) {
    return;  // a large one is worth it only when much has changed
  }
  replica_->begin_snapshot();
  snapshot_record_ = given_out_;
  snapshot_complete_ = false;
  bytes_since_snapshot_ = 0;
  snapshot_bytes_ = 0;
  snapshots_.begin(given_out_);
  schedule(EventKind::snapshot, random_.between(microseconds{20}, microseconds{500}));
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
  note_event(Level::warn, "role_dies", "role", role);
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
    note_event(Level::warn, "role_starts", "role", role);
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

// --- small things --------------------------------------------------------------------------------

void Node::schedule(EventKind kind, Duration delay) {
  world_.after(delay, {.life = life_, .kind = kind, .target = self_.value});
}

void Node::note_event(Level level, std::string_view event, std::string_view key,
                      std::string_view value) {
  wire::LogFields fields;
  fields.add("event", event);
  if (!key.empty()) {
    fields.add(key, value);
  }
  world_.note(self_, level, fields.text());
}

}  // namespace kv::sim
