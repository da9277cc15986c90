// `quintet cluster`: runs the replicas of a phase as processes, in the foreground.
#pragma once

namespace kv::tools {

/// Exit codes: 0 it was stopped (SIGINT, SIGTERM, `quintet ctl stop`); 1 it could not run; 2 a
/// wrong flag, of its own or of the server's.
int cluster_command(int argc, const char* const* argv);

}  // namespace kv::tools
