// `quintet check`: whether histories are linearizable.
#pragma once

#include <string>
#include <vector>

#include "common/sim/linearizability.h"

namespace kv::tools {

/// Checks the histories in `files` as one: times must be of one clock. What is to be said is
/// appended to `output`, or to `error` if a file cannot be read. Exit codes: 0 linearizable, 1 not
/// (and the smallest offending piece in `output`), 2 cannot tell.
int check_files(const std::vector<std::string>& files, const sim::CheckLimits& limits,
                std::string& output, std::string& error);

/// As check_files(), on standard output and error. A wrong flag exits 2 too.
int check_command(int argc, const char* const* argv);

}  // namespace kv::tools
