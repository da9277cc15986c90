// A ReplicaHost with all it stands on, and a Replica that does what a test says.
#pragma once

#include <atomic>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <string>

#include "common/host/memory_transport.h"
#include "common/host/replica_host.h"
#include "common/sim/journaling_replica.h"
#include "tests/common/host/memory_disk.h"

namespace kv {

using host::MemoryDisk;
using host::ReplicaHost;

/// A Replica that does what a test says.
class ScriptedReplica : public Replica {
 public:
  std::function<void(RequestId, const Command&, Effects&)> on_request =
      [](RequestId, const Command&, Effects&) {};
  std::function<void(NodeId, ByteView, Effects&)> on_receive = [](NodeId, ByteView, Effects&) {};
  std::function<void(Effects&)> on_tick = [](Effects&) {};
  std::function<void(bool)> on_room = [](bool) {};
  std::function<bool()> on_begin_snapshot = [] { return true; };
  std::atomic<Instant> wakes_at = never;

  void restore(ByteView) override {}
  void recover(ByteView) override {}
  void start(Instant, Effects&) override {}
  void receive(Instant, NodeId from, ByteView message, Effects& out) override {
    on_receive(from, message, out);
  }
  void request(Instant, RequestId id, const Command& command, Effects& out) override {
    on_request(id, command, out);
  }
  void tick(Instant, Effects& out) override { on_tick(out); }
  void see_room(bool has_room) override { on_room(has_room); }
  Instant wake_at() const override { return wakes_at; }
  bool begin_snapshot() override { return on_begin_snapshot(); }
  Bytes next_snapshot_piece() override { return {}; }
  void check_invariants() const override {}
};

inline Command put(const std::string& key, const std::string& value) {
  return {.verb = Verb::put, .key = key, .value = value};
}

inline Command get(const std::string& key) {
  return {.verb = Verb::get, .key = key};
}

/// One host with all it stands on.
struct Running {
  MemoryDisk& disk;
  host::MemoryNetwork network;
  std::unique_ptr<host::PeerTransport> transport = network.join({1});
  std::string why;
  std::unique_ptr<host::Log> log = host::Log::open({.path = "/dev/null"}, why);
  std::mutex mutex;
  std::string fatal;
  std::unique_ptr<ReplicaHost> host;

  explicit Running(MemoryDisk& the_disk) : disk(the_disk) {}
  ~Running() { host.reset(); }

  ReplicaHost::Options options() {
    return {.self = {1},
            .directory = "d",
            .segment_bytes = 64 * 1024,
            .snapshot_every_bytes = UINT64_MAX,
            .full_retry = std::chrono::milliseconds{1},
            .fatal = [this](const std::string& what) {
              const std::lock_guard lock{mutex};
              fatal = what;
            }};
  }

  bool start(std::unique_ptr<Replica> replica, ReplicaHost::Options with) {
    host = ReplicaHost::start(std::move(replica), disk, *transport, *log, std::move(with), why);
    return host != nullptr;
  }
  bool start() { return start(std::make_unique<sim::JournalingReplica>(), options()); }

  std::future<Reply> submit(const Command& command) {
    auto promise = std::make_shared<std::promise<Reply>>();
    host->submit(command, [promise](const Reply& reply) { promise->set_value(reply); });
    return promise->get_future();
  }
  Reply ask(const Command& command) { return submit(command).get(); }
};

inline bool ready(const std::future<Reply>& reply) {
  return reply.wait_for(std::chrono::seconds{0}) == std::future_status::ready;
}

}  // namespace kv
