// Roles on threads of their own, under real hosts: what the simulator's LateRoles cannot show.
#include "phase4_paxos/role_threads.h"

#include <array>
#include <atomic>
#include <future>
#include <memory>
#include <semaphore>
#include <string>
#include <thread>
#include <vector>

#include <boost/test/unit_test.hpp>

#include "common/host/memory_transport.h"
#include "common/host/replica_host.h"
#include "phase4_paxos/messages.h"
#include "tests/common/host/memory_disk.h"

namespace kv::paxos {
BOOST_AUTO_TEST_SUITE(phase4_role_threads)

namespace {

using std::chrono::milliseconds;

constexpr std::uint32_t nodes = 3;

/// Three replicas in one process, each with a disk of its own; and a fourth one that may join.
struct World {
  explicit World(milliseconds its_patience = milliseconds{100}) : patience(its_patience) {
    for (std::uint32_t node = 1; node <= nodes; ++node) {
      start({node});
    }
  }

  void start(NodeId node, std::vector<host::RoleFailure> failures = {}) {
    Place& place = at(node);
    place.transport = network.join(node);
    std::string why;
    place.host = host::ReplicaHost::start(
        std::make_unique<RoleThreads>(node, std::vector<NodeId>{{1}, {2}, {3}},
                                      PaxosOptions{.seed = node.value,
                                                   .note_level = Level::error,
                                                   .election_min = patience,
                                                   .election_max = 2 * patience,
                                                   .beat_every = patience / 5}),
        *place.disk, *place.transport, *log,
        {.self = node,
         .directory = "d",
         .segment_bytes = 64 * 1024,
         .snapshot_every_bytes = 10'000,
         .snapshot_ask_again = milliseconds{1},
         .failures = std::move(failures),
         .roles = {"proposer", "acceptor", "learner"},
         .failure_seed = node.value},
        why);
    BOOST_REQUIRE_MESSAGE(place.host, why);
  }
  void stop(NodeId node) { at(node).host.reset(); }

  Reply ask(NodeId node, const Command& command) {
    const auto promise = std::make_shared<std::promise<Reply>>();
    at(node).host->submit(command, [promise](const Reply& reply) { promise->set_value(reply); });
    return promise->get_future().get();
  }
  /// Asked of all that are up until one has done it: whoever does not lead says so.
  void change(MemberVerb verb, NodeId node) {
    for (std::uint32_t i = 0;; ++i) {
      Place& place = places[i % places.size()];
      if (!place.host) {
        continue;
      }
      const auto promise = std::make_shared<std::promise<Reply>>();
      place.host->change_members({.verb = verb, .node = node, .address = {}},
                                 [promise](const Reply& reply) { promise->set_value(reply); });
      const Reply reply = promise->get_future().get();
      if (reply.status == Status::ok) {
        return;
      }
      BOOST_REQUIRE_MESSAGE(reply.status == Status::unavailable, reply.why);
    }
  }
  std::vector<std::uint32_t> voters(NodeId node) {
    std::vector<std::uint32_t> voters;
    for (const Member& member : at(node).host->members().members) {
      voters.push_back(member.node.value);
    }
    return voters;
  }
  std::uint64_t snapshots() const {
    std::uint64_t sum = 0;
    for (const Place& place : places) {
      sum += place.host ? place.host->counts().snapshots.read() : 0;
    }
    return sum;
  }

  struct Place {
    std::unique_ptr<host::MemoryDisk> disk = std::make_unique<host::MemoryDisk>();
    std::unique_ptr<host::PeerTransport> transport;
    std::unique_ptr<host::ReplicaHost> host;
  };
  Place& at(NodeId node) { return places[node.value - 1]; }

  const milliseconds patience;  // of those who wait for a leader
  std::string why_no_log;
  std::unique_ptr<host::Log> log = host::Log::open({.path = "/dev/null"}, why_no_log);
  host::MemoryNetwork network;
  std::array<Place, nodes + 1> places;
};

/// A client of one replica: it counts in a key of its own, and remembers what was acknowledged.
class Counter {
 public:
  Counter(World& world, NodeId node, std::string name)
      : world_(world), node_(node), name_(std::move(name)) {}

  /// True if it was acknowledged. The next number is then the next operation.
  bool count() {
    const Reply reply = world_.ask(
        node_, {.verb = Verb::put,
                .origin = {.client = name_, .sequence = next_, .first_outstanding = next_},
                .key = name_,
                .value = std::to_string(next_)});
    if (reply.status != Status::ok) {
      return false;
    }
    acknowledged_ = next_++;
    return true;
  }
  /// What stands there now, at `node`, is what was acknowledged last, or what may have come after.
  bool stands(NodeId node) {
    const Reply reply = world_.ask(node, {.verb = Verb::get, .key = name_});
    if (reply.status != Status::ok) {
      return reply.status != Status::not_found || acknowledged_ == 0;  // or nobody could tell
    }
    const std::uint64_t found = std::stoull(reply.value);
    return found == acknowledged_ || found == acknowledged_ + 1;
  }
  std::uint64_t acknowledged() const { return acknowledged_; }

