// The boundary between a protocol and the world: a Replica is told things, and answers with
// Effects.
//
// A Replica does no I/O, reads no clock, starts no thread and draws no chance it was not seeded
// with, so the same calls always give the same effects. Two hosts drive it: host::ReplicaHost,
// with real sockets, timers and disk, and sim::Simulator, with none.
#pragma once

#include <string>
#include <vector>

#include "common/core/bytes.h"
#include "common/core/ids.h"
#include "common/core/level.h"
#include "common/core/time.h"
#include "common/kv/command.h"

namespace kv {

/// To itself (`to` is the sender): comes back through receive(), once, in order with the others of
/// its kind, when its step's records are durable (at once if not `after_records`). No network
/// loses, repeats or delays it, and no limit drops it; it dies with the process. So a protocol
/// learns that its own disk has something while it already tells others.
struct Send {
  NodeId to;
  Bytes message;
  bool after_records = true;  // false: nothing in it depends on this step's records
};

struct Answer {
  RequestId request;
  Reply reply;
};

/// A log line's fields, already in logfmt; the host adds time and node.
struct Note {
  Level level = Level::info;
  std::string fields;
};

/// What one or more steps of a Replica ask of the world. Every record reaches stable storage, in
/// this order, before any answer leaves, and before any send that is `after_records`.
struct Effects {
  std::vector<Bytes> records;
  std::vector<Send> sends;
  std::vector<Answer> answers;
  std::vector<Note> notes;

  void clear() {
    records.clear();
    sends.clear();
    answers.clear();
    notes.clear();
  }
  bool empty() const {
    return records.empty() && sends.empty() && answers.empty() && notes.empty();
  }
};

/// One copy of the store with its protocol. Used from one thread at a time.
///
/// A life begins with restore() of the newest snapshot's pieces, if there is one, then recover()
/// of every record after it, in order; then start(); then everything else, in any order.
///
/// A host gives all messages that have come, then all requests, and then calls tick() if wake_at()
/// is due; the effects of all that are one batch. So a protocol gathers in receive() and request(),
/// lets wake_at() be `now`, and makes one message a peer of it in tick(): a crowd shares it, and a
/// lone command waits for nobody. That is a matter of speed: it must be right in any other order,
/// and with a tick() in a batch of its own, as the simulator calls it.
class Replica {
 public:
  Replica() = default;
  Replica(const Replica&) = delete;
  Replica& operator=(const Replica&) = delete;
  virtual ~Replica() = default;

  virtual void restore(ByteView snapshot_piece) = 0;
  virtual void recover(ByteView record) = 0;
  virtual void start(Instant now, Effects& out) = 0;

  virtual void receive(Instant now, NodeId from, ByteView message, Effects& out) = 0;
  virtual void request(Instant now, RequestId id, const Command& command, Effects& out) = 0;
  virtual void tick(Instant now, Effects& out) = 0;
  /// Whether the disk has space; until told otherwise, it has. Without, records are taken out of a
  /// reserve, which is there to finish what was begun: once it is used up, nothing more becomes
  /// durable until there is space again. Clients' writes are refused by the host meanwhile.
  virtual void see_room(bool has_room) { static_cast<void>(has_room); }
  /// When tick() is next worth calling; `never` if nothing waits for time.
  virtual Instant wake_at() const = 0;

  /// Freezes an image of the state as it is now. It stands for every record given out before:
  /// once its last piece is durable, those records may go. Only one is open at a time. False, and
  /// nothing has changed: not now (say, a peer is being sent an image). The host asks again.
  virtual bool begin_snapshot() = 0;
  /// The next piece, at most about snapshot_piece_bytes_max long; empty when the last is out.
  /// Other calls may come in between: the image stays as it was at begin_snapshot().
  virtual Bytes next_snapshot_piece() = 0;

  /// Stops the process (check) if a property of the protocol does not hold.
  virtual void check_invariants() const = 0;
};

inline constexpr std::size_t snapshot_piece_bytes_max = 256 * 1024;

}  // namespace kv
