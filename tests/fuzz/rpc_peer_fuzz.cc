// Both cores against a peer that says anything at all: whatever comes, each call ends once, and
// what is held stays bounded.
//
// Input: a stream, fed to a server that has said hello and to a client with a call in flight. The
// first byte's lowest bit puts a good hello before it.
#include <cstddef>
#include <cstdint>

#include "common/core/check.h"
#include "common/wire/fields.h"
#include "phase2_rpc/client_core.h"
#include "phase2_rpc/server_core.h"

namespace kv::rpc {
namespace {

constexpr Instant now{std::chrono::hours{1}};

struct AnswerEverySecond : ServerCore::Calls {
  void on_call(const IncomingCall& call) override {
    check(call.metadata.size() <= metadata_bytes_max);
    if (++calls % 2 == 0) {
      server->answer(call.id, Code::ok, Executed::maybe, call.body);
    }
  }
  void on_cancel(CallId id) override { server->answer(id, Code::cancelled, Executed::maybe, {}); }

  ServerCore* server = nullptr;
  std::uint64_t calls = 0;
};

void feed_server(ByteView bytes, bool greeted) {
  AnswerEverySecond calls;
  ServerCore server{{.calls_in_flight_max = 8, .bytes_in_flight_max = 4096}, calls, now};
  calls.server = &server;
  if (greeted) {
    Bytes hello;
    append_frame(hello, {.type = FrameType::hello}, {}, wire::encode(Hello{}));
    check(server.feed(now, hello));
  }
  server.feed(now, bytes);
  check(server.calls_in_flight() <= 8);
}

void feed_client(ByteView bytes) {
  int ended = 0;
  ClientCore client{{}, now};
  CallResult refusal;
  check(client
            .start(
                now, {.method = 16, .metadata = {}, .body = "x"}, [&](CallResult&&) { ++ended; },
                refusal)
            .has_value());
  client.feed(now, bytes);
  client.lost("the end");
  check(ended == 1);
}

}  // namespace
}  // namespace kv::rpc

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  if (size < 1) {
    return 0;
  }
  const kv::ByteView stream{reinterpret_cast<const char*>(bytes) + 1, size - 1};
  kv::rpc::feed_server(stream, (bytes[0] & 1) != 0);
  kv::rpc::feed_client(stream);
  return 0;
}
