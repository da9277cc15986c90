// The least that a durable, replicated write can take on this machine, in the same run as what is
// held against it: one round trip over loopback between two threads that wait in recv(), on the
// same core or each on its own; and one append to a preallocated file with its fdatasync, alone and
// while as many others as a cluster has replicas do the same.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/socket.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "common/core/bytes.h"
#include "common/host/descriptor.h"
#include "common/host/disk.h"
#include "common/host/flags.h"
#include "tools/load_histogram.h"
#include "tools/load_json.h"
#include "tools/load_pacer.h"
#include "tools/load_socket.h"

namespace {

using kv::Bytes;
using kv::host::Descriptor;
using kv::host::Disk;
using kv::host::File;
using kv::load::Clock;
using kv::load::Histogram;

constexpr std::uint64_t file_bytes = 8 * 1024 * 1024;

[[noreturn]] void give_up(const std::string& why) {
  std::fprintf(stderr, "bench_floor: %s\n", why.c_str());
  std::exit(EXIT_FAILURE);
}

void must(std::error_code error, const char* what) {
  if (error) {
    give_up(std::string{what} + ": " + error.message());
  }
}

bool send_whole(int socket, const Bytes& bytes) {
  return send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
         static_cast<ssize_t>(bytes.size());
}

bool receive_whole(int socket, Bytes& bytes) {
  return recv(socket, bytes.data(), bytes.size(), MSG_WAITALL) ==
         static_cast<ssize_t>(bytes.size());
}

struct Pair {
  Descriptor near;
  Descriptor far;
};

void without_delay(const Descriptor& socket) {
  const int on = 1;
  setsockopt(socket.number(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

Pair connected_pair() {
  const Descriptor listener{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  sockaddr_in any{};
  any.sin_family = AF_INET;
  any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof any;
  auto* const address = reinterpret_cast<sockaddr*>(&any);
  Pair pair{Descriptor{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)}, Descriptor{}};
  if (bind(listener.number(), address, length) != 0 || listen(listener.number(), 1) != 0 ||
      getsockname(listener.number(), address, &length) != 0 ||
      connect(pair.near.number(), address, length) != 0) {
    give_up(kv::load::errno_text("cannot connect over loopback"));
  }
  pair.far = Descriptor{accept(listener.number(), nullptr, nullptr)};
  without_delay(pair.near);
  without_delay(pair.far);
  return pair;
}

/// The calling thread's only core from now on, of those that the process may use; the `index`-th,
/// or the last.
void stay_on_core(int index) {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) {
    give_up(kv::load::errno_text("cannot ask for the cores"));
  }
  cpu_set_t one;
  CPU_ZERO(&one);
  for (int core = 0, seen = 0; core < CPU_SETSIZE && seen <= index; ++core) {
    if (CPU_ISSET(core, &allowed)) {
      CPU_ZERO(&one);
      CPU_SET(core, &one);
      ++seen;
    }
  }
  if (sched_setaffinity(0, sizeof one, &one) != 0) {
    give_up(kv::load::errno_text("cannot stay on a core"));
  }
}

void time_round_trips(const Pair& pair, std::uint64_t times, std::size_t bytes, Histogram& taken) {
  Bytes message(bytes, 'x');
  for (std::uint64_t i = 0; i < times; ++i) {
    const auto begun = Clock::now();
    if (!send_whole(pair.near.number(), message) || !receive_whole(pair.near.number(), message)) {
      give_up(kv::load::errno_text("a round trip failed"));
    }
    taken.record(Clock::now() - begun);
  }
}

/// Between a thread on the first core and one on the `far_core`-th.
Histogram round_trips(std::uint64_t times, std::size_t bytes, int far_core) {
  const Pair pair = connected_pair();
  std::thread echo{[&pair, bytes, far_core] {
    stay_on_core(far_core);
    Bytes message(bytes, '\0');
    while (receive_whole(pair.far.number(), message) && send_whole(pair.far.number(), message)) {
    }
  }};
  Histogram taken;
  std::thread near{[&] {
    stay_on_core(0);
    time_round_trips(pair, times, bytes, taken);
  }};
  near.join();
  shutdown(pair.near.number(), SHUT_RDWR);
  echo.join();
  return taken;
}

Histogram syncs(const std::string& path, std::uint64_t times, std::size_t bytes) {
  kv::host::SystemDisk disk;
  std::unique_ptr<File> file;
  must(disk.open(path, Disk::Open::create, file), "cannot make a file");
  must(file->reserve(file_bytes), "cannot reserve");
  const Bytes zeros(file_bytes, '\0');
  must(file->write_at(0, zeros), "cannot write");
  must(file->sync(), "cannot sync");
  Histogram taken;
  const Bytes record(bytes, 'x');
  for (std::uint64_t i = 0; i < times; ++i) {
    const auto begun = Clock::now();
    must(file->write_at(i * bytes % (file_bytes - bytes), record), "cannot write");
    must(file->sync(), "cannot sync");
    taken.record(Clock::now() - begun);
  }
  file.reset();
  std::error_code failure;
  std::filesystem::remove(path, failure);
  return taken;
}

/// One of `writers` that all append and sync at once, each in a file of its own.
Histogram syncs_at_once(const std::string& directory, std::uint64_t times, std::size_t bytes,
                        std::size_t writers) {
  std::vector<Histogram> taken(writers);
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < writers; ++i) {
    threads.emplace_back([&, i] {
      taken[i] = syncs(directory + "/bench_floor." + std::to_string(i) + ".tmp", times, bytes);
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  return taken.front();
}

double microseconds(kv::load::Nanoseconds time) {
  return static_cast<double>(time.count()) * 1e-3;
}

}  // namespace

int main(int argc, char** argv) {
  std::string directory = ".";
  std::uint64_t times = 2000;
  std::uint64_t bytes = 128;
  std::uint64_t writers = 5;
  kv::host::Flags flags{"bench_floor", "Times a loopback round trip, and an append with its sync."};
  flags.add("--dir", directory, "where the file is made, and removed", "DIR");
  flags.add("--times", times, {1, 1'000'000}, "how often each");
  flags.add("--bytes", bytes, {1, 65'536}, "of each message and each append");
  flags.add("--writers", writers, {1, 64}, "that sync at once, for the last figure");
  if (const auto exit_code = flags.parse(argc, argv)) {
    return *exit_code;
  }
  const Histogram near = round_trips(times, bytes, 0);
  const Histogram far = round_trips(times, bytes, 1);
  const Histogram alone = syncs_at_once(directory, times, bytes, 1);
  const Histogram together = syncs_at_once(directory, times, bytes, writers);
  kv::load::Json json;
  json.add("round_trip_us", microseconds(far.quantile(0.5)));
  json.add("round_trip_p99_us", microseconds(far.quantile(0.99)));
  json.add("same_core_round_trip_us", microseconds(near.quantile(0.5)));
  json.add("sync_us", microseconds(alone.quantile(0.5)));
  json.add("sync_p99_us", microseconds(alone.quantile(0.99)));
  json.add("sync_at_once_us", microseconds(together.quantile(0.5)));
  std::printf("%s\n", json.text().c_str());
  return EXIT_SUCCESS;
}
