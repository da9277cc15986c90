// What all parts of a run share: virtual time, the queue of events, chance, what is on its way,
// and the record of what happened.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/core/bytes.h"
#include "common/core/level.h"
#include "common/core/random.h"
#include "common/kv/command.h"
#include "common/kv/replica.h"
#include "common/sim/event_queue.h"
#include "common/sim/network.h"
#include "common/sim/scenario.h"

namespace kv::sim {

/// A property that did not hold.
struct Violation {
  std::string invariant;  // its name, snake_case
  std::string detail;

  bool operator==(const Violation&) const = default;
};

/// Where the lines go that nodes note: a run's log. Node 0 is the simulator itself.
class NoteSink {
 public:
  virtual ~NoteSink() = default;
  virtual void line(Instant at, NodeId node, Level level, std::string_view fields) = 0;
};

/// What happened how often.
struct Counts {
  std::uint64_t steps = 0;  // events
  std::uint64_t calls = 0;  // of a replica; its invariants are checked after each
  std::uint64_t messages = 0;
  std::uint64_t messages_lost = 0;
  std::uint64_t messages_repeated = 0;
  std::uint64_t flips_caught = 0;
  std::uint64_t requests = 0;
  std::uint64_t broken_connections = 0;
  std::uint64_t records = 0;
  std::uint64_t syncs = 0;
  std::uint64_t snapshots = 0;
  std::uint64_t snapshots_put_off = 0;  // the replica said: not now
  std::uint64_t crashes = 0;
  std::uint64_t torn_tails = 0;
  std::uint64_t refused_starts = 0;
  std::uint64_t operations = 0;
  std::uint64_t operations_unknown = 0;
  std::uint64_t histories_not_judged = 0;  // the checker could not tell

  bool operator==(const Counts&) const = default;
  static void fields(auto& self, auto& visit) {
    visit("steps", self.steps);
    visit("calls", self.calls);
    visit("messages", self.messages);
    visit("messages_lost", self.messages_lost);
    visit("messages_repeated", self.messages_repeated);
    visit("flips_caught", self.flips_caught);
    visit("requests", self.requests);
    visit("broken_connections", self.broken_connections);
    visit("records", self.records);
    visit("syncs", self.syncs);
    visit("snapshots", self.snapshots);
    visit("snapshots_put_off", self.snapshots_put_off);
    visit("crashes", self.crashes);
    visit("torn_tails", self.torn_tails);
    visit("refused_starts", self.refused_starts);
    visit("operations", self.operations);
    visit("operations_unknown", self.operations_unknown);
    visit("histories_not_judged", self.histories_not_judged);
  }
};

/// Things on their way, reused: their strings keep their capacity.
template <typename T>
class Pool {
 public:
  std::uint32_t take() {
    if (free_.empty()) {
      items_.emplace_back();
      return static_cast<std::uint32_t>(items_.size() - 1);
    }
    const std::uint32_t item = free_.back();
    free_.pop_back();
    return item;
  }
  void give(std::uint32_t item) { free_.push_back(item); }
  T& operator[](std::uint32_t item) { return items_[item]; }

 private:
  std::deque<T> items_;  // does not move what it holds
  std::vector<std::uint32_t> free_;
};

/// A message on its way: the bytes of its frame.
struct Envelope {
  Bytes frame;
  bool flipped = false;
  bool own = false;  // of a node to itself
};

/// A client's request on its way to a front door.
struct Ask {
  RequestId id;
  Command command;
};

/// An answer on its way to a client.
struct Told {
  RequestId id;
  Reply reply;
};

/// A request's id says whose it is: the client's number above, its count of requests below.
inline constexpr unsigned request_client_shift = 40;
constexpr std::uint32_t client_of(RequestId id) {
  return static_cast<std::uint32_t>(id.value >> request_client_shift);
}

class World {
 public:
  World(const Scenario& scenario, std::uint64_t seed, NoteSink* notes);
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  Instant now() const { return now_; }
  /// A generator for one part of the run, so that one part's draws do not shift another's.
  Random random_for(std::string_view part, std::uint64_t number) const;

  void after(Duration delay, Event event);
  /// Takes the next event and moves time to it; nothing if none comes up to `end`.
  std::optional<Event> next(Instant end);

  /// A message leaves: it becomes the bytes of a frame, and the network decides what comes of it.
  void send(NodeId from, const Send& send);
  /// A message of a node to itself, which no network touches: the envelope it is in.
  std::uint32_t enclose(NodeId self, const Send& send);
  void answer(const Answer& answer);
  /// A client's request leaves for the front door of `to`.
  void ask(NodeId to, RequestId id, const Command& command);

  void note(NodeId node, Level level, std::string_view fields);
  /// A line that only watchers cause: no part of the fingerprint.
  void trace(NodeId node, Level level, std::string_view fields);
  bool noting() const { return notes_ != nullptr; }

  /// The first violation ends the run; later ones are its consequences.
  void fail(std::string_view invariant, std::string detail);
  const std::optional<Violation>& violation() const { return violation_; }

  /// Everything that happens is folded into the fingerprint: two runs are the same or differ here.
  void witness(std::uint64_t word) {
    fingerprint_ = (fingerprint_ ^ word) * 0x9e3779b97f4a7c15 + 1;
  }
  void witness(ByteView bytes);
  std::uint64_t fingerprint() const { return fingerprint_; }

  Network network;
  Pool<Envelope> envelopes;
  Pool<Ask> asks;
  Pool<Told> tells;
  Counts counts;

 private:
  std::uint32_t enclose(NodeId from, const Send& send, std::uint64_t msg);
  void deliver(NodeId from, const Send& send, std::uint64_t msg, const Fate& fate);
  Duration door_delay();

  std::uint64_t seed_;
  NoteSink* notes_;
  Instant now_{};
  EventQueue queue_;
  Random random_;
  std::uint32_t nodes_;
  std::uint64_t fingerprint_ = 0;
  std::uint64_t last_msg_ = 0;
  std::optional<Violation> violation_;
};

}  // namespace kv::sim
