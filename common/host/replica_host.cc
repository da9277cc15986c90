#include "common/host/replica_host.h"

#include <utility>

#include "common/host/directory_owner.h"
#include "common/host/replica_host_core.h"
#include "common/host/thread_name.h"

namespace kv::host {
namespace {

using wire::LogFields;

}  // namespace

// --- recovery ------------------------------------------------------------------------------------

bool ReplicaHost::Core::recover(std::string& why) {
  journal_ = Journal::open(disk_,
                           {.directory = options_.directory,
                            .id = options_.journal_id,
                            .segment_bytes = options_.segment_bytes,
                            .sync = options_.sync,
                            .full_retry = options_.full_retry,
                            .on_progress = [this] { inbox_.poke(); },
                            .on_rest =
                                [this] {
                                  std::vector<PeerMessage> none;
                                  bring(none);
                                },
                            .fatal = options_.fatal},
                           why);
  if (!journal_) {
    return false;
  }
  if (!options_.owner.empty() && !claim_directory(disk_, options_.directory, options_.owner, why)) {
    return false;
  }
  if (!options_.founders.empty() &&
      !keep_founders(disk_, options_.directory, options_.founders, why)) {
    return false;
  }
  if (!options_.choices.empty() &&
      !keep_choices(disk_, options_.directory, options_.choices, why)) {
    return false;
  }
  snapshots_ = std::make_unique<SnapshotFiles>(disk_, options_.directory, journal_->id());
  std::uint64_t from = 0;
  const auto restore = [this](ByteView piece) { replica_->restore(piece); };
  if (!snapshots_->find(why) || !open_snapshot(restore, from, why)) {
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

/// Gives the pieces of the newest good one; a damaged one is passed over. Whether the journal
/// reaches back far enough for an older one, the journal says.
bool ReplicaHost::Core::open_snapshot(const OnPiece& on_piece, std::uint64_t& from,
                                      std::string& why) {
  while (!snapshots_->kept().empty()) {
    const SnapshotFiles::Kept newest = snapshots_->kept().front();
    if (snapshots_->read(
            newest, [](ByteView) {}, why)) {
      from = newest.record;
      return snapshots_->read(newest, on_piece, why);
    }
    note(Level::error, LogFields{}.add("event", "snapshot_damaged").add("why", why));
    snapshots_->forget(newest);
  }
  return true;
}

void ReplicaHost::Core::start() {
  threaded_ = dynamic_cast<Threaded*>(replica_.get());
  if (threaded_ != nullptr) {
    threaded_->tell_news([this] {
      std::vector<PeerMessage> none;
      bring(none);
    });
  }
  thread_ = std::thread{[this] {
    name_this_thread("protocol");
    run();
  }};
  if (transport_.lends_threads()) {
    transport_.start([this](std::vector<PeerMessage>& messages) { bring(messages); });
  } else {
    transport_.start([this](std::vector<PeerMessage>& messages) { inbox_.add(messages); });
  }
}

// --- the front door ------------------------------------------------------------------------------

void ReplicaHost::Core::submit(const Command& command, Done done, ReplicaInbox::Wake wake) {
  if (const char* const why = inbox_.add(command, done, run_now(), wake)) {
    counts_.refused.fetch_add(1, std::memory_order_relaxed);
    done({.status = Status::unavailable, .value = {}, .why = why});
  }
}

void ReplicaHost::Core::change_members(const MemberChange& change, Done done) {
  if (members_ == nullptr) {
    return done({.status = Status::bad_request,
                 .value = {},
                 .why = "the members of this cluster cannot change: they are those of --peers"});
  }
  if (const char* const why = inbox_.add(change, done, run_now())) {
    counts_.refused.fetch_add(1, std::memory_order_relaxed);
    done({.status = Status::unavailable, .value = {}, .why = why});
  }
}

MemberList ReplicaHost::Core::members() const {
  const std::lock_guard lock{member_list_mutex_};
  return member_list_;
}

bool ReplicaHost::Core::healthy() const {
  return serving_ && !inbox_.stopping() && Journal::has_space(journal_->room());
}

void ReplicaHost::Core::stop() {
  inbox_.stop();
  if (thread_.joinable()) {
    thread_.join();
    transport_.stop();
  }
  if (threaded_ != nullptr) {
    threaded_->stop_threads();
  }
  taker_.reset();
  if (journal_) {
    journal_->close();
  }
}

// --- the protocol's thread -----------------------------------------------------------------------

void ReplicaHost::Core::run() {
  now_ = run_now();
  // Of this life alone, if lives do not begin within one microsecond per message of each other.
  next_msg_ = static_cast<std::uint64_t>(wall_now().time_since_epoch().count());
  replica_->start(now_, effects_);
  look_at_members();
  settle();
  look_at_service();
  while (!drained()) {
    inbox_.rest(due(), nullptr);
    inbox_.take(input_);
    turn();
  }
  refuse_rest();
  if (counts_.activity() > 0) {
    writer_.write(Level::info, totals_line(counts_, journal_->syncs()));
  }
  note(Level::info, LogFields{}.add("event", "stopped").add("records", journal_->next_record()));
  writer_.flush();
}

bool ReplicaHost::Core::drained() const {
  return stop_by_ != never && ((open_.empty() && withheld_.empty()) || now_ >= stop_by_);
}

// --- the host ------------------------------------------------------------------------------------

std::unique_ptr<ReplicaHost> ReplicaHost::start(std::unique_ptr<Replica> replica, Disk& disk,
                                                PeerTransport& transport, Log& log, Options options,
                                                std::string& why) {
  auto core = std::make_unique<Core>(std::move(replica), disk, transport, log, std::move(options));
  if (!core->prepare_failures(why) || !core->recover(why)) {
    return nullptr;
  }
  core->start();
  return std::unique_ptr<ReplicaHost>{new ReplicaHost{std::move(core)}};
}

ReplicaHost::ReplicaHost(std::unique_ptr<Core> core) : core_(std::move(core)) {}
ReplicaHost::~ReplicaHost() = default;

void ReplicaHost::submit(const Command& command, Done done) {
  core_->submit(command, std::move(done), ReplicaInbox::Wake::now);
}

void ReplicaHost::gather(const Command& command, Done done) {
  core_->submit(command, std::move(done), ReplicaInbox::Wake::later);
}

void ReplicaHost::begin() {
  core_->begin();
}

void ReplicaHost::change_members(const MemberChange& change, Done done) {
  core_->change_members(change, std::move(done));
}

MemberList ReplicaHost::members() const {
  return core_->members();
}

bool ReplicaHost::healthy() const {
  return core_->healthy();
}

void ReplicaHost::stop() {
  core_->stop();
}

const ReplicaCounts& ReplicaHost::counts() const {
  return core_->counts();
}

std::uint64_t ReplicaHost::syncs() const {
  return core_->syncs();
}

double ReplicaHost::gauge(std::size_t number) const {
  return core_->gauge(number);
}

}  // namespace kv::host
