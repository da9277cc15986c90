// What can be said to `quintet ctl`: the verbs, and how many words each takes.
#pragma once

#include <string>
#include <vector>

namespace kv::tools {

/// The empty string, or what is wrong with these words as far as the words alone tell; whether
/// there is such a node, the cluster knows. `cut 1 to 2`, `for 2s slow 1 2 delay=20ms`.
std::string wrong_with(const std::vector<std::string>& words);

/// All verbs with their shapes, for --help.
std::string list_of_verbs();

}  // namespace kv::tools
