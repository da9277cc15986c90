// `quintet replay`: gives a recorded replica its inputs again.
#pragma once

namespace kv::tools {

/// Becomes the server that was recorded, with the flags that it had and --replay. Exit codes: the
/// server's (0 every call was answered as it was, 1 one was not); 1 the file is no recording; 2 a
/// wrong flag.
int replay_command(int argc, const char* const* argv);

}  // namespace kv::tools
