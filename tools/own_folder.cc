#include "tools/own_folder.h"

#include <unistd.h>

#include <algorithm>
#include <climits>

namespace kv::tools {

std::string beside_us(const std::string& name) {
  char path[PATH_MAX];
  const ssize_t length = ::readlink("/proc/self/exe", path, sizeof path);
  const std::string us{path, static_cast<std::size_t>(std::max<ssize_t>(length, 0))};
  return us.substr(0, us.rfind('/') + 1) + name;
}

}  // namespace kv::tools
