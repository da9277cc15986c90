// Who plays a role now (who is the leader?), asked of every replica's /status page.
//
// A page says so by a member such as "plays_leader": 1, or by "role": "leader". When two claim a
// role, as an old leader and a new one may for a moment, the first to answer is taken.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "common/core/ids.h"
#include "phase1_sockets/event_loop.h"
#include "tools/cluster.h"

namespace kv::cluster {

/// Whether the page says that its replica plays `role`.
bool page_says(std::string_view json, std::string_view role);

/// Calls `found` once: with nobody (0) if no replica answers so within `patience`.
void find_role(sockets::EventLoop& loop, const Cluster& cluster, const std::string& role,
               Duration patience, std::function<void(NodeId)> found);

}  // namespace kv::cluster
