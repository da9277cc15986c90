#include "common/host/replica_host.h"

#include <algorithm>
#include <deque>
#include <optional>
#include <thread>
#include <unordered_map>
#include <utility>

#include "common/core/check.h"
#include "common/host/clock.h"
#include "common/host/replica_host_inbox.h"
#include "common/host/replica_host_snapshot.h"
#include "common/host/snapshot_files.h"
#include "common/wire/logfmt.h"

namespace kv::host {
namespace {

using wire::LogFields;

/// What one turn gives to the Replica at most, so that answers, timers and snapshot pieces get
/// their turn.
constexpr std::size_t requests_a_turn_max = 512;
constexpr std::size_t bytes_a_turn_max = 1024 * 1024;

}  // namespace

class ReplicaHost::Core {
 public:
  Core(std::unique_ptr<Replica> replica, Disk& disk, PeerTransport& transport, Log& log,
       Options options)
      : replica_(std::move(replica)),
        disk_(disk),
        transport_(transport),
        options_(std::move(options)),
        inbox_({options_.requests_max, options_.request_bytes_max, options_.message_bytes_max}),
        writer_(log) {
    check(options_.self != NodeId{});
  }
  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;
  ~Core() { stop(); }

  bool recover(std::string& why);
  void start();
  void stop();
  void submit(const Command& command, Done done);
  bool healthy() const;

 private:
  struct Open {  // a request that is not answered
    Done done;
    bool given = false;
  };
  struct Held {
    RequestId id;
    Command command;
  };
  struct Withheld {  // until so many records are durable
    std::uint64_t records;
    std::vector<Send> sends;
    std::vector<Answer> answers;
  };
  enum class Snapshot : std::uint8_t { none, pulling, awaiting_records, finishing };

  bool open_snapshot(std::uint64_t& from, std::string& why);

  void run();
  void take_input();
  Instant sleep_until() const;
  bool more_to_do_now() const;
  void step();
  void give_messages();
  void give_tick();
  void give_requests();
  void settle();
  void release_durable();
  void dispatch(std::vector<Send>& sends);
  void answer_all(std::vector<Answer>& answers);
  void answer(RequestId id, const Reply& reply);
  void end_patience();
  void refuse_rest();
  void go_on_with_snapshot();
  bool snapshot_due() const;
  void begin_snapshot();
  void pull_piece();
  void look_at_room();
  bool drained() const;
  void note(Level level, const LogFields& fields) { writer_.write(level, fields.text()); }
  void flush_log();

  std::unique_ptr<Replica> replica_;
  Disk& disk_;
  PeerTransport& transport_;
  const Options options_;
  ReplicaInbox inbox_;
  std::unique_ptr<Journal> journal_;
  std::unique_ptr<SnapshotFiles> snapshots_;
  std::unique_ptr<SnapshotTaker> taker_;
  std::thread thread_;

