// A replica's server that writes down every input of its replica (--record), and gives them again
// to a new one (--replay).
#pragma once

#include <string>
#include <vector>

#include "phase2_rpc/replica_server.h"

namespace kv::rpc {

/// The same program, but each replica that it makes writes a recording of its life into `folder`:
/// nodeN-TIME.recording. What cannot be written is given up with one line on standard error; the
/// replica goes on. `arguments` are of the command line.
ReplicaProgram recording_program(ReplicaProgram program, std::string folder,
                                 std::vector<std::string> arguments);

struct ReplayFlags {
  std::string file;   // empty: serve
  std::string until;  // the ID of an operation
  bool trap = false;  // stop in the debugger just before that
};

/// Prints the replica's notes, each with its time of then. Exit codes: 0 every call was answered as
/// it was; 1 one was not, or the file is no recording of this program.
int replay_recording(const ReplicaProgram& program, const ReplayFlags& flags);

}  // namespace kv::rpc
