#include "common/host/replica_host.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <mutex>
#include <semaphore>
#include <thread>

#include <boost/test/unit_test.hpp>

#include "tests/common/host/running_host.h"

namespace kv {
namespace {

std::vector<std::string> names_with(MemoryDisk& disk, const std::string& prefix) {
  std::vector<std::string> names;
  disk.list("d", names);
  std::erase_if(names, [&](const auto& name) { return !name.starts_with(prefix); });
  return names;
}

/// Writes ten keys again and again until the journal's first segment was freed, which takes two
/// snapshots; gives the last value of each.
std::vector<std::string> write_until_truncated(MemoryDisk& disk) {
  Running running{disk};
  auto options = running.options();
  options.snapshot_every_bytes = 50'000;
  BOOST_REQUIRE(running.start(std::make_unique<sim::JournalingReplica>(), std::move(options)));
  std::vector<std::string> values(10);
  for (std::size_t i = 0; !names_with(disk, "segment-0000000000000001").empty(); ++i) {
    values[i % 10] = std::string(1000, 'v') + std::to_string(i);
    running.ask(put("key" + std::to_string(i % 10), values[i % 10]));
  }
  return values;
}

void check_values(Running& running, const std::vector<std::string>& values) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    BOOST_TEST(running.ask(get("key" + std::to_string(i))).value == values[i]);
  }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(host_replica_host)

BOOST_AUTO_TEST_CASE(a_command_is_carried_out_and_answered) {
  MemoryDisk disk;
  Running running{disk};
  BOOST_REQUIRE(running.start());
  BOOST_TEST((running.ask(put("k", "v")).status == Status::ok));
  BOOST_TEST(running.ask(get("k")).value == "v");
  BOOST_TEST((running.ask(get("other")).status == Status::not_found));
  BOOST_TEST(running.host->healthy());
}

BOOST_AUTO_TEST_CASE(no_answer_leaves_before_its_record_is_durable_nor_one_that_shows_it) {
  MemoryDisk disk;
  Running running{disk};
  const auto peer = running.network.join({2});
  std::counting_semaphore<> steps{0};
  peer->start([&](auto& messages) { steps.release(std::ssize(messages)); });
  auto replica = std::make_unique<ScriptedReplica>();
  replica->on_request = [](RequestId id, const Command& command, Effects& out) {
    if (changes_something(command.verb)) {
      out.records.emplace_back("record");
    }
    out.sends.push_back({.to = {2}, .message = "a step", .after_records = false});
    out.answers.push_back({id, {}});
  };
  BOOST_REQUIRE(running.start(std::move(replica), running.options()));
  disk.hold_syncs();
  const auto written = running.submit(put("k", "new"));
  steps.acquire();
  const auto seen = running.submit(get("k"));
  steps.acquire();
  const auto after = running.submit(get("k"));
  steps.acquire();  // so the two turns before are over, with all that they let out
  BOOST_TEST(!ready(written));
  BOOST_TEST(!ready(seen));
  disk.release_syncs();
  after.wait();
  BOOST_TEST(ready(written));
  BOOST_TEST(ready(seen));
}

BOOST_AUTO_TEST_CASE(what_was_acknowledged_survives_a_kill_and_a_loss_of_power_at_any_time) {
  Random random{4};
  auto disk = std::make_unique<MemoryDisk>();
  std::vector<std::string> acknowledged;
  for (int life = 0; life < 12; ++life) {
    Running running{*disk};
    auto options = running.options();
    options.snapshot_every_bytes = 20'000;
    BOOST_REQUIRE_MESSAGE(
        running.start(std::make_unique<sim::JournalingReplica>(), std::move(options)), running.why);
    for (const std::string& key : acknowledged) {
      BOOST_REQUIRE(running.ask(get(key)).value == key + "'s");
    }
    std::vector<std::pair<std::string, std::future<Reply>>> open;
    for (int i = 0; i < 200; ++i) {
      std::string key = std::to_string(life) + "." + std::to_string(i);
      auto reply = running.submit({.verb = Verb::put, .key = key, .value = key + "'s"});
      open.emplace_back(std::move(key), std::move(reply));
      if (random.chance(0.1)) {
        open.back().second.wait();
      }
    }
    std::vector<std::string> answered;
    for (const auto& [key, reply] : open) {
      if (ready(reply)) {
        answered.push_back(key);
      }
    }
    auto left = random.chance(0.5) ? disk->after_kill() : disk->after_power_loss(random);
    acknowledged.insert(acknowledged.end(), answered.begin(), answered.end());
    running.host.reset();
    disk = std::move(left);
  }
  BOOST_TEST(acknowledged.size() > 100U);
}

BOOST_AUTO_TEST_CASE(a_stop_answers_all_that_was_taken_in_and_refuses_what_comes_later) {
  MemoryDisk disk;
  Running running{disk};
  BOOST_REQUIRE(running.start());
  std::vector<std::future<Reply>> replies;
  for (int i = 0; i < 500; ++i) {
    replies.push_back(running.submit(put(std::to_string(i), "v")));
  }
  running.host->stop();
  for (auto& reply : replies) {
    BOOST_TEST((reply.get().status == Status::ok));
  }
  const Reply late = running.ask(put("late", "v"));
  BOOST_TEST((late.status == Status::unavailable));
  BOOST_TEST(late.why == "this replica is stopping");
  BOOST_TEST(!running.host->healthy());
}

BOOST_AUTO_TEST_CASE(a_request_that_the_replica_never_answers_is_unknown_when_its_patience_ends) {
  MemoryDisk disk;
  Running running{disk};
  auto options = running.options();
  options.patience = std::chrono::milliseconds{1};
  BOOST_REQUIRE(running.start(std::make_unique<ScriptedReplica>(), std::move(options)));
  BOOST_TEST((running.ask(put("k", "v")).status == Status::unknown));
}

BOOST_AUTO_TEST_CASE(an_answer_after_the_end_of_patience_is_not_heard) {
  MemoryDisk disk;
  Running running{disk};
  auto replica = std::make_unique<ScriptedReplica>();
  ScriptedReplica& script = *replica;
  std::vector<RequestId> asked;
  script.on_request = [&](RequestId id, const Command& command, Effects& out) {
    asked.push_back(id);
    if (command.verb == Verb::get) {
      for (const RequestId each : asked) {
        out.answers.push_back({each, {.status = Status::ok}});
      }
    }
  };
  auto options = running.options();
  options.patience = std::chrono::milliseconds{20};
  BOOST_REQUIRE(running.start(std::move(replica), std::move(options)));
  BOOST_TEST((running.ask(put("k", "v")).status == Status::unknown));
  const Reply second = running.ask(get("k"));  // its promise would throw if set twice
  BOOST_TEST((second.status == Status::ok || second.status == Status::unknown));
}

BOOST_AUTO_TEST_CASE(more_than_may_wait_is_refused_at_once_with_the_reason) {
  MemoryDisk disk;
  Running running{disk};
  auto options = running.options();
  options.requests_max = 3;
  options.drain_patience = std::chrono::milliseconds{1};
  BOOST_REQUIRE(running.start(std::make_unique<ScriptedReplica>(), std::move(options)));
  std::vector<std::future<Reply>> waiting;
  for (int i = 0; i < 3; ++i) {
    waiting.push_back(running.submit(put("k", "v")));
  }
  const Reply refused = running.ask(put("k", "v"));
  BOOST_TEST((refused.status == Status::unavailable));
  BOOST_TEST(refused.why == "too many requests wait for an answer");
  running.host->stop();
  for (auto& reply : waiting) {
    const Status status = reply.get().status;
    BOOST_TEST((status == Status::unknown || status == Status::unavailable));
  }
}

BOOST_AUTO_TEST_CASE(what_need_not_wait_for_the_disk_is_sent_before_it_and_the_rest_after) {
  MemoryDisk disk;
  Running running{disk};
  const auto peer = running.network.join({2});
  std::promise<void> early_came;
  std::promise<void> late_came;
  std::atomic<bool> late = false;
  peer->start([&](auto& messages) {
    if (messages.at(0).bytes == "early") {
      early_came.set_value();
    } else {
      late = true;
      late_came.set_value();
    }
  });
  auto replica = std::make_unique<ScriptedReplica>();
  replica->on_request = [](RequestId id, const Command&, Effects& out) {
    out.records.emplace_back("record");
    out.sends.push_back({.to = {2}, .message = "late"});
    out.sends.push_back({.to = {2}, .message = "early", .after_records = false});
    out.answers.push_back({id, {}});
  };
  BOOST_REQUIRE(running.start(std::move(replica), running.options()));
  disk.hold_syncs();
  const auto reply = running.submit(put("k", "v"));
  early_came.get_future().wait();
  BOOST_TEST(!late);
  BOOST_TEST(!ready(reply));
  disk.release_syncs();
  late_came.get_future().wait();
  reply.wait();
}

BOOST_AUTO_TEST_CASE(a_peers_message_reaches_the_replica_and_its_answer_the_peer) {
  MemoryDisk disk;
  Running running{disk};
  const auto peer = running.network.join({2});
  std::promise<Bytes> heard;
  peer->start([&](auto& messages) { heard.set_value(std::move(messages.at(0).bytes)); });
  auto replica = std::make_unique<ScriptedReplica>();
  replica->on_receive = [](NodeId from, ByteView message, Effects& out) {
    out.sends.push_back({.to = from, .message = Bytes{message} + " back"});
  };
  BOOST_REQUIRE(running.start(std::move(replica), running.options()));
  std::vector<Send> sends{{.to = {1}, .message = "there and"}};
  peer->send(sends, 1);
  BOOST_TEST(heard.get_future().get() == "there and back");
}

BOOST_AUTO_TEST_CASE(a_tick_comes_when_the_replica_wants_it) {
  MemoryDisk disk;
  Running running{disk};
  auto replica = std::make_unique<ScriptedReplica>();
  ScriptedReplica& script = *replica;
  std::promise<void> ticked;
  script.wakes_at = Instant{};
  script.on_tick = [&](Effects&) {
    script.wakes_at = never;
    ticked.set_value();
  };
  BOOST_REQUIRE(running.start(std::move(replica), running.options()));
  ticked.get_future().wait();
}

BOOST_AUTO_TEST_CASE(a_crowd_shares_a_sync) {
  MemoryDisk disk;
  Running running{disk};
  BOOST_REQUIRE(running.start());
  running.ask(put("first", "v"));
  disk.hold_syncs();
  const std::uint64_t before = disk.syncs();
  std::vector<std::future<Reply>> replies;
  for (int i = 0; i < 100; ++i) {
    replies.push_back(running.submit(put(std::to_string(i), "v")));
  }
  disk.release_syncs();
  for (auto& reply : replies) {
    reply.wait();
  }
  // At most: those before the hold took effect, the one held, those after; the spare's own.
  BOOST_TEST(disk.syncs() - before < 50U);
}

BOOST_AUTO_TEST_CASE(snapshots_let_the_journal_lose_its_beginning_and_a_restart_begins_there) {
  MemoryDisk disk;
  const auto values = write_until_truncated(disk);
  Running again{disk};
  BOOST_REQUIRE_MESSAGE(again.start(), again.why);
  check_values(again, values);
}

BOOST_AUTO_TEST_CASE(a_damaged_newest_snapshot_costs_nothing_but_time_and_two_are_refused) {
  MemoryDisk disk;
  const auto values = write_until_truncated(disk);
  const auto names = names_with(disk, "snapshot-");
  BOOST_REQUIRE(names.size() == 2U);
  const auto damage = [&](const std::string& name) {
    Bytes bytes = disk.content("d/" + name);
    bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
    disk.set_content("d/" + name, bytes);
  };
  damage(names[1]);
  {
    Running again{disk};
    BOOST_REQUIRE_MESSAGE(again.start(), again.why);
    check_values(again, values);
  }
  damage(names[0]);
  Running refused{disk};
  BOOST_TEST(!refused.start());
  BOOST_TEST(refused.why.find("is needed from record 0 on") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(after_a_failed_sync_nothing_is_acknowledged) {
  MemoryDisk disk;
  Running running{disk};
  auto options = running.options();
  options.patience = options.drain_patience = std::chrono::milliseconds{50};
  BOOST_REQUIRE(running.start(std::make_unique<sim::JournalingReplica>(), std::move(options)));
  running.ask(put("k", "v"));
  disk.fail_next_sync();
  const Reply reply = running.ask(put("k", "w"));
  BOOST_TEST((reply.status == Status::unknown || reply.status == Status::unavailable));
  const std::lock_guard lock{running.mutex};
  BOOST_TEST(running.fatal.starts_with("journal: cannot "));
}

BOOST_AUTO_TEST_CASE(what_is_gathered_is_carried_out_when_it_is_begun) {
  MemoryDisk disk;
  Running running{disk};
  BOOST_REQUIRE(running.start());
  std::promise<Reply> last;
  for (int round = 0; round < 1000; ++round) {  // whoever works just then
    running.host->gather(put("k", std::to_string(round)), [](const Reply&) {});
    running.host->begin();
  }
  running.host->gather(get("k"), [&](const Reply& reply) { last.set_value(reply); });
  running.host->begin();
  BOOST_TEST(last.get_future().get().value == "999");
}

BOOST_AUTO_TEST_CASE(a_command_may_be_submitted_from_within_an_answer) {
  MemoryDisk disk;
  Running running{disk};
  BOOST_REQUIRE(running.start());
  std::promise<Reply> second;
  running.host->submit(put("k", "v"), [&](const Reply&) {
    running.host->submit(get("k"), [&](const Reply& reply) { second.set_value(reply); });
  });
  BOOST_TEST(second.get_future().get().value == "v");
}

BOOST_AUTO_TEST_CASE(a_message_to_itself_comes_back_when_its_records_are_durable) {
  MemoryDisk disk;
  Running running{disk};
  const auto peer = running.network.join({2});
  running.network.cut({1}, {1});  // no network has a say in it
  std::promise<void> record_given;
  peer->start([&](auto&) { record_given.set_value(); });
  auto replica = std::make_unique<ScriptedReplica>();
  std::atomic<bool> came_back = false;
  replica->on_request = [](RequestId id, const Command&, Effects& out) {
    out.records.emplace_back("record");
    out.sends.push_back({.to = {1}, .message = Bytes{"mine for "} + std::to_string(id.value)});
    out.sends.push_back({.to = {2}, .message = "early", .after_records = false});
  };
  replica->on_receive = [&](NodeId from, ByteView message, Effects& out) {
    BOOST_TEST((from == NodeId{1}));
    BOOST_TEST(message == "mine for 1");
    came_back = true;
    out.answers.push_back({{1}, {}});
  };
  BOOST_REQUIRE(running.start(std::move(replica), running.options()));
  disk.hold_syncs();
  const auto reply = running.submit(put("k", "v"));
  record_given.get_future().wait();
  BOOST_TEST(!came_back);
  disk.release_syncs();
  reply.wait();
  BOOST_TEST(came_back);
}

BOOST_AUTO_TEST_CASE(messages_to_itself_come_in_order_and_need_no_record) {
  MemoryDisk disk;
  Running running{disk};
  auto replica = std::make_unique<ScriptedReplica>();
  std::string heard;
  replica->on_request = [](RequestId, const Command&, Effects& out) {
    for (const char* each : {"a", "b", "c"}) {
      out.sends.push_back({.to = {1}, .message = each});
    }
  };
  replica->on_receive = [&](NodeId, ByteView message, Effects& out) {
    heard += message;
    if (heard.size() == 3) {
      out.answers.push_back({{1}, {.status = Status::ok, .value = heard}});
    }
  };
  BOOST_REQUIRE(running.start(std::move(replica), running.options()));
  BOOST_TEST(running.ask(put("k", "v")).value == "abc");
}

BOOST_AUTO_TEST_CASE(a_turn_gives_messages_then_requests_then_a_tick_and_makes_one_batch_of_them) {
  MemoryDisk disk;
  Running running{disk};
  const auto peer = running.network.join({2});
  peer->start([](auto&) {});
  auto replica = std::make_unique<ScriptedReplica>();
  ScriptedReplica& script = *replica;
  std::promise<void> busy;
  std::promise<void> input_waits;
  std::size_t requests = 0;
  script.on_request = [&](RequestId id, const Command&, Effects& out) {
    if (++requests == 1) {
      busy.set_value();
      input_waits.get_future().wait();
      out.answers.push_back({id, {}});
    } else {
      out.records.emplace_back("request");
      script.wakes_at = Instant{};
    }
  };
  script.on_receive = [](NodeId, ByteView, Effects& out) { out.records.emplace_back("message"); };
  script.on_tick = [&](Effects& out) {
    script.wakes_at = never;
    const std::vector<Bytes> wanted{"message", "request", "request"};
    out.answers.push_back({{2}, {.status = out.records == wanted ? Status::ok : Status::aborted}});
    out.answers.push_back({{3}, {}});
  };
  BOOST_REQUIRE(running.start(std::move(replica), running.options()));
  running.submit(put("first", "v"));
  busy.get_future().wait();
  const auto second = running.submit(put("second", "v"));
  auto third = running.submit(put("third", "v"));
  std::vector<Send> sends{{.to = {1}, .message = "m"}};
  peer->send(sends, 1);
  input_waits.set_value();
  third.wait();
  BOOST_REQUIRE(ready(second));
}

BOOST_AUTO_TEST_CASE(a_replica_that_says_not_now_is_asked_again_and_told_of_when_it_is_late) {
  MemoryDisk disk;
  Running running{disk};
  const std::string path =
      (std::filesystem::temp_directory_path() / ("quintet-late-" + std::to_string(getpid())))
          .string();
  running.log = host::Log::open({.path = path}, running.why);
  auto replica = std::make_unique<ScriptedReplica>();
  std::promise<void> agreed;
  int asked = 0;
  replica->on_request = [](RequestId id, const Command&, Effects& out) {
    out.records.emplace_back("record");
    out.answers.push_back({id, {}});
  };
  replica->on_begin_snapshot = [&] {
    const bool agrees = ++asked == 4;
    if (agrees) {
      agreed.set_value();
    }
    return agrees;
  };
  auto options = running.options();
  options.snapshot_every_bytes = 1;
  options.snapshot_ask_again = options.snapshot_late = std::chrono::milliseconds{1};
  BOOST_REQUIRE(running.start(std::move(replica), std::move(options)));
  running.ask(put("k", "v"));
  agreed.get_future().wait();  // nothing else comes in meanwhile
  running.host.reset();
  running.log->close();
  std::ifstream file{path};
  const std::string log{std::istreambuf_iterator<char>{file}, {}};
  BOOST_TEST(log.find("warn event=snapshot_late bytes=6") != std::string::npos, log);
  std::filesystem::remove(path);
}

BOOST_AUTO_TEST_CASE(what_it_did_is_counted_and_told_once_at_the_end) {
  MemoryDisk disk;
  Running running{disk};
  const auto peer = running.network.join({2});
  std::promise<void> came;
  peer->start([&](auto&) { came.set_value(); });
  const std::string path =
      (std::filesystem::temp_directory_path() / ("quintet-totals-" + std::to_string(getpid())))
          .string();
  running.log = host::Log::open({.path = path, .level = Level::debug}, running.why);
  auto replica = std::make_unique<ScriptedReplica>();
  replica->on_request = [](RequestId id, const Command&, Effects& out) {
    out.records.emplace_back("record");
    out.sends.push_back({.to = {2}, .message = "four"});
    out.answers.push_back({id, {.status = Status::conflict}});
  };
  auto options = running.options();
  options.gauges = {{"seven", "", [](const Replica&) { return 7.0; }}};
  BOOST_REQUIRE(running.start(std::move(replica), std::move(options)));
  running.ask(put("k", "v"));
  came.get_future().wait();
  running.host->stop();
  const host::ReplicaCounts& counts = running.host->counts();
  BOOST_TEST(counts.requests.read() == 1U);
  BOOST_TEST(counts.answers[static_cast<std::size_t>(Status::conflict)].read() == 1U);
  BOOST_TEST(counts.record_bytes.read() == 6U);
  BOOST_TEST(counts.peers[2].bytes_sent.read() == 4U);
  BOOST_TEST(running.host->syncs() >= 1U);
  BOOST_TEST(running.host->gauge(0) == 7.0);
  running.log->close();
  std::ifstream file{path};
  const std::string log{std::istreambuf_iterator<char>{file}, {}};
  BOOST_TEST(log.find("event=totals requests=1 answers=1 conflict=1 refused=0 messages_sent=1 "
                      "messages_received=0 bytes_sent=4 bytes_received=0 records=1 "
                      "record_bytes=6 syncs=1") != std::string::npos,
             log);
  const std::string msg = log.substr(log.find("event=send msg=") + 15);
  BOOST_TEST(msg.find(" to=2 bytes=4\n") < 24U, log);
  std::filesystem::remove(path);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv
