#include "tools/roll_call.h"

#include <event2/http.h>

#include <algorithm>
#include <utility>

#include "common/core/check.h"
#include "tools/cluster.h"
#include "tools/replica_page.h"

namespace kv::cluster {
namespace {

constexpr Duration round_length = std::chrono::milliseconds{20};
constexpr Duration page_patience = std::chrono::seconds{1};

}  // namespace

RollCall::RollCall(sockets::EventLoop& loop, const Cluster& cluster)
    : loop_(loop),
      cluster_(cluster),
      round_(loop, [this] { ask_all(); }),
      patience_(loop, [this] { conclude(); }) {}

void RollCall::begin(const std::vector<NodeId>& nodes, Duration patience, Done done) {
  check(!done_ && !nodes.empty());
  done_ = std::move(done);
  for (const NodeId node : nodes) {
    awaited_.push_back({.node = node});
  }
  patience_.arm(patience);
  ask_all();
}

void RollCall::end() {
  done_ = {};
  awaited_.clear();
  round_.disarm();
  patience_.disarm();
}

void RollCall::ask_all() {
  for (Awaited& each : awaited_) {
    if (!std::exchange(each.asked, true)) {
      const NodeId node = each.node;
      ask_page(loop_, cluster_.replica(node), "/healthz", page_patience,
               [this, node](int status, const std::string&) { on_page(node, status); });
    }
  }
  round_.arm(round_length);
}

void RollCall::on_page(NodeId node, int status) {
  const auto found = std::ranges::find(awaited_, node, &Awaited::node);
  if (found == awaited_.end()) {
    return;
  }
  found->asked = false;
  if (status == HTTP_OK) {
    awaited_.erase(found);
  }
  if (awaited_.empty()) {
    conclude();
  }
}

void RollCall::conclude() {
  std::vector<NodeId> silent;
  for (const Awaited& each : awaited_) {
    silent.push_back(each.node);
  }
  const Done done = std::exchange(done_, {});
  end();
  done(silent);
}

}  // namespace kv::cluster
