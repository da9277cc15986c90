// Puts the load of `quintet bench` on etcd or ZooKeeper, and prints the same figures: closed-loop
// clients, each with one call under way, over connections of our own that cost less than the peers'
// libraries. A read is compared with what was put, as there.
#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/core/random.h"
#include "common/host/flags.h"
#include "tools/etcd_calls.h"
#include "tools/load_json.h"
#include "tools/load_outcome.h"
#include "tools/load_pacer.h"
#include "tools/load_socket.h"
#include "tools/load_usage.h"
#include "tools/load_workload.h"
#include "tools/zookeeper_calls.h"

namespace {

using namespace kv::load;
using kv::Bytes;
using kv::ByteView;

constexpr std::uint64_t clients_most = 20'000;
constexpr std::chrono::seconds patience{10};  // without any answer

struct Plan {
  Target target;
  std::string dialect = "etcd";
  std::uint64_t clients = 50;
  std::uint64_t connections = 0;  // 0: one a client
  std::uint64_t value_bytes = 64;
  std::uint64_t gets_percent = 50;
  std::uint64_t keys = 10'000;
  std::uint64_t seconds = 5;
  std::uint64_t requests_max = UINT64_MAX;
  bool no_fill = false;
};

[[noreturn]] void give_up(const std::string& why) {
  std::fprintf(stderr, "bench_peer: %s\n", why.c_str());
  std::exit(EXIT_FAILURE);
}

/// Over connections that speak as EtcdCalls does, or another with the same functions.
template <typename Calls>
class PeerLoad {
 public:
  explicit PeerLoad(const Plan& plan) : plan_(plan), epoll_(make_epoll()) {
    connect_all();
    clients_.resize(plan.clients);
    for (std::uint64_t i = 0; i < plan.clients; ++i) {
      clients_[i].link = links_[i % links_.size()].get();
    }
  }

  Outcome fill() { return play(plan_.keys, Moment::max(), /*filling=*/true); }
  Outcome run() {
    const Moment end = Clock::now() + std::chrono::seconds{plan_.seconds};
    return play(plan_.requests_max, end, /*filling=*/false);
  }

 private:
  struct Link {
    Descriptor socket;
    Calls calls;
    std::unordered_map<typename Calls::Stream, std::uint64_t> callers;  // client of each call
  };
  struct Client {
    Link* link = nullptr;
    std::uint64_t key = 0;
    bool gets = false;
    Moment begun;
  };

  void connect_all() {
    std::vector<kv::host::SocketAddress> addresses;
    std::string why;
    if (!epoll_.open() || !resolve_all(plan_.target, addresses, why)) {
      give_up(why.empty() ? errno_text("cannot make an epoll instance") : why);
    }
    for (std::uint64_t i = 0; i < (plan_.connections > 0 ? plan_.connections : plan_.clients);
         ++i) {
      const auto& address = addresses[i % addresses.size()];
      Descriptor socket = connect_socket(address, Transport::tcp, Waiting::yes, why);
      epoll_event event{.events = EPOLLIN, .data = {.u64 = i}};
      if (!socket.open() ||
          epoll_ctl(epoll_.number(), EPOLL_CTL_ADD, socket.number(), &event) != 0) {
        give_up(why.empty() ? errno_text("cannot watch a socket") : why);
      }
      links_.push_back(
          std::make_unique<Link>(Link{std::move(socket), Calls{kv::host::to_text(address)}, {}}));
    }
  }

  /// A value that depends on its key alone, so that every answer can be judged.
  Bytes value(std::uint64_t key) const {
    Bytes value = Workload::key(key);
    value.resize(plan_.value_bytes, static_cast<char>('a' + key % 26));
    return value;
  }

  Outcome play(std::uint64_t most, Moment end, bool filling) {
    outcome_ = {};
    left_ = most;
    end_ = end;
    filling_ = filling;
    const Moment begun = Clock::now();
    const double used = processor_seconds();
    for (std::uint64_t i = 0; i < clients_.size(); ++i) {
      start(i, begun);
    }
    for (const auto& link : links_) {
      send_all(*link);
    }
    while (under_way_ > 0) {
      wait();
    }
    outcome_.seconds = std::chrono::duration<double>(Clock::now() - begun).count();
    outcome_.busy = (processor_seconds() - used) / outcome_.seconds;
    return outcome_;
  }

  void start(std::uint64_t index, Moment now) {
    if (left_ == 0 || now >= end_) {
      return;
    }
    --left_;
    Client& client = clients_[index];
    client.key = filling_ ? left_ : random_.below(plan_.keys);
    client.gets = !filling_ && random_.below(100) < plan_.gets_percent;
    client.begun = now;
    Calls& calls = client.link->calls;
    const std::string key = Workload::key(client.key);
    const auto stream = client.gets ? calls.get(key) : calls.put(key, value(client.key));
    client.link->callers.emplace(stream, index);
    ++under_way_;
  }

  void wait() {
    std::array<epoll_event, 256> events;
    const int count = epoll_wait(epoll_.number(), events.data(), static_cast<int>(events.size()),
                                 static_cast<int>(std::chrono::milliseconds{patience}.count()));
    if (count == 0 || (count < 0 && errno != EINTR)) {
      give_up("no answer for " + std::to_string(patience.count()) + " s");
    }
    for (int i = 0; i < count; ++i) {
      receive(*links_[events[static_cast<std::size_t>(i)].data.u64]);
    }
  }

