#include "common/host/server_process.h"

#include <sys/resource.h>

#include <random>

namespace kv::host {

EndSignals::EndSignals() {
  std::signal(SIGPIPE, SIG_IGN);
  sigemptyset(&signals_);
  sigaddset(&signals_, SIGTERM);
  sigaddset(&signals_, SIGINT);
  ::pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
}

int EndSignals::wait() const {
  int signal = 0;
  ::sigwait(&signals_, &signal);
  return signal;
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
