// Who belongs to the cluster of a replica, asked and changed over RPC: what `quintet ctl` calls.
#pragma once

#include "common/host/replica_host.h"
#include "common/kv/members.h"
#include "phase2_rpc/dispatcher.h"
#include "phase2_rpc/method.h"
#include "phase2_rpc/server_methods.h"

namespace kv::rpc {

/// The Reply is as kv::Members says: `unavailable` and `unknown` may be asked again,
/// `aborted` by an operator only.
inline constexpr Method<MemberChange, Reply> members_change{
    .id = 10, .name = "members.change", .safety = Safety::idempotent};
inline constexpr Method<Nothing, MemberList> members_list{
    .id = 11, .name = "members.list", .safety = Safety::idempotent};

/// Adds both; `host` outlives the calls. Who may change the members is who may be a peer.
void serve_members(Dispatcher& dispatcher, host::ReplicaHost& host, Callers callers);

}  // namespace kv::rpc
