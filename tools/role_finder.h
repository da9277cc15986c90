// Who plays a role now (who is the leader?), asked of every replica's /status page.
//
// A page says so by a member such as "plays_leader": 1, or by "role": "leader". When two claim a
// role, as an old leader that is cut off and a new one may, the later term or round counts, if the
// pages say one ("raft_term", "paxos_round"); else the first to answer.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "common/core/ids.h"
#include "phase1_sockets/event_loop.h"
#include "tools/cluster.h"

namespace kv::cluster {

/// In which term or round the page says that its replica plays `role`, 0 if it says none; nothing:
/// it does not play it.
std::optional<double> claim_of(std::string_view json, std::string_view role);

/// Calls `found` once, when all have answered or `patience` has ended: with nobody (0) if no
/// replica says so.
void find_role(sockets::EventLoop& loop, const Cluster& cluster, const std::string& role,
               Duration patience, std::function<void(NodeId)> found);

}  // namespace kv::cluster
