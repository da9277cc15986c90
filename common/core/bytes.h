// Bytes: what goes onto a wire or a disk. A string holds them: short ones need no allocation.
#pragma once

#include <string>
#include <string_view>

namespace kv {

using Bytes = std::string;
using ByteView = std::string_view;

}  // namespace kv
