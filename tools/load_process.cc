#include "tools/load_process.h"

#include <filesystem>
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

std::optional<std::chrono::nanoseconds> processor_time(std::uint64_t pid) {
  std::error_code failure;
  const std::filesystem::directory_iterator threads{"/proc/" + std::to_string(pid) + "/task",
                                                    failure};
  std::optional<std::chrono::nanoseconds> sum;
  for (const auto& thread : threads) {
    std::ifstream schedstat{thread.path() / "schedstat"};
    if (std::uint64_t running = 0; schedstat >> running) {
      sum = sum.value_or(std::chrono::nanoseconds{0}) + std::chrono::nanoseconds{running};
    }
  }
  return sum;
}

}  // namespace kv::load
