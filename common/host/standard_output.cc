#include "common/host/standard_output.h"

#include <stdio_ext.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace kv::host {
namespace {

/// It is told once: what cannot be written is not tried again.
void forget_lost_output() {
  ::__fpurge(stdout);
  std::clearerr(stdout);
}

}  // namespace

std::string why_output_lost(int error) {
  const std::string why = "cannot write to standard output";
  return error == 0 ? why : why + ": " + std::strerror(error);
}

bool print_now(std::string_view text, std::string& why) {
  errno = 0;
  if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0) {
    return true;
  }
  why = why_output_lost(errno);
  forget_lost_output();
  return false;
}

int exit_when_printed(const std::string& program, int exit_code, int exit_lost) {
  const bool lost_before = std::ferror(stdout) != 0;
  errno = 0;
  const bool lost_now = std::fflush(stdout) != 0;
  if (!lost_before && !lost_now) {
    return exit_code;
  }
  const std::string why = why_output_lost(lost_now ? errno : 0);
  std::fprintf(stderr, "%s: %s\n", program.c_str(), why.c_str());
  forget_lost_output();
  return exit_code == 0 ? exit_lost : exit_code;
}

}  // namespace kv::host
