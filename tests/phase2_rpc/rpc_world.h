// A small service of texts behind a real server on loopback, for tests.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <boost/test/unit_test.hpp>

#include "common/host/clock.h"
#include "phase2_rpc/dispatcher.h"
#include "phase2_rpc/method.h"
#include "phase2_rpc/rpc_client.h"
#include "phase2_rpc/rpc_server.h"
#include "phase2_rpc/work_pool.h"

namespace kv::rpc::texts {

struct Text {
  std::string text;

  static void fields(auto& self, auto& visit) { visit("text", self.text); }
};

inline constexpr Method<Text, Text> echo{
    .id = 20, .name = "test.echo", .safety = Safety::idempotent};
inline constexpr Method<Text, Text> add{.id = 21, .name = "test.add", .safety = Safety::once};
inline constexpr Method<Text, Text> hold{.id = 22, .name = "test.hold", .safety = Safety::never};
inline constexpr Method<Text, Text> pooled{
    .id = 23, .name = "test.pooled", .safety = Safety::idempotent};
inline constexpr Method<Text, Text> peers{
    .id = 24, .name = "test.peers", .safety = Safety::idempotent};

inline void ignore(Level, std::string_view) {}

/// What the handlers do, and what they keep.
struct TextService {
  TextService()
      : dispatcher([] { return host::run_now(); },
                   [this](WorkPool::Work work) { return pool.offer(std::move(work)); }),
        pool(2, 100'000) {
    dispatcher.serve(echo, {}, [](const CallContext&, const Text& ask) { return ask; });
    dispatcher.serve(add, {}, [this](const CallContext&, const Text& ask) {
      const std::lock_guard lock{mutex};
      sum += std::stoi(ask.text);
      return Text{std::to_string(sum)};
    });
    dispatcher.serve_late(hold, {}, [this](const CallContext&, const Text&, auto respond) {
      const std::lock_guard lock{mutex};
      held.push_back(std::move(respond));
      came.notify_all();
    });
    dispatcher.serve(pooled, {.where = Where::pool},
                     [](const CallContext&, const Text& ask) { return ask; });
    dispatcher.serve(peers, {.callers = Callers::trusted},
                     [](const CallContext&, const Text& ask) { return ask; });
  }

  void wait_until_held(std::size_t count) {
    std::unique_lock lock{mutex};
    BOOST_REQUIRE(
        came.wait_for(lock, std::chrono::seconds{30}, [&] { return held.size() >= count; }));
  }

  Dispatcher dispatcher;
  std::mutex mutex;  // guards what the handlers keep
  std::condition_variable came;
  std::vector<std::function<void(const Text&)>> held;
  int sum = 0;
  WorkPool pool;
};

inline RpcServer::Options on_free_port(std::size_t threads = 1) {
  return {.listen = {.host = "127.0.0.1", .port = 0}, .threads = threads};
}

/// The service behind a server on a free port.
struct World {
  explicit World(const RpcServer::Options& options = on_free_port())
      : server(std::make_unique<RpcServer>(options, service.dispatcher, ignore)) {
    BOOST_REQUIRE_EQUAL(server->start(), "");
  }
  RpcClient::Options to_server() const { return {.servers = {server->address()}}; }

  TextService service;
  std::unique_ptr<RpcServer> server;
};

}  // namespace kv::rpc::texts