 private:
  World& world_;
  const NodeId node_;
  const std::string name_;
  std::uint64_t next_ = 1;
  std::uint64_t acknowledged_ = 0;
};

const std::vector<host::RoleFailure> all_often{
    {.role = "all", .up = milliseconds{800}, .down = milliseconds{20}}};

}  // namespace

BOOST_AUTO_TEST_CASE(while_roles_die_on_every_replica_nothing_acknowledged_is_lost) {
  World world;
  for (std::uint32_t node = 1; node <= nodes; ++node) {
    world.stop({node});
    world.start({node}, all_often);
  }
  std::atomic<int> lost = 0;
  std::vector<std::thread> clients;
  for (std::uint32_t i = 0; i < 4; ++i) {
    clients.emplace_back([&world, &lost, i] {
      Counter counter{world, {i % nodes + 1}, "c" + std::to_string(i)};
      while (counter.acknowledged() < 50 || world.snapshots() < 2) {
        if (counter.count() && !counter.stands({(i + 1) % nodes + 1})) {
          ++lost;
        }
      }
    });
  }
  for (std::thread& client : clients) {
    client.join();
  }
  BOOST_TEST(lost == 0);
}

BOOST_AUTO_TEST_CASE(a_restarted_replica_has_what_its_roles_wrote_down) {
  World world;
  Counter counter{world, {1}, "c"};
  while (counter.acknowledged() < 100) {
    counter.count();
  }
  for (std::uint32_t node = 1; node <= nodes; ++node) {
    world.stop({node});
  }
  for (std::uint32_t node = 1; node <= nodes; ++node) {
    world.start({node});
  }
  Reply reply;
  do {
    reply = world.ask({2}, {.verb = Verb::get, .key = "c"});
  } while (reply.status == Status::unavailable);
  BOOST_TEST(reply.value == "100");
}

// Under a sanitizer, the window of no-ops after a change takes a leader longer than 100 ms.
constexpr milliseconds patience_with_changes{1000};

BOOST_AUTO_TEST_CASE(members_come_and_go_while_roles_have_threads_of_their_own) {
  World world{patience_with_changes};
  Counter counter{world, {1}, "c"};
  while (counter.acknowledged() < 50) {
    counter.count();
  }
  world.start({4});
  world.change(MemberVerb::add, {4});
  while (!counter.count()) {
  }
  BOOST_TEST(counter.stands({4}));
  world.change(MemberVerb::remove, {3});
  world.stop({3});
  while (!counter.count()) {
  }
  BOOST_TEST(counter.stands({2}));
  BOOST_TEST((world.voters({2}) == std::vector<std::uint32_t>{1, 2, 4}));
}

BOOST_AUTO_TEST_CASE(a_member_that_lost_its_disk_is_let_in_on_its_new_one) {
  World world{patience_with_changes};
  Counter counter{world, {1}, "c"};
  while (counter.acknowledged() < 20) {
    counter.count();
  }
  world.stop({3});
  world.at({3}).disk = std::make_unique<host::MemoryDisk>();
  world.start({3});
  const Reply lost = world.ask({3}, {.verb = Verb::get, .key = "c"});
  BOOST_TEST((lost.status == Status::unavailable));
  while (!counter.count()) {
  }
  Reply reply;
  do {  // it may not have been heard to wait, or not have heard that it is a member
    world.change(MemberVerb::add, {3});
    reply = world.ask({3}, {.verb = Verb::get, .key = "c"});
  } while (reply.status == Status::unavailable);
  BOOST_TEST(reply.value == std::to_string(counter.acknowledged()));
}

BOOST_AUTO_TEST_CASE(what_a_killed_role_had_not_got_out_is_never_said) {
  RoleThreads replica{{1}, {{1}}, {.seed = 1, .note_level = Level::error}};
  std::counting_semaphore<> news{0};
  replica.tell_news([&news] { news.release(); });
  const Instant now{};
  Effects out;
  replica.start(now, out);
  replica.kill_role("proposer");
  replica.kill_role("learner");
  for (std::uint64_t round = 1; round <= 20; ++round) {
    replica.tick(now, out);
    while (news.try_acquire()) {
    }
    const Prepare prepare{.ballot = {.round = round, .node = 1, .boot = 1}, .from = {1}};
    replica.receive(now, {1}, pack(prepare), out);
    BOOST_REQUIRE(news.try_acquire_for(std::chrono::seconds{10}));
    replica.kill_role("acceptor");
    out.clear();
    replica.start_role("acceptor", now, out);
    replica.tick(now, out);
    for (const Bytes& record : out.records) {
      BOOST_TEST((kind_of(record) != Kind::promised));
    }
  }
}

BOOST_AUTO_TEST_CASE(a_role_dies_alone_and_all_may) {
  RoleThreads replica{{1}, {{1}}, {.seed = 1, .note_level = Level::error}};
  Effects out;
  replica.start(Instant{}, out);
  for (const char* role : {"proposer", "acceptor", "learner"}) {
    BOOST_TEST(replica.plays(role));
  }
  replica.kill_role("acceptor");
  BOOST_TEST(!replica.plays("acceptor"));
  BOOST_TEST(replica.plays("learner"));
  BOOST_TEST(!replica.begin_snapshot());
  replica.kill_role("all");
  for (const char* role : {"proposer", "acceptor", "learner"}) {
    BOOST_TEST(!replica.plays(role));
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::paxos
