// The store's methods over RPC, in memory: what a stub asks is what a Service is told.
#include "phase2_rpc/kv_skeleton.h"

#include <malloc.h>

#include <optional>
#include <vector>

#include <boost/test/unit_test.hpp>

#include "common/kv/store.h"
#include "phase2_rpc/kv_methods.h"
#include "phase2_rpc/memory_link.h"
#include "phase2_rpc/rpc_transport.h"
#include "phase2_rpc/server_methods.h"

namespace kv::rpc {
BOOST_AUTO_TEST_SUITE(phase2_kv_skeleton)

namespace {

/// A store that answers at once, or when it is told to.
class StoreBehind : public Service {
 public:
  void submit(const Command& command, Done done) override {
    submitted.push_back(command);
    if (late) {
      waiting = [this, command, done = std::move(done)] { answer(command, done); };
    } else {
      answer(command, done);
    }
  }
  bool healthy() const override { return is_healthy; }

  void answer(const Command& command, const Done& done) {
    Reply reply;
    store.apply(command, reply);
    done(reply);
  }

  Store store;
  bool late = false;
  bool is_healthy = true;
  std::vector<Command> submitted;
  std::function<void()> waiting;
};

struct World {
  World() {
    serve_service(dispatcher, service);
    serve_server_methods(dispatcher, [this] { return service.healthy(); });
  }

  CallResult ask(const Request& request) {
    std::optional<CallResult> heard;
    CallResult refusal;
    link.client().start(
        now, {.method = request.method, .metadata = request.metadata, .body = request.body},
        [&](CallResult&& result) { heard = std::move(result); }, refusal);
    BOOST_REQUIRE(link.exchange(now));
    if (!heard) {
      BOOST_REQUIRE(service.waiting);
      service.waiting();
      BOOST_REQUIRE(link.exchange(now));
    }
    return heard.value();
  }

  template <typename Ask>
  Reply call(const Method<Ask, Reply>& method, const Ask& ask, const Metadata& metadata = {}) {
    return RpcClient::read<Reply>(this->ask(RpcClient::request_of(method, ask, metadata)))
        .answer.value();
  }

