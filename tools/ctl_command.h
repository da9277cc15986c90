// `quintet ctl`: faults in a running cluster, by the socket in its folder.
#pragma once

namespace kv::tools {

/// Exit codes: 0 it was done; 1 it was not, or no cluster runs there; 2 a wrong flag.
int ctl_command(int argc, const char* const* argv);

}  // namespace kv::tools
