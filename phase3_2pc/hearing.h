// Whom this replica has heard of lately, and whose disk is full. An update needs every replica's
// promise: one that would wait for a silent one, or that one without room would not promise, is
// refused at once, and it is certain that it was not done.
#pragma once

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "common/core/ids.h"
#include "common/core/time.h"

namespace kv::two_phase {

inline std::string full_disk_of(NodeId node) {
  return "the disk of replica " + std::to_string(node.value) + " is full";
}

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
    full_.clear();
    for (auto& [peer, at] : heard_) {
      at = now;
    }
  }
  void on_heard(Instant now, NodeId from) {
    heard_[from] = now;
    silent_.erase(from);
  }
  /// The disk of `node`, this replica's own too, has room or is full.
  void see_room(NodeId node, bool has_room) {
    if (has_room) {
      full_.erase(node);
    } else {
      full_.insert(node);
    }
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

  /// Why an update that begins now would wait for a promise in vain; empty: it would not.
  std::string why_in_vain() const {
    if (!silent_.empty()) {
      return "replica " + std::to_string(silent_.begin()->value) + " does not answer";
    }
    return full_.empty() ? "" : full_disk_of(*full_.begin());
  }

  const std::set<NodeId>& silent() const { return silent_; }
  const std::set<NodeId>& full() const { return full_; }

 private:
  Duration silence_;
  std::map<NodeId, Instant> heard_;
  std::set<NodeId> silent_;
  std::set<NodeId> full_;
};

}  // namespace kv::two_phase
