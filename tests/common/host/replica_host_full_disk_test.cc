// What a replica's host does while the disk has no space.
#include <atomic>
#include <future>
#include <memory>
#include <thread>
#include <vector>

#include <boost/test/unit_test.hpp>

#include "tests/common/host/running_host.h"

namespace kv {

using std::chrono::milliseconds;

BOOST_AUTO_TEST_SUITE(host_replica_host_full_disk)

BOOST_AUTO_TEST_CASE(a_full_disk_refuses_writes_serves_reads_and_recovers) {
  MemoryDisk disk;
  disk.set_space(2 * 64 * 1024 + 1000);
  Running running{disk};
  BOOST_REQUIRE(running.start());
  running.ask(put("k", "v"));
  Reply reply;
  for (int i = 0; i < 10'000 && reply.status == Status::ok; ++i) {
    reply = running.ask(put("k" + std::to_string(i), std::string(900, 'v')));
  }
  BOOST_TEST((reply.status == Status::unavailable));
  BOOST_TEST(reply.why == "the disk is full");
  BOOST_TEST(!running.host->healthy());
  BOOST_TEST(running.ask(get("k")).value == "v");
  disk.set_space(UINT64_MAX);
  while (!running.host->healthy()) {
    std::this_thread::yield();
  }
  while (running.ask(put("k", "w")).status != Status::ok) {
  }
  BOOST_TEST(running.ask(get("k")).value == "w");
  BOOST_TEST(running.fatal == "");
}

BOOST_AUTO_TEST_CASE(the_replica_is_told_once_when_the_disk_is_full_and_once_when_it_has_room) {
  MemoryDisk disk;
  disk.set_space(2 * 64 * 1024 + 1000);
  Running running{disk};
  std::vector<bool> told;
  std::atomic<std::size_t> told_count = 0;
  auto replica = std::make_unique<ScriptedReplica>();
  replica->on_request = [](RequestId id, const Command& command, Effects& out) {
    out.records.push_back(command.value);
    out.answers.push_back({id, {}});
  };
  replica->on_room = [&](bool has_room) {
    told.push_back(has_room);
    ++told_count;
  };
  BOOST_REQUIRE(running.start(std::move(replica), running.options()));
  Reply reply;
  for (int i = 0; i < 10'000 && reply.status == Status::ok; ++i) {
    reply = running.ask(put("k", std::string(900, 'v')));
  }
  BOOST_TEST(reply.why == "the disk is full");
  disk.set_space(UINT64_MAX);
  while (told_count < 2) {
    std::this_thread::yield();
  }
  running.host->stop();
  BOOST_TEST((told == std::vector<bool>{false, true}));
}

BOOST_AUTO_TEST_CASE(when_peers_have_used_up_the_reserve_reads_are_refused_too_and_at_once) {
  MemoryDisk disk;
  disk.set_space(2 * 64 * 1024 + 1000);
  Running running{disk};
  const auto peer = running.network.join({2});
  peer->start([](auto&) {});
  auto replica = std::make_unique<ScriptedReplica>();
  replica->on_receive = [](NodeId, ByteView message, Effects& out) {
    out.records.emplace_back(message);
  };
  replica->on_request = [](RequestId id, const Command&, Effects& out) {
    out.answers.push_back({id, {}});
  };
  auto options = running.options();
  options.patience = std::chrono::hours{1};  // whoever waits for it waits too long
  BOOST_REQUIRE(running.start(std::move(replica), std::move(options)));
  std::vector<Send> sends;
  for (int i = 0; i < 400; ++i) {
    sends.push_back({.to = {1}, .message = Bytes(900, 'm')});
  }
  peer->send(sends, sends.size());
  std::vector<std::future<Reply>> taken;  // before that was so
  Reply reply;
  while (reply.status == Status::ok) {
    auto asked = running.submit(get("k"));
    while (!ready(asked) && running.host->healthy()) {
      std::this_thread::yield();
    }
    if (asked.wait_for(milliseconds{5}) == std::future_status::ready) {
      reply = asked.get();
    } else {
      taken.push_back(std::move(asked));
    }
  }
  BOOST_TEST((reply.status == Status::unavailable));
  BOOST_TEST(reply.why == "the disk is full");
  disk.set_space(UINT64_MAX);
  for (auto& each : taken) {
    BOOST_TEST((each.get().status == Status::ok));
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv
