// Roles that die and are born again under a real host.
#include <string>
#include <thread>
#include <vector>

#include <boost/test/unit_test.hpp>

#include "tests/common/host/running_host.h"
#include "tests/common/sim/one_role.h"

namespace kv {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

ReplicaHost::Options failing(Running& running, const std::string& role, Duration up,
                             Duration down) {
  auto options = running.options();
  options.failures = {{.role = role, .up = up, .down = down}};
  options.roles = {"keeper"};
  return options;
}

Reply ask_until_alive(Running& running, const Command& command) {
  Reply reply;
  do {
    reply = running.ask(command);
  } while (reply.status == Status::unavailable);
  return reply;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(host_replica_host_roles)

BOOST_AUTO_TEST_CASE(a_role_that_dies_again_and_again_keeps_what_was_acknowledged) {
  MemoryDisk disk;
  Running running{disk};
  auto options = failing(running, "all", milliseconds{2}, milliseconds{1});
  options.snapshot_every_bytes = 20'000;
  auto replica = std::make_unique<OneRole>();
  const OneRole& role = *replica;
  BOOST_REQUIRE(running.start(std::move(replica), std::move(options)));
  std::vector<std::string> acknowledged(16);
  int refused = 0;
  for (std::size_t i = 0; role.births < 25 || running.host->counts().snapshots.read() < 2; ++i) {
    const std::string value = std::string(100, 'v') + std::to_string(i);
    const std::size_t key = i % acknowledged.size();
    const Reply reply = running.ask(put(std::to_string(key), value));
    if (reply.status == Status::ok) {
      acknowledged[key] = value;
    } else {
      BOOST_TEST(reply.why == "the keeper is dead");
      ++refused;
    }
  }
  for (std::size_t key = 0; key < acknowledged.size(); ++key) {
    BOOST_TEST(ask_until_alive(running, get(std::to_string(key))).value == acknowledged[key]);
  }
  BOOST_TEST(refused > 0);
  running.host->stop();
  BOOST_TEST(role.deaths - role.births <= 1);
  BOOST_TEST(running.fatal == "");
}

BOOST_AUTO_TEST_CASE(a_role_is_not_born_before_all_that_was_given_out_is_durable) {
  MemoryDisk disk;
  Running running{disk};
  auto replica = std::make_unique<OneRole>();
  const OneRole& role = *replica;
  BOOST_REQUIRE(running.start(std::move(replica),
                              failing(running, "keeper", milliseconds{1}, microseconds{1})));
  disk.hold_syncs();
  const auto& records = running.host->counts().records;
  while (records.read() == 0) {
    const auto written = running.submit(put("k", "v"));
    while (records.read() == 0 && !ready(written)) {  // or the keeper was dead just then
      std::this_thread::yield();
    }
  }
  const int births = role.births;
  while (role.deaths == births) {
    std::this_thread::yield();
  }
  BOOST_TEST(role.births == births);
  disk.release_syncs();
  BOOST_TEST(ask_until_alive(running, get("k")).value == "v");  // so it read the record
}

BOOST_AUTO_TEST_CASE(roles_that_the_replica_lacks_cannot_fail) {
  MemoryDisk disk;
  Running running{disk};
  BOOST_TEST(!running.start(std::make_unique<OneRole>(),
                            failing(running, "acceptor", milliseconds{1}, milliseconds{1})));
  BOOST_TEST(running.why == "this replica has no role acceptor that could fail");
  BOOST_TEST(!running.start(std::make_unique<sim::JournalingReplica>(),
                            failing(running, "all", milliseconds{1}, milliseconds{1})));
  BOOST_TEST(running.why == "this replica has no role keeper that could fail");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv
