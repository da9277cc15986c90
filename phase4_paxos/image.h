// A replica's state on its way to another one: lent in pieces, asked for piece by piece.
//
// The receiver asks for a few pieces ahead and writes each one down before it asks for more, so
// it goes on where it stood after a crash of its own; the sender keeps the pieces that were asked
// for and not yet superseded by a later ask. If the sender was born again the image begins anew.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>

#include "common/core/bytes.h"
#include "common/core/ids.h"
#include "common/core/time.h"
#include "common/kv/state_machine.h"
#include "phase4_paxos/ballot.h"
#include "phase4_paxos/configuration.h"
#include "phase4_paxos/messages.h"
#include "phase4_paxos/parcel.h"

namespace kv::paxos {

/// The image that a learner lends to one other.
class LentImage {
 public:
  /// Freezes `machine`, which outlives this; `head` is piece 0.
  LentImage(StateMachine& machine, Slot applied, Bytes head, std::uint64_t id, NodeId to,
            Instant now);

  /// Piece `number`; nothing if it is no longer there, or there are fewer. Asking for one drops
  /// those before `kept_from`.
  const Bytes* piece(std::uint64_t number, std::uint64_t kept_from);

  std::uint64_t id() const { return id_; }
  NodeId to() const { return to_; }
  /// All up to here it shows.
  Slot applied() const { return applied_; }
  Instant asked_at() const { return asked_at_; }
  void asked(Instant now) { asked_at_ = now; }

 private:
  StateMachine& machine_;
  Slot applied_;
  std::uint64_t id_;
  NodeId to_;
  Instant asked_at_;
  std::deque<Bytes> pieces_;  // from first_ on
  std::uint64_t first_ = 0;
  bool complete_ = false;  // the last piece is made
};

/// An image that a learner takes in.
struct TakenImage {
  std::uint64_t id = 0;
  NodeId from;
  std::uint64_t next = 0;  // piece
  Slot applied;            // as its head says
  ParcelWindows parcels;
  Configurations configurations;
  std::unique_ptr<StateMachine> machine;
};

}  // namespace kv::paxos
