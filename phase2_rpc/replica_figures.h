// What /metrics and /status say of a replica: requests and answers, journal, messages by peer, and
// the protocol's own gauges.
#pragma once

#include <vector>

#include "common/core/ids.h"
#include "common/host/figure.h"
#include "common/host/peer_transport.h"
#include "common/host/replica_host.h"

namespace kv::rpc {

/// Any thread. `gauges` are those that the host was started with.
void append_replica_figures(const host::ReplicaHost& host,
                            const std::vector<host::ReplicaGauge>& gauges,
                            const host::PeerTransport& transport, const std::vector<NodeId>& peers,
                            std::vector<host::Figure>& figures);

}  // namespace kv::rpc
