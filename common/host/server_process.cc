#include "common/host/server_process.h"

#include <fcntl.h>
#include <sys/resource.h>

#include <cerrno>
#include <random>

#include "common/host/standard_output.h"

namespace kv::host {

EndSignals::EndSignals() {
  std::signal(SIGPIPE, SIG_IGN);
  sigemptyset(&signals_);
  sigaddset(&signals_, SIGTERM);
  sigaddset(&signals_, SIGINT);
  sigaddset(&signals_, SIGHUP);
  ::pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
}

int EndSignals::wait() const {
  int signal = 0;
  ::sigwait(&signals_, &signal);
  return signal;
}

void open_standard_descriptors() {
  for (int number = 0; number <= 2; ++number) {
    if (::fcntl(number, F_GETFD) < 0 && errno == EBADF) {
      ::open("/dev/null", O_RDWR);  // takes the lowest that is free: this one
    }
  }
}

bool say_ready(std::string_view line, std::string& why) {
  return print_now(std::string{line} + "\n", why);
}

void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
}

std::uint64_t seed_or_drawn(const std::optional<std::uint64_t>& given) {
  if (given) {
    return *given;
  }
  std::random_device chance;
  return std::uint64_t{chance()} << 32 | chance();
}

}  // namespace kv::host
