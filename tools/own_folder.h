// Where this program lies: the others of the house lie beside it.
#pragma once

#include <string>

namespace kv::tools {

/// The path of the program `name` in this program's own folder.
std::string beside_us(const std::string& name);

}  // namespace kv::tools
