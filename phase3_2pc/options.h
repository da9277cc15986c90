// What can be chosen about two-phase commit, and every limit and time-out with its name.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "common/core/ids.h"
#include "common/core/level.h"
#include "common/core/time.h"
#include "common/kv/store.h"
#include "phase3_2pc/lock_table.h"
#include "phase3_2pc/messages.h"
#include "phase3_2pc/outcomes.h"

namespace kv::two_phase {

/// What is taken to have become of a transaction that its coordinator knows nothing about.
enum class Presumed : std::uint8_t { abort, commit };

/// Sees what the protocol decides, as it decides it: what a test holds its invariants against. A
/// new life decides again what its records say. None of it may call back.
class Witness {
 public:
  virtual ~Witness() = default;
  /// Node `at` will treat `txn` so from now on.
  virtual void decided(NodeId at, const TxnId& txn, bool commit) = 0;
  /// The coordinator begins it.
  virtual void begun(const Transaction& transaction) = 0;
  /// Its commit record is on disk. May come more than once.
  virtual void committed(const TxnId& txn) = 0;
  /// Everyone has acknowledged: the coordinator forgets it.
  virtual void ended(const TxnId& txn) = 0;
  /// Something about `key` changed at node `at`: its lock or what stands there.
  virtual void touched(NodeId at, std::string_view key) = 0;
};

struct TwoPhaseOptions {
  std::uint64_t seed = 1;
  Level note_level = Level::info;  // below it no note is built
  Conflict conflict = Conflict::home;
  Presumed presumed = Presumed::abort;
  Witness* witness = nullptr;  // outlives the replica
  std::uint64_t hash_seed = Store::default_hash_seed;
  OutcomeBounds outcomes;

  // Times. A lost message is sent again after resend_after, then ever more rarely.
  Duration resend_after = std::chrono::milliseconds{30};
  Duration acknowledge_after = std::chrono::milliseconds{5};  // at most: see Outbox
  Duration gather_for = std::chrono::milliseconds{5};         // at most: see Coordinator
  Duration vote_patience = std::chrono::milliseconds{1000};   // then a transaction aborts
  Duration silence = std::chrono::milliseconds{1000};         // then updates are refused
  Duration inquire_after = std::chrono::milliseconds{60};     // without a decision; then repeatedly
  Duration forward_again_after = std::chrono::milliseconds{120};
  Duration pulse_every = std::chrono::milliseconds{250};
  Duration join_pulse_every = std::chrono::milliseconds{50};  // on a new disk
  Duration alarm_every = std::chrono::seconds{10};            // about one replica
  Duration retry_pause_max = std::chrono::milliseconds{4};  // after a lost conflict; doubles to 16x

  // All below the two seconds that our clients wait, so that they hear what is certain.
  Duration request_patience = std::chrono::milliseconds{1500};  // of an update, with all its tries
  Duration turn_min = std::chrono::milliseconds{150};           // what must be left of it to begin
  Duration forward_patience = std::chrono::milliseconds{1700};  // beyond the home's own patience
  Duration read_patience = std::chrono::milliseconds{1500};     // of a GET whose key is in doubt

  // Limits. What finds no room is refused as unavailable.
  std::size_t open_bytes_max = 4 * 1024 * 1024;  // of undecided transactions: then others wait
  std::size_t operations_max = 32 * 1024;        // updates at their coordinator, not yet decided
  std::size_t transactions_max = 64 * 1024;      // begun and not finished for everyone
  std::size_t forwards_max = 32 * 1024;          // updates that wait for their home
  std::size_t reads_waiting_max = 32 * 1024;     // GETs whose key is in doubt
};

}  // namespace kv::two_phase
