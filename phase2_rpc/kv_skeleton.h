// The store's methods on a dispatcher, before any Service: a store in this process or a replica of
// a cluster.
#pragma once

#include "common/kv/service.h"
#include "phase2_rpc/dispatcher.h"

namespace kv::rpc {

/// Adds kv.get, kv.put, kv.delete, kv.cas and kv.batch. A call's origin goes to the service, which
/// keeps exactly-once itself. Keys are held to what every dialect can name: 1 to key_bytes_max
/// bytes without white space and control bytes. `where` is for submit(); the service answers where
/// it likes. It outlives the dispatcher, and answers every command before the dispatcher ends.
void serve_service(Dispatcher& dispatcher, Service& service, Where where = Where::reading_thread);

}  // namespace kv::rpc