  // The protocol's thread alone, once it runs.
  LogWriter writer_;
  Instant now_{};
  Instant log_due_ = never;
  ReplicaInbox::Batch input_;
  std::deque<Bytes> own_messages_;  // of the Replica to itself, that may be given to it
  std::deque<WaitingMessage> messages_;
  std::deque<Held> held_;
  std::unordered_map<RequestId, Open> open_;
  std::deque<std::pair<Instant, RequestId>> patience_ends_;
  std::uint64_t requests_seen_ = 0;
  std::size_t answered_ = 0;  // in this turn
  std::size_t request_bytes_used_ = 0;
  std::size_t message_bytes_used_ = 0;
  Effects effects_;
  std::deque<Withheld> withheld_;
  Journal::Room room_ = Journal::Room::free;
  bool backlogged_ = false;
  Instant stop_by_ = never;
  Snapshot snapshot_ = Snapshot::none;
  std::uint64_t snapshot_record_ = 0;
  std::uint64_t bytes_since_snapshot_ = 0;
  Instant snapshot_not_before_{};
  std::optional<Instant> snapshot_refused_since_;  // by the Replica, or since it was last noted
};

// --- recovery ------------------------------------------------------------------------------------

bool ReplicaHost::Core::recover(std::string& why) {
  journal_ = Journal::open(disk_,
                           {.directory = options_.directory,
                            .id = options_.journal_id,
                            .segment_bytes = options_.segment_bytes,
                            .sync = options_.sync,
                            .full_retry = options_.full_retry,
                            .on_progress = [this] { inbox_.poke(); },
                            .fatal = options_.fatal},
                           why);
  if (!journal_) {
    return false;
  }
  snapshots_ = std::make_unique<SnapshotFiles>(disk_, options_.directory, journal_->id());
  std::uint64_t from = 0;
  if (!snapshots_->find(why) || !open_snapshot(from, why)) {
    return false;
  }
  const auto take = [this](ByteView record) {
    bytes_since_snapshot_ += record.size();
    replica_->recover(record);
  };
  if (!journal_->recover(from, take, why)) {
    return false;
  }
  note(Level::info, LogFields{}
                        .add("event", "recovered")
                        .add("snapshot_record", from)
                        .add("records", journal_->next_record() - from));
  if (options_.sync == Journal::Sync::never) {
    note(Level::warn, LogFields{}
                          .add("event", "no_sync")
                          .add("why", "with --sync never nothing survives a crash of the machine"));
  }
  taker_ = std::make_unique<SnapshotTaker>(
      *snapshots_,
      SnapshotTaker::Ends{
          .on_finished = [this](std::uint64_t needed) { journal_->truncate_before(needed); },
          .on_progress = [this] { inbox_.poke(); },
          .fatal = options_.fatal});
  return true;
}

/// Restores the newest good one; a damaged one is passed over. Whether the journal reaches back
/// far enough for an older one, the journal says.
bool ReplicaHost::Core::open_snapshot(std::uint64_t& from, std::string& why) {
  while (!snapshots_->kept().empty()) {
    const SnapshotFiles::Kept newest = snapshots_->kept().front();
    if (snapshots_->read(
            newest, [](ByteView) {}, why)) {
      from = newest.record;
      return snapshots_->read(
          newest, [this](ByteView piece) { replica_->restore(piece); }, why);
    }
    note(Level::error, LogFields{}.add("event", "snapshot_damaged").add("why", why));
    snapshots_->forget(newest);
  }
  return true;
}

void ReplicaHost::Core::start() {
  thread_ = std::thread{[this] { run(); }};
  transport_.start([this](NodeId from, Bytes message) { inbox_.add(from, std::move(message)); });
}

// --- the front door ------------------------------------------------------------------------------

void ReplicaHost::Core::submit(const Command& command, Done done) {
  if (const char* const why = inbox_.add(command, done, run_now())) {
    done({.status = Status::unavailable, .value = {}, .why = why});
  }
}

bool ReplicaHost::Core::healthy() const {
  return !inbox_.stopping() && journal_->room() != Journal::Room::full;
}

void ReplicaHost::Core::stop() {
  inbox_.stop();
  if (thread_.joinable()) {
    thread_.join();
    transport_.stop();
  }
  taker_.reset();
  if (journal_) {
    journal_->close();
  }
}

// --- the protocol's thread -----------------------------------------------------------------------

void ReplicaHost::Core::run() {
  now_ = run_now();
  replica_->start(now_, effects_);
  settle();
  while (!drained()) {
    take_input();
    step();
  }
  refuse_rest();
  note(Level::info, LogFields{}.add("event", "stopped").add("records", journal_->next_record()));
  writer_.flush();
}

bool ReplicaHost::Core::drained() const {
  return stop_by_ != never && ((open_.empty() && withheld_.empty()) || now_ >= stop_by_);
}

void ReplicaHost::Core::take_input() {
  inbox_.take(input_, more_to_do_now() ? now_ : sleep_until());
  now_ = run_now();
  if (input_.stopping && stop_by_ == never) {
    stop_by_ = now_ + options_.drain_patience;
  }
  if (input_.messages_dropped > 0) {
    note(Level::warn, LogFields{}
                          .add("event", "dropped_messages")
                          .add("count", input_.messages_dropped)
                          .add("why", "this replica is behind"));
    input_.messages_dropped = 0;
  }
  for (WaitingMessage& message : input_.messages) {
    messages_.push_back(std::move(message));
  }
  for (WaitingRequest& request : input_.requests) {
    const RequestId id{++requests_seen_};
    open_.emplace(id, Open{std::move(request.done), false});
    patience_ends_.emplace_back(request.submitted + options_.patience, id);
    held_.push_back({id, std::move(request.command)});
  }
}

/// A turn ends at its limits; whatever is left is for the next one, without sleep.
bool ReplicaHost::Core::more_to_do_now() const {
  if (snapshot_ == Snapshot::pulling && taker_->wants_piece()) {
    return true;
  }
  return !backlogged_ && (!own_messages_.empty() || !messages_.empty() ||
                          (!held_.empty() && room_ != Journal::Room::wait));
}

Instant ReplicaHost::Core::sleep_until() const {
  Instant until = std::min(log_due_, stop_by_);
  if (!backlogged_) {
    until = std::min(until, replica_->wake_at());
  }
  if (!patience_ends_.empty()) {
    until = std::min(until, patience_ends_.front().first);
  }
  if (snapshot_ == Snapshot::none && snapshot_due()) {
    until = std::min(until, snapshot_not_before_);
  }
  return until;
}

void ReplicaHost::Core::step() {
  release_durable();
  look_at_room();
  give_messages();
  give_requests();
  give_tick();
  settle();
  end_patience();
  go_on_with_snapshot();
  inbox_.took(std::exchange(answered_, 0), std::exchange(request_bytes_used_, 0),
              std::exchange(message_bytes_used_, 0));
  flush_log();
}

void ReplicaHost::Core::look_at_room() {
  const Journal::Room before = std::exchange(room_, journal_->room());
  backlogged_ = journal_->backlogged();
  if ((before == Journal::Room::full) == (room_ == Journal::Room::full)) {
    return;
  }
  const bool full = room_ == Journal::Room::full;
  note(full ? Level::error : Level::info,
       LogFields{}
           .add("event", full ? "disk_full" : "disk_has_room")
           .add("why", full ? "commands that change something are refused until there is space"
                            : "commands are taken again"));
}

void ReplicaHost::Core::give_messages() {
  while (!own_messages_.empty() && !backlogged_) {
    replica_->receive(now_, options_.self, own_messages_.front(), effects_);
    own_messages_.pop_front();
  }
  std::size_t bytes = 0;
  while (!messages_.empty() && !backlogged_ && bytes < bytes_a_turn_max) {
    const WaitingMessage& message = messages_.front();
    replica_->receive(now_, message.from, message.message, effects_);
    message_bytes_used_ += message.message.size();
    bytes += message.message.size() + 1;
    messages_.pop_front();
  }
}

void ReplicaHost::Core::give_requests() {
  std::size_t bytes = 0;
  for (std::size_t count = 0; count < requests_a_turn_max && bytes < bytes_a_turn_max; ++count) {
    if (held_.empty() || backlogged_ || room_ == Journal::Room::wait) {
      return;
    }
    const Held request = std::move(held_.front());
    held_.pop_front();
    const std::size_t request_bytes = bytes_of(request.command);
    request_bytes_used_ += request_bytes;
    bytes += request_bytes;
    const auto found = open_.find(request.id);
    if (found == open_.end()) {
      continue;  // its patience has ended
    }
    if (room_ == Journal::Room::full && changes_something(request.command.verb)) {
      answer(request.id, {.status = Status::unavailable, .value = {}, .why = "the disk is full"});
      continue;
    }
    found->second.given = true;
    replica_->request(now_, request.id, request.command, effects_);
  }
}

void ReplicaHost::Core::give_tick() {
  if (!backlogged_ && now_ >= replica_->wake_at()) {
    replica_->tick(now_, effects_);
  }
}

/// Sees to all effects of this turn: the rule "records before messages" is kept here.
void ReplicaHost::Core::settle() {
  for (const Note& each : effects_.notes) {
    writer_.write(each.level, each.fields);
  }
  for (const Bytes& record : effects_.records) {
    bytes_since_snapshot_ += record.size();
  }
  journal_->append(effects_.records);
  const auto waits = std::stable_partition(effects_.sends.begin(), effects_.sends.end(),
                                           [](const Send& send) { return !send.after_records; });
  std::vector<Send> later{std::make_move_iterator(waits),
                          std::make_move_iterator(effects_.sends.end())};
  effects_.sends.erase(waits, effects_.sends.end());
  dispatch(effects_.sends);
  if (!later.empty() || !effects_.answers.empty()) {
    withheld_.push_back({journal_->next_record(), std::move(later), std::move(effects_.answers)});
  }
  effects_.clear();
  release_durable();
}

void ReplicaHost::Core::release_durable() {
  const std::uint64_t durable = journal_->durable_records();
  while (!withheld_.empty() && withheld_.front().records <= durable) {
    Withheld released = std::move(withheld_.front());
    withheld_.pop_front();
    dispatch(released.sends);
    answer_all(released.answers);
  }
}

/// To the peers, and to the Replica itself in its next turn.
void ReplicaHost::Core::dispatch(std::vector<Send>& sends) {
  std::erase_if(sends, [this](Send& send) {
    const bool own = send.to == options_.self;
    if (own) {
      own_messages_.push_back(std::move(send.message));
    }
    return own;
  });
  if (!sends.empty()) {
    transport_.send(sends);
  }
}

void ReplicaHost::Core::answer_all(std::vector<Answer>& answers) {
  for (const Answer& each : answers) {
    answer(each.request, each.reply);
  }
}

/// Once for each request: whatever comes after is not heard.
void ReplicaHost::Core::answer(RequestId id, const Reply& reply) {
  const auto found = open_.find(id);
  if (found == open_.end()) {
    return;
  }
  const Done done = std::move(found->second.done);
  open_.erase(found);
  ++answered_;
  done(reply);
}

void ReplicaHost::Core::end_patience() {
  while (!patience_ends_.empty()) {
    const auto& [end, id] = patience_ends_.front();
    const auto found = open_.find(id);
    if (found != open_.end() && end > now_) {
      return;
    }
    if (found != open_.end()) {
      const bool given = found->second.given;
      answer(id, {.status = given ? Status::unknown : Status::unavailable,
                  .value = {},
                  .why = given ? "no answer in time" : "this replica is too busy"});
    }
    patience_ends_.pop_front();
  }
}

void ReplicaHost::Core::refuse_rest() {
  now_ = never;
  end_patience();
  check(open_.empty());
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
      note(done ? Level::info : Level::error, LogFields{}
                                                  .add("event", done ? "snapshot" : "no_snapshot")
                                                  .add("record", snapshot_record_)
                                                  .add("why", done ? "done" : "the disk is full"));
      return;
  }
}

bool ReplicaHost::Core::snapshot_due() const {
  return bytes_since_snapshot_ >= options_.snapshot_every_bytes && stop_by_ == never;
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

// --- the host ------------------------------------------------------------------------------------

std::unique_ptr<ReplicaHost> ReplicaHost::start(std::unique_ptr<Replica> replica, Disk& disk,
                                                PeerTransport& transport, Log& log, Options options,
                                                std::string& why) {
  auto core = std::make_unique<Core>(std::move(replica), disk, transport, log, std::move(options));
  if (!core->recover(why)) {
    return nullptr;
  }
  core->start();
  return std::unique_ptr<ReplicaHost>{new ReplicaHost{std::move(core)}};
}

ReplicaHost::ReplicaHost(std::unique_ptr<Core> core) : core_(std::move(core)) {}
ReplicaHost::~ReplicaHost() = default;

void ReplicaHost::submit(const Command& command, Done done) {
  core_->submit(command, std::move(done));
}

bool ReplicaHost::healthy() const {
  return core_->healthy();
}

void ReplicaHost::stop() {
  core_->stop();
}

}  // namespace kv::host
