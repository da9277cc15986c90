// A page of a replica's HTTP door, asked for without waiting.
#pragma once

#include <functional>
#include <string>

#include "phase1_sockets/event_loop.h"
#include "tools/replica_process.h"

namespace kv::cluster {

/// An HTTP status and the body; no_page if there was none within the patience.
using OnPage = std::function<void(int status, const std::string& body)>;
inline constexpr int no_page = 0;

/// Calls `answered` once: at once if the replica is not ready or has no such door.
void ask_page(sockets::EventLoop& loop, const ReplicaProcess& replica, const char* path,
              Duration patience, OnPage answered);

}  // namespace kv::cluster
