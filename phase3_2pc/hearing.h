// Whom this replica has heard of lately. An update needs every replica: one that would wait for a
// silent one is refused at once, and it is certain that it was not done.
#pragma once

#include <algorithm>
#include <map>
#include <set>
#include <vector>

#include "common/core/ids.h"
#include "common/core/time.h"

namespace kv::two_phase {

class Hearing {
 public:
  /// A peer is silent once nothing has come from it for `silence`; pulses come more often.
  Hearing(const std::vector<NodeId>& peers, Duration silence) : silence_(silence) {
    for (const NodeId peer : peers) {
      heard_[peer] = {};
    }
  }

  /// A life begins, and gives everybody the same time.
  void start(Instant now) {
    silent_.clear();
    for (auto& [peer, at] : heard_) {
      at = now;
    }
  }
  void on_heard(Instant now, NodeId from) {
    heard_[from] = now;
    silent_.erase(from);
  }
  /// It did not do what it should have: silent, until the next word of it.
  void suspect(NodeId peer) { silent_.insert(peer); }
  void tick(Instant now) {
    for (const auto& [peer, at] : heard_) {
      if (now - at >= silence_) {
        silent_.insert(peer);
      }
    }
  }

  const std::set<NodeId>& silent() const { return silent_; }

 private:
  Duration silence_;
  std::map<NodeId, Instant> heard_;
  std::set<NodeId> silent_;
};

}  // namespace kv::two_phase
