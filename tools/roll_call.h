// Waits until each of some replicas has said once, on its /healthz page, that it can serve: a
// process that listens has not yet heard of its peers.
#pragma once

#include <functional>
#include <vector>

#include "common/core/ids.h"
#include "phase1_sockets/event_loop.h"

namespace kv::cluster {

class Cluster;

/// Used from its loop's thread. What was asked may be answered at any time until that ends.
class RollCall {
 public:
  /// Who has not said so.
  using Done = std::function<void(const std::vector<NodeId>& silent)>;

  RollCall(sockets::EventLoop& loop, const Cluster& cluster);
  RollCall(const RollCall&) = delete;
  RollCall& operator=(const RollCall&) = delete;

  /// Calls `done` once: when all of them have said so, or after `patience`.
  void begin(const std::vector<NodeId>& nodes, Duration patience, Done done);
  /// It is called no more.
  void end();

 private:
  struct Awaited {
    NodeId node;
    bool asked = false;  // and has not answered yet
  };

  void ask_all();
  void on_page(NodeId node, int status);
  void conclude();

  sockets::EventLoop& loop_;
  const Cluster& cluster_;
  sockets::Alarm round_;
  sockets::Alarm patience_;
  std::vector<Awaited> awaited_;
  Done done_;
};

}  // namespace kv::cluster
