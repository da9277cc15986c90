// What an RpcClient promises its callers, whatever its servers and its callers do.
#include "phase2_rpc/rpc_client.h"

#include <boost/test/unit_test.hpp>

#include "tests/phase2_rpc/rpc_world.h"

namespace kv::rpc {
BOOST_AUTO_TEST_SUITE(phase2_rpc_client)

namespace {

using namespace std::chrono_literals;
using texts::hold, texts::ignore, texts::Text, texts::World;

}  // namespace

BOOST_AUTO_TEST_CASE(a_call_made_by_a_callback_while_the_client_is_destroyed_ends_too) {
  World world;
  std::vector<Code> ended;
  auto client = std::make_unique<RpcClient>(world.to_server(), ignore);
  const auto again = [&ended, its = client.get()](const auto& self, int more) -> void {
    its->call(RpcClient::request_of(hold, Text{}, {}), 30s, [&, self, more](CallResult&& result) {
      ended.push_back(result.code);
      if (more > 0) {
        self(self, more - 1);
      }
    });
  };
  again(again, 3);
  world.service.wait_until_held(1);
  client.reset();
  BOOST_TEST((ended == std::vector<Code>(4, Code::cancelled)));
}

BOOST_AUTO_TEST_SUITE_END()
}  // namespace kv::rpc
