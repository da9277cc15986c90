// What every server's process needs before it serves: signals that can be waited for, descriptors
// for its clients, a seed.
#pragma once

#include <csignal>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace kv::host {

/// SIGTERM, SIGINT and SIGHUP (its terminal went), blocked in this thread and all it starts, so
/// that they come to wait(). Made before the first thread. A closed connection is told by write(),
/// not by SIGPIPE.
class EndSignals {
 public:
  EndSignals();
  EndSignals(const EndSignals&) = delete;
  EndSignals& operator=(const EndSignals&) = delete;

  /// Returns when the process is asked to end, and by which signal.
  int wait() const;

 private:
  sigset_t signals_{};
};

/// Opens the standard descriptors that were closed at the start on /dev/null: else the first socket
/// or the log would become one of them, and be printed to.
void open_standard_descriptors();

/// Prints the `ready …` line. False, and a reason in `why`, if nobody can have read it: whoever
/// waits for it would wait for ever.
bool say_ready(std::string_view line, std::string& why);

/// To the hard limit: every client is a descriptor, and the soft limit is often too low for them by
/// habit alone.
void raise_descriptor_limit();

/// The seed that was given, or one drawn from the system.
std::uint64_t seed_or_drawn(const std::optional<std::uint64_t>& given);

}  // namespace kv::host
