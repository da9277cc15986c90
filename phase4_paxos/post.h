// Where a role puts what it says: to roles of other replicas, to those of its own, to its journal
// and to the log.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <utility>

#include "common/core/ids.h"
#include "common/core/level.h"
#include "common/kv/replica.h"

namespace kv::paxos {

enum class Leaves : std::uint8_t {
  at_once,        // nothing in it depends on this step's records
  after_records,  // it reveals what must outlive a crash
};

class Post {
 public:
  Post(NodeId self, Level note_level) : self_(self), note_level_(note_level) {}

  /// From here on everything goes into `out`.
  void begin(Effects& out) { out_ = &out; }

  NodeId self() const { return self_; }

  /// To oneself, at once: waits in a queue of this replica's own, see next_local(). After the
  /// records: whoever drives this replica gives it back when they are durable.
  void send(NodeId to, Bytes message, Leaves leaves) {
    if (to == self_ && leaves == Leaves::at_once) {
      local_.push_back(std::move(message));
    } else {
      out_->sends.push_back({to, std::move(message), leaves == Leaves::after_records});
    }
  }

  void record(Bytes record) { out_->records.push_back(std::move(record)); }
  void answer(RequestId request, Reply reply) {
    out_->answers.push_back({request, std::move(reply)});
  }

  /// Whether a line of this level is wanted: building one takes time.
  bool notes(Level level) const { return level >= note_level_; }
  void note(Level level, std::string fields) {
    if (notes(level)) {
      out_->notes.push_back({level, std::move(fields)});
    }
  }

  std::optional<Bytes> next_local() {
    if (local_.empty()) {
      return std::nullopt;
    }
    Bytes message = std::move(local_.front());
    local_.pop_front();
    return message;
  }

 private:
  const NodeId self_;
  const Level note_level_;
  Effects* out_ = nullptr;
  std::deque<Bytes> local_;
};

}  // namespace kv::paxos