  Instant now{std::chrono::hours{1}};
  StoreBehind service;
  Dispatcher dispatcher{[this] { return now; }, [](const std::function<void()>&) { return false; }};
  MemoryLink link{dispatcher, now};
};

}  // namespace

BOOST_AUTO_TEST_CASE(each_method_does_to_the_store_what_its_name_says) {
  World world;
  BOOST_TEST((world.call(kv_put, Put{"k", "1"}).status == Status::ok));
  BOOST_TEST(world.call(kv_get, Get{"k"}).value == "1");
  BOOST_TEST((world.call(kv_cas, CompareAndSet{"k", "0", "2"}).status == Status::conflict));
  BOOST_TEST((world.call(kv_cas, CompareAndSet{"k", "1", "2"}).status == Status::ok));
  const Batch batch{.guards = {{.key = "k", .value = "2"}},
                    .writes = {{.key = "k", .value = "3"}, {.key = "l", .value = "4"}}};
  BOOST_TEST((world.call(kv_batch, batch).status == Status::ok));
  BOOST_TEST((world.call(kv_batch, batch).status == Status::conflict));
  BOOST_TEST(world.call(kv_get, Get{"l"}).value == "4");
  BOOST_TEST((world.call(kv_delete, Erase{"k"}).status == Status::ok));
  BOOST_TEST((world.call(kv_get, Get{"k"}).status == Status::not_found));
}

BOOST_AUTO_TEST_CASE(a_batch_of_too_many_parts_is_refused_and_leaves_nothing_behind) {
  World world;
  const auto in_use = [] {
    const auto heap = mallinfo2();
    return heap.uordblks + heap.hblkhd;
  };
  world.call(kv_get, Get{"k"});
  const std::size_t before = in_use();
  Bytes body;
  wire::FieldWriter writer{body};
  writer.write_varint(1'000'000);
  body.append(1'000'000, '\0');  // guards of no fields: a byte each
  const auto answered = world.ask({.method = kv_batch.id, .metadata = {}, .body = body});
  BOOST_TEST((RpcClient::read<Reply>(answered).answer.value().status == Status::bad_request));
  body = Bytes{};
  BOOST_TEST(in_use() - before < 4U * 1024 * 1024);
  BOOST_TEST(world.service.submitted.size() == 1U);
}

BOOST_AUTO_TEST_CASE(a_value_may_hold_any_bytes) {
  World world;
  const std::string bytes{"\0\r\n\xff x", 6};
  world.call(kv_put, Put{"k", bytes});
  BOOST_TEST(world.call(kv_get, Get{"k"}).value == bytes);
}

BOOST_AUTO_TEST_CASE(the_service_is_told_whose_operation_it_is) {
  World world;
  const Origin origin{.client = "c", .sequence = 7, .first_outstanding = 5};
  world.call(kv_put, Put{"k", "1"}, {.op = "c.7", .origin = origin, .entries = {}});
  BOOST_TEST((world.service.submitted.back().origin == origin));
  world.call(kv_put, Put{"k", "1"});
  BOOST_TEST((world.service.submitted.back().origin == Origin{}));
}

BOOST_AUTO_TEST_CASE(a_command_keeps_nothing_of_the_one_before) {
  World world;
  world.call(kv_put, Put{"k", "a long value that stays in a buffer"});
  world.call(kv_get, Get{"k"});
  world.call(kv_put, Put{"k", ""});
  BOOST_TEST(world.service.submitted.back().value == "");
  BOOST_TEST(world.call(kv_get, Get{"k"}).value == "");
}

BOOST_AUTO_TEST_CASE(a_service_may_answer_later) {
  World world;
  world.service.late = true;
  BOOST_TEST((world.call(kv_put, Put{"k", "1"}).status == Status::ok));
  BOOST_TEST(world.call(kv_get, Get{"k"}).value == "1");
  BOOST_TEST(world.dispatcher.in_flight() == 0);
}

BOOST_AUTO_TEST_CASE(a_key_that_no_dialect_could_name_never_reaches_the_service) {
  World world;
  for (const std::string& key : {std::string{}, std::string{"a b"}, std::string(251, 'k')}) {
    BOOST_TEST((world.call(kv_get, Get{key}).status == Status::bad_request));
    BOOST_TEST(
        (world.call(kv_batch, Batch{.guards = {}, .writes = {{.key = key, .value = ""}}}).status ==
         Status::bad_request));
  }
  BOOST_TEST(world.service.submitted.empty());
}

BOOST_AUTO_TEST_CASE(malformed_bytes_never_reach_the_service) {
  World world;
  const Request request{.method = kv_put.id, .metadata = {}, .body = "\xff\xff\xff"};
  const CallResult result = world.ask(request);
  BOOST_TEST((result.code == Code::invalid_argument));
  BOOST_TEST((result.executed == Executed::no));
  BOOST_TEST(world.service.submitted.empty());
}

BOOST_AUTO_TEST_CASE(health_is_what_the_service_says) {
  World world;
  const Request ping = request_of(Command{.verb = Verb::ping});
  BOOST_TEST((outcome_of(Verb::ping, world.ask(ping)).reply.status == Status::ok));
  world.service.is_healthy = false;
  BOOST_TEST((outcome_of(Verb::ping, world.ask(ping)).reply.status == Status::unavailable));
}

BOOST_AUTO_TEST_CASE(a_server_lists_its_methods) {
  World world;
  world.call(kv_get, Get{"k"});
  const auto list =
      RpcClient::read<MethodList>(world.ask(RpcClient::request_of(server_methods, Nothing{}, {})));
  std::vector<std::string> names;
  for (const MethodList::Line& line : list.answer.value().methods) {
    names.push_back(line.name);
    BOOST_TEST((line.name != "kv.get" || (line.calls == 1 && line.safety == "idempotent")));
  }
  BOOST_TEST((names == std::vector<std::string>{"server.health", "server.methods", "kv.get",
                                                "kv.put", "kv.delete", "kv.cas", "kv.batch"}));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::rpc