  void receive(Link& link) {
    const ssize_t got = recv(link.socket.number(), buffer_.data(), buffer_.size(), 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
      return;
    }
    answers_.clear();
    if (got <= 0 ||
        !link.calls.receive(ByteView{buffer_.data(), static_cast<std::size_t>(got)}, answers_)) {
      give_up("the server ended a connection");
    }
    const Moment now = Clock::now();
    for (const typename Calls::Answer& answer : answers_) {
      finish(link, answer, now);
    }
    send_all(link);
  }

  void finish(Link& link, const typename Calls::Answer& answer, Moment now) {
    const auto caller = link.callers.extract(answer.stream);
    Client& client = clients_[caller.mapped()];
    --under_way_;
    if (!answer.answered) {
      outcome_.count_error(1, "the server did not do it");
    } else if (client.gets && answer.value != value(client.key)) {
      outcome_.count_wrong_answer(answer.value, value(client.key));
    } else {
      ++outcome_.ops;
      outcome_.latency.record(now - client.begun);
    }
    start(caller.mapped(), now);
  }

  void send_all(Link& link) {
    Bytes& output = link.calls.output();
    ByteView rest = output;
    while (!rest.empty()) {
      const ssize_t sent = send(link.socket.number(), rest.data(), rest.size(), MSG_NOSIGNAL);
      if (sent < 0 && errno != EAGAIN && errno != EINTR) {
        give_up(errno_text("cannot send"));
      }
      // A full socket is not worth an event: flow control keeps what is under way below its size.
      rest.remove_prefix(sent < 0 ? 0 : static_cast<std::size_t>(sent));
    }
    output.clear();
  }

  const Plan& plan_;
  Descriptor epoll_;
  std::vector<std::unique_ptr<Link>> links_;
  std::vector<Client> clients_;
  std::vector<typename Calls::Answer> answers_;
  std::array<char, 64 * 1024> buffer_{};
  kv::Random random_{1};
  Outcome outcome_;
  std::uint64_t left_ = 0;
  Moment end_;
  bool filling_ = false;
  std::uint64_t under_way_ = 0;
};

double microseconds(Nanoseconds time) {
  return static_cast<double>(time.count()) * 1e-3;
}

void print(const Plan& plan, const Outcome& outcome) {
  Json json;
  json.add("target", plan.dialect).add("clients", plan.clients).add("value", plan.value_bytes);
  json.add("connections", plan.connections > 0 ? plan.connections : plan.clients);
  json.add("gets", plan.gets_percent).add("keys", plan.keys);
  json.add("seconds", outcome.seconds).add("ops", outcome.ops);
  json.add("ops_per_s", static_cast<double>(outcome.ops) / outcome.seconds);
  json.add("mean_us", microseconds(outcome.latency.mean()));
  json.add("p50_us", microseconds(outcome.latency.quantile(0.5)));
  json.add("p99_us", microseconds(outcome.latency.quantile(0.99)));
  json.add("p999_us", microseconds(outcome.latency.quantile(0.999)));
  json.add("max_us", microseconds(outcome.latency.max()));
  json.add("errors", outcome.errors).add("generator_busy", outcome.busy);
  std::printf("%s\n", json.text().c_str());
}

template <typename Calls>
Outcome play(const Plan& plan) {
  PeerLoad<Calls> load{plan};
  if (!plan.no_fill && load.fill().errors > 0) {
    give_up(plan.dialect + " refused a put");
  }
  return load.run();
}

}  // namespace

int main(int argc, char** argv) {
  Plan plan;
  kv::host::Flags flags{"bench_peer", "Puts load on what `make bench` compares replicas with."};
  flags.add_positional("ADDRESSES", plan.target.endpoints, "the members' client addresses");
  flags.add_choice("--dialect", plan.dialect, {"etcd", "zookeeper"}, "what they speak");
  flags.add("--clients", plan.clients, {1, clients_most}, "each with one call under way");
  flags.add("--connections", plan.connections, {0, clients_most},
            "which the clients share, spread over the addresses; 0: one a client");
  flags.add("--value", plan.value_bytes, {1, 1024}, "bytes of each value");
  flags.add("--gets", plan.gets_percent, {0, 100}, "percent of linearizable reads");
  flags.add("--keys", plan.keys, {1, 1'000'000}, "different keys, drawn evenly");
  flags.add("--seconds", plan.seconds, {1, 3600}, "how long to run");
  flags.add("--ops", plan.requests_max, {1, UINT64_MAX}, "end after that many, if that is sooner");
  flags.add_switch("--no-fill", plan.no_fill, "do not put every key once before");
  if (const auto exit_code = flags.parse(argc, argv)) {
    return *exit_code;
  }
  std::signal(SIGPIPE, SIG_IGN);
  raise_file_limit();
  const Outcome outcome =
      plan.dialect == "etcd" ? play<EtcdCalls>(plan) : play<ZookeeperCalls>(plan);
  if (!outcome.first_error.empty()) {
    std::fprintf(stderr, "bench_peer: first error: %s\n", outcome.first_error.c_str());
  }
  print(plan, outcome);
  return EXIT_SUCCESS;
}
