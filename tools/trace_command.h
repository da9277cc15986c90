// `quintet trace`: one operation's way through every node.
#pragma once

namespace kv::tools {

/// Exit codes: 0 its way is shown; 1 no line tells of it; 2 a wrong flag.
int trace_command(int argc, const char* const* argv);

}  // namespace kv::tools
