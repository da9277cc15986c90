// What /metrics and /status say of RPC: calls by method and code, latencies, what is in flight,
// refused or too late.
#pragma once

#include <vector>

#include "common/host/figure.h"
#include "phase2_rpc/dispatcher.h"
#include "phase2_rpc/rpc_server.h"

namespace kv::rpc {

/// Any thread.
void append_figures(const Dispatcher& dispatcher, const RpcServer& server,
                    std::vector<host::Figure>& figures);

}  // namespace kv::rpc
