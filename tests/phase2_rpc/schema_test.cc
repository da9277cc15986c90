// A method whose structs have grown: peers of both ages understand each other.
#include <optional>

#include <boost/test/unit_test.hpp>

#include "phase2_rpc/dispatcher.h"
#include "phase2_rpc/memory_link.h"
#include "phase2_rpc/rpc_client.h"

namespace kv::rpc {
BOOST_AUTO_TEST_SUITE(phase2_schema)

namespace {

struct OldAsk {
  std::string key;
  static void fields(auto& self, auto& visit) { visit("key", self.key); }
};
struct NewAsk {
  std::string key;
  std::uint64_t limit = 100;
  std::optional<std::string> prefix;
  static void fields(auto& self, auto& visit) {
    visit("key", self.key);
    visit("limit", self.limit);
    visit("prefix", self.prefix);
  }
};
struct OldAnswer {
  std::string value;
  static void fields(auto& self, auto& visit) { visit("value", self.value); }
};
struct NewAnswer {
  std::string value;
  std::uint64_t version = 7;
  static void fields(auto& self, auto& visit) {
    visit("value", self.value);
    visit("version", self.version);
  }
};

constexpr Method<OldAsk, OldAnswer> old_find{
    .id = 30, .name = "test.find", .safety = Safety::idempotent};
constexpr Method<NewAsk, NewAnswer> new_find{
    .id = 30, .name = "test.find", .safety = Safety::idempotent};

struct World {
  template <typename Ask, typename Answer>
  Answered<Answer> call(const Method<Ask, Answer>& method, const Ask& ask) {
    const Request request = RpcClient::request_of(method, ask, {});
    std::optional<CallResult> heard;
    CallResult refusal;
    link.client().start(
        now, {.method = request.method, .metadata = {}, .body = request.body},
        [&](CallResult&& result) { heard = std::move(result); }, refusal);
    BOOST_REQUIRE(link.exchange(now));
    return RpcClient::read<Answer>(heard.value());
  }

  Instant now{std::chrono::hours{1}};
  Dispatcher dispatcher{[this] { return now; }, [](const std::function<void()>&) { return false; }};
  MemoryLink link{dispatcher, now};
};

}  // namespace

BOOST_AUTO_TEST_CASE(a_new_server_gives_an_old_clients_missing_fields_their_defaults) {
  World world;
  std::uint64_t limit = 0;
  world.dispatcher.serve(new_find, {}, [&](const CallContext&, const NewAsk& ask) {
    limit = ask.limit;
    BOOST_TEST(!ask.prefix.has_value());
    return NewAnswer{.value = ask.key + "!", .version = 9};
  });
  BOOST_TEST(world.call(old_find, OldAsk{"k"}).answer.value().value == "k!");
  BOOST_TEST(limit == 100U);
}

BOOST_AUTO_TEST_CASE(an_old_server_passes_over_a_new_clients_further_fields) {
  World world;
  world.dispatcher.serve(
      old_find, {}, [](const CallContext&, const OldAsk& ask) { return OldAnswer{ask.key + "!"}; });
  const auto answered = world.call(new_find, NewAsk{.key = "k", .limit = 5, .prefix = "p"});
  BOOST_TEST(answered.answer.value().value == "k!");
  BOOST_TEST(answered.answer.value().version == 7U);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::rpc
