#include "tools/load_memory.h"

#include <fstream>
#include <string>

namespace kv::load {

std::optional<std::uint64_t> resident_bytes(std::uint64_t pid) {
  std::ifstream status{"/proc/" + std::to_string(pid) + "/status"};
  std::optional<std::uint64_t> bytes;
  for (std::string word; status >> word;) {
    std::uint64_t kibibytes = 0;
    if ((word == "RssAnon:" || word == "RssShmem:") && status >> kibibytes) {
      bytes = bytes.value_or(0) + kibibytes * 1024;
    }
  }
  return bytes;
}

}  // namespace kv::load
