// `quintet bench`: puts load on a server, of ours or of others, and prints what came of it as one
// JSON object.
#pragma once

#include <string>

#include "tools/load_run.h"

namespace kv::tools {

/// The object that is printed: what was run and what it came to. One line, without its end.
std::string to_json(const load::Plan& plan, const load::Outcome& outcome);

/// Exit codes: 0 the run took place, whatever the server answered; 1 it could not; 2 a wrong flag.
int bench_command(int argc, const char* const* argv);

}  // namespace kv::tools
