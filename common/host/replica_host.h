// Runs a Replica on real threads, disk and network, and is the front door's Service for it.
//
// One thread at a time works for the protocol: mostly one of the host's own, but whoever brings
// peers' messages or news from the disk, if nobody else does just then. It takes all that came in
// at once, lets the Replica make one batch of effects of it, hands the batch's records to the
// journal and sends at once what need not wait for them. The rest leaves when the journal says that
// these records are durable, in order, while the Replica already works on the next batch. So a lone
// command waits for nobody, and a crowd shares one sync. What a Replica sends to itself does not
// leave this thread.
//
// What cannot be taken in is refused at once, with the reason; what was taken in is answered
// within `patience`: unknown if the Replica had it by then, unavailable if not. When the disk is
// full, commands that change something are refused and the rest goes on; when the journal's reserve
// is used up as well, by what peers sent, everything is refused.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/core/ids.h"
#include "common/core/time.h"
#include "common/host/disk.h"
#include "common/host/flags.h"
#include "common/host/journal.h"
#include "common/host/log.h"
#include "common/host/peer_transport.h"
#include "common/host/replica_counts.h"
#include "common/kv/members.h"
#include "common/kv/replica.h"
#include "common/kv/service.h"

namespace kv::host {

/// A number that tells how a Replica stands.
struct ReplicaGauge {
  std::string name;  // as in `in_doubt`
  std::string help;
  std::function<double(const Replica&)> read;  // called on the protocol's thread
  /// After each step, so it is cheap; else once a second. For what somebody decides by at once.
  bool always_fresh = false;
};

/// start() and stop() from one thread, the rest from any.
class ReplicaHost final : public Service {
 public:
  struct Options {
    NodeId self{};                 // this replica's; must be given
    std::string owner;             // of the directory: see claim_directory(); empty: nobody asks
    std::string founders;          // of the cluster: see keep_founders(); empty: nobody asks
    std::string choices;           // see keep_choices(); empty: there are none
    std::string directory;         // of the journal and the snapshots
    std::uint64_t journal_id = 1;  // drawn by the caller; used if the directory is new
    Journal::Sync sync = Journal::Sync::always;
    std::uint64_t segment_bytes = 32 * 1024 * 1024;
    Duration patience = std::chrono::seconds{5};        // of a request, from submit() on
    Duration drain_patience = std::chrono::seconds{5};  // of stop()
    std::size_t requests_max = 64 * 1024;               // taken in and not answered
    std::size_t request_bytes_max = 64 * 1024 * 1024;   // taken in and not given to the Replica
    std::size_t message_bytes_max = 64 * 1024 * 1024;   // of peers, likewise; the rest is dropped
    std::uint64_t snapshot_every_bytes = 256 * 1024 * 1024;        // of records
    Duration snapshot_retry = std::chrono::seconds{10};            // after one that found no space
    Duration snapshot_ask_again = std::chrono::milliseconds{100};  // when the Replica said no
    Duration snapshot_late = std::chrono::seconds{10};  // it says no for so long: warn, each time
    Duration full_retry = std::chrono::seconds{1};      // how often a full disk is tried
    std::vector<ReplicaGauge> gauges;
    /// Whether a write could succeed as far as the protocol knows: it has a leader, say. Called on
    /// its thread. Empty: always.
    std::function<bool(const Replica&)> serving;
    /// Which roles of the Replica (kv::Roles) die and are born again, and when; `all` stands for
    /// all of `roles`. A role that died has what was made durable, and nothing else.
    std::vector<RoleFailure> failures;
    std::vector<std::string> roles;
    std::uint64_t failure_seed = 1;
    /// See Journal::Options.
    std::function<void(const std::string&)> fatal = die_of_disk;
  };

  /// The newest good snapshot, then the journal behind it, then start(). Nothing, and one line in
  /// `why` that says what is wrong and what to do, if acknowledged records may be lost, or the
  /// directory is in use; or roles are to fail that the Replica does not have. Disk, transport and
  /// log outlive the host.
  static std::unique_ptr<ReplicaHost> start(std::unique_ptr<Replica> replica, Disk& disk,
                                            PeerTransport& transport, Log& log, Options options,
                                            std::string& why);
  ~ReplicaHost() override;  // as stop()

  /// `done` runs on the thread that works, or during the call if the command is refused.
  void submit(const Command& command, Done done) override;
  /// Wakes nobody: begin() works for the Replica on the calling thread, if no other does.
  void gather(const Command& command, Done done) override;
  void begin() override;
  bool healthy() const override;

  /// Answered as a command is; bad_request if the Replica is no kv::Members. Whom it speaks to and
  /// hears then is what the transport is told, from the first turn on.
  void change_members(const MemberChange& change, Done done);
  /// As of about a second ago, or when something last happened; nobody, if it is no kv::Members.
  MemberList members() const;

  /// Takes in nothing more, answers what was taken in, waits until all records are durable. After
  /// drain_patience the rest is answered as if its own patience were over.
  void stop();

  /// What was done since the start; the log gets it too, once a second (`event=totals`).
  const ReplicaCounts& counts() const;
  std::uint64_t syncs() const;  // of the journal
  /// What Options::gauges[number] said last: about a second ago, or when something last happened.
  double gauge(std::size_t number) const;

 private:
  class Core;
  explicit ReplicaHost(std::unique_ptr<Core> core);
  std::unique_ptr<Core> core_;
};

}  // namespace kv::host
