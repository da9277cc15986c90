// How long nobody can write after a server was killed: kills it, and asks all the others again and
// again, each over two connections, until one of them has done a write that was asked for since.
//
// A write that a server holds on to counts as soon as it is done; one without an answer is given
// up after `--patience` and asked again, for it may have gone to the dead.
#include <sys/socket.h>
#include <sys/time.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "common/host/flags.h"
#include "tools/etcd_calls.h"
#include "tools/load_json.h"
#include "tools/load_pacer.h"
#include "tools/load_socket.h"

namespace {

using namespace std::chrono_literals;
using kv::Bytes;
using kv::ByteView;
using kv::host::SocketAddress;
using kv::load::Clock;
using kv::load::Descriptor;
using kv::load::EtcdCalls;

constexpr auto pause_after_refusal = 2ms;
constexpr auto give_up_after = 30s;
constexpr unsigned askers_per_server = 2;

struct Plan {
  std::string dialect = "line";
  kv::load::Target target;
  std::uint64_t victim = 0;
  kv::Duration patience = 100ms;
};

[[noreturn]] void give_up(const std::string& why) {
  std::fprintf(stderr, "bench_first_write: %s\n", why.c_str());
  std::exit(EXIT_FAILURE);
}

bool send_whole(int socket, ByteView bytes) {
  return send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
         static_cast<ssize_t>(bytes.size());
}

/// What came next; empty when patience, or the connection, ended.
ByteView receive_some(int socket, std::array<char, 4096>& room) {
  const ssize_t got = recv(socket, room.data(), room.size(), 0);
  return {room.data(), got > 0 ? static_cast<std::size_t>(got) : 0};
}

bool line_writes(int socket) {
  Bytes answer;
  std::array<char, 4096> room;
  if (!send_whole(socket, "PUT first-write done\n")) {
    return false;
  }
  while (answer.find('\n') == Bytes::npos) {
    const ByteView some = receive_some(socket, room);
    if (some.empty()) {
      return false;
    }
    answer += some;
  }
  return answer == "OK\n";
}

bool etcd_writes(int socket) {
  EtcdCalls calls{"127.0.0.1"};
  calls.put("first-write", "done");
  std::vector<EtcdCalls::Answer> answers;
  std::array<char, 4096> room;
  while (answers.empty()) {
    if (!send_whole(socket, calls.output())) {
      return false;
    }
    calls.output().clear();
    const ByteView some = receive_some(socket, room);
    if (some.empty() || !calls.receive(some, answers)) {
      return false;
    }
  }
  return answers.front().answered;
}

/// A socket that waits, but not longer than `patience` for any one thing.
Descriptor open_socket(const SocketAddress& address, kv::Duration patience) {
  Descriptor socket{::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0)};
  const auto whole = std::chrono::duration_cast<std::chrono::seconds>(patience);
  const timeval limit{.tv_sec = whole.count(), .tv_usec = (patience - whole).count()};
  setsockopt(socket.number(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  setsockopt(socket.number(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  if (connect(socket.number(), address.get(), address.length) != 0) {
    socket.close();
  }
  return socket;
}

class FirstWrite {
 public:
  FirstWrite(const Plan& plan, std::vector<SocketAddress> addresses)
      : plan_(plan), addresses_(std::move(addresses)) {}

  /// Since the kill.
  kv::load::Nanoseconds await() {
    begun_ = Clock::now();
    if (plan_.victim != 0 && kill(static_cast<pid_t>(plan_.victim), SIGKILL) != 0) {
      give_up(kv::load::errno_text("cannot kill " + std::to_string(plan_.victim)));
    }
    std::vector<std::jthread> askers;
    for (unsigned i = 0; i < askers_per_server; ++i) {
      for (const SocketAddress& address : addresses_) {
        askers.emplace_back([this, &address, i] { ask(address, i); });
      }
    }
    askers.clear();  // joins
    return kv::load::Nanoseconds{taken_.load()};
  }

 private:
  void ask(const SocketAddress& address, unsigned order) {
    // The askers of one server take turns: one has always just asked anew.
    std::this_thread::sleep_for(order * plan_.patience / askers_per_server);
    while (taken_.load() == 0 && Clock::now() - begun_ < give_up_after) {
      const Descriptor socket = open_socket(address, plan_.patience);
      const bool done = socket.open() && (plan_.dialect == "etcd" ? etcd_writes(socket.number())
                                                                  : line_writes(socket.number()));
      if (done) {
        kv::load::Nanoseconds::rep none = 0;
        taken_.compare_exchange_strong(none, (Clock::now() - begun_).count());
      } else {
        std::this_thread::sleep_for(pause_after_refusal);
      }
    }
  }

  const Plan& plan_;
  std::vector<SocketAddress> addresses_;
  kv::load::Moment begun_;
  std::atomic<kv::load::Nanoseconds::rep> taken_{0};  // the first success; 0: none yet
};

}  // namespace

int main(int argc, char** argv) {
  Plan plan;
  kv::host::Flags flags{"bench_first_write",
                        "Kills a server, and tells when the others have done a write since."};
  flags.add_choice("--dialect", plan.dialect, {"line", "etcd"}, "how they are asked");
  flags.add("--kill", plan.victim, {0, INT32_MAX}, "the process to kill; 0: none");
  flags.add("--patience", plan.patience, "then a write without an answer is asked again");
  flags.add_positional("ADDRESSES", plan.target.endpoints, "who stays");
  if (const auto exit_code = flags.parse(argc, argv)) {
    return *exit_code;
  }
  std::vector<SocketAddress> addresses;
  std::string why;
  if (!kv::load::resolve_all(plan.target, addresses, why)) {
    give_up(why);
  }
  FirstWrite first_write{plan, std::move(addresses)};
  const auto taken = first_write.await();
  if (taken.count() == 0) {
    give_up("nobody did a write within 30 s");
  }
  kv::load::Json json;
  json.add("first_write_ms", static_cast<double>(taken.count()) * 1e-6);
  std::printf("%s\n", json.text().c_str());
  return EXIT_SUCCESS;
}
