#include "common/host/replica_host_inbox.h"

#include <vector>

#include <boost/test/unit_test.hpp>

namespace kv::host {
namespace {

/// An inbox at which the protocol's thread works no more.
struct World {
  World() { rest(); }

  bool rest(ReplicaInbox::Batch* more = nullptr) { return inbox.rest(never, more); }

  void gather(const std::string& key) {
    Service::Done done = [](const Reply&) {};
    const Command command{.verb = Verb::get, .key = key};
    BOOST_TEST(inbox.add(command, done, Instant{}, ReplicaInbox::Wake::later) == nullptr);
  }

  ReplicaInbox inbox{
      {.requests_max = 10, .request_bytes_max = 10'000, .message_bytes_max = 10'000}};
  ReplicaInbox::Batch batch;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(host_replica_host_inbox)

BOOST_AUTO_TEST_CASE(what_was_gathered_is_one_batch_of_whoever_begins) {
  World world;
  world.gather("a");
  world.gather("b");
  BOOST_REQUIRE(world.inbox.work_if_something(world.batch));
  BOOST_REQUIRE(world.batch.requests.size() == 2U);
  BOOST_TEST(world.batch.requests[0].command.key == "a");
  BOOST_TEST(world.batch.requests[1].command.key == "b");
}

BOOST_AUTO_TEST_CASE(nobody_begins_with_nothing) {
  World world;
  BOOST_TEST(!world.inbox.work_if_something(world.batch));
}

BOOST_AUTO_TEST_CASE(one_works_at_a_time_and_finds_at_its_end_what_others_gathered) {
  World world;
  world.gather("a");
  BOOST_REQUIRE(world.inbox.work_if_something(world.batch));
  world.gather("b");
  ReplicaInbox::Batch others;
  BOOST_TEST(!world.inbox.work_if_something(others));
  BOOST_REQUIRE(world.rest(&world.batch));
  BOOST_REQUIRE(world.batch.requests.size() == 1U);
  BOOST_TEST(world.batch.requests[0].command.key == "b");
  BOOST_TEST(!world.rest(&world.batch));
}

BOOST_AUTO_TEST_CASE(a_message_takes_along_what_was_gathered) {
  World world;
  world.gather("a");
  std::vector<PeerMessage> messages;
  messages.push_back({.from = {2}, .msg = 1, .bytes = "hello"});
  BOOST_REQUIRE(world.inbox.add_and_work(messages, world.batch));
  BOOST_TEST(world.batch.requests.size() == 1U);
  BOOST_TEST(world.batch.messages.size() == 1U);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::host
