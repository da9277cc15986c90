// One client of a recorded run: which operation comes next, and what is honestly known of it after
// all that happened on the way. Knows no socket and no clock.
//
// Every value written is unique, so that whoever reads it says who wrote it. An operation ends with
// the server's word; or as unknown, if it was sent and nobody said how it went; or as unavailable,
// if it never left. Once an attempt's outcome is open, a later attempt's refusal says nothing of
// it: only an answer that tells of an effect, or its absence, settles the operation.
#pragma once

#include <cstdint>
#include <string>

#include "common/core/random.h"
#include "common/sim/history.h"
#include "common/wire/line.h"
#include "tools/load_keys.h"

namespace kv::load {

struct TrialMix {
  std::string run;  // in every key, value and ID: no other run's are taken for ours
  std::uint64_t keys = 100;
  KeySkew skew = KeySkew::even;
  std::size_t value_bytes = 16;  // at least
  unsigned gets_percent = 50;
  unsigned deletes_percent = 0;
  unsigned swaps_percent = 0;  // the rest are puts
  bool with_ids = true;
  std::uint64_t seed = 1;
};

class Trial {
 public:
  Trial(const TrialMix& mix, std::uint64_t client);

  /// Draws the next operation; its call is `now`.
  void begin(sim::HistoryTime now);
  /// Instead: reads the key of that number.
  void begin_read(sim::HistoryTime now, std::uint64_t key);

  /// The request line, LF included: the same for each attempt.
  const std::string& line() const { return line_; }

  enum class Next : std::uint8_t { over, again };

  /// An answer came. What is no answer to this operation is left alone: nothing changes.
  Next answered(const wire::LineAnswer& answer);
  bool is_mine(const wire::LineAnswer& answer) const;

  /// An attempt ended without an answer; `sent`: some of it may have reached the server.
  Next attempt_failed(bool sent);

  /// No further attempt: settles what is known.
  void give_up();

  /// After over, or give_up(). `now` is when that was; unknown ones have no return.
  const sim::Operation& end(sim::HistoryTime now);

  /// As it stands in the request line and in the logs; empty without IDs.
  std::string id() const;
  Status result() const { return operation_.result; }

 private:
  void start(Verb verb, std::uint64_t key, sim::HistoryTime now);
  std::string unique_value();
  bool may_repeat() const { return mix_.with_ids || operation_.verb == Verb::get; }
  Next settle(Status status);

  const TrialMix mix_;
  const KeyDraw keys_;
  const std::uint64_t client_;
  Random random_;
  std::uint64_t sequence_ = 0;
  std::string last_value_;  // what a compare-and-set may hope for
  sim::Operation operation_;
  Origin origin_;
  std::string line_;
  bool open_ = false;  // an attempt was sent, and nobody said how it went
  bool settled_ = false;
};

}  // namespace kv::load
