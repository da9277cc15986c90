#include "phase2_rpc/name_lookup.h"

#include <optional>

#include <boost/test/unit_test.hpp>

#include "phase2_rpc/rpc_client.h"
#include "tests/phase2_rpc/held_names.h"
#include "tests/phase2_rpc/peer_world.h"
#include "tests/phase2_rpc/rpc_world.h"

namespace kv::rpc {
BOOST_AUTO_TEST_SUITE(phase2_name_lookup)

namespace {

using namespace std::chrono_literals;
using boost::asio::ip::tcp;
using texts::echo, texts::ignore, texts::Text;

struct Heard {
  std::vector<tcp::endpoint> addresses;
  std::string why;
};

NameLookup::Found keep_in(std::optional<Heard>& heard) {
  return [&heard](const std::vector<tcp::endpoint>& addresses, const std::string& why) {
    heard = {.addresses = addresses, .why = why};
  };
}

}  // namespace

BOOST_AUTO_TEST_CASE(an_address_is_found_at_once) {
  boost::asio::io_context loop;
  NameLookup names{loop};
  for (const std::string address : {"127.0.0.1", "::1"}) {
    std::optional<Heard> heard;
    names.start({.host = address, .port = 4711}, keep_in(heard));
    const tcp::endpoint found{boost::asio::ip::make_address(address), 4711};
    BOOST_TEST((heard.value().addresses == std::vector<tcp::endpoint>{found}));
  }
}

BOOST_AUTO_TEST_CASE(a_name_is_found_on_the_loop) {
  boost::asio::io_context loop;
  NameLookup names{loop};
  std::optional<Heard> heard;
  names.start({.host = "localhost", .port = 4711}, keep_in(heard));
  BOOST_TEST(!heard.has_value());
  loop.run();
  BOOST_TEST(!heard.value().addresses.empty());
  BOOST_TEST(heard->addresses.front().address().is_loopback());
}

BOOST_AUTO_TEST_CASE(a_name_that_is_none_says_so) {
  boost::asio::io_context loop;
  NameLookup names{loop};
  std::optional<Heard> heard;
  names.start({.host = "no host", .port = 1}, keep_in(heard));
  loop.run();
  BOOST_TEST(heard.value().addresses.empty());
  BOOST_TEST(heard->why.starts_with("cannot resolve host 'no host': "), heard->why);
}

BOOST_AUTO_TEST_CASE(a_call_ends_in_time_while_its_servers_name_is_looked_up) {
  std::optional<HeldName> held{std::in_place};
  RpcClient client{{.servers = {{.host = held->name, .port = 1}}}, ignore};
  auto call = client.call_soon(RpcClient::request_of(echo, Text{}, {}), 50ms);
  held->wait_until_asked();
  const bool in_time = call.wait_for(30s) == std::future_status::ready;
  held.reset();
  BOOST_TEST(in_time);
  BOOST_TEST((call.get().code == Code::deadline_exceeded));
}

BOOST_AUTO_TEST_CASE(a_list_goes_on_while_the_name_of_its_first_server_is_looked_up) {
  texts::World world;
  std::optional<HeldName> held{std::in_place};
  RpcClient client{{.servers = {{.host = held->name, .port = 1}, world.server->address()},
                    .connect_patience = 50ms},
                   ignore};
  auto call = client.call_soon(RpcClient::request_of(echo, Text{}, {}), 30s);
  BOOST_TEST((call.get().code == Code::ok));
  held.reset();
}

BOOST_AUTO_TEST_CASE(replicas_talk_while_the_name_of_one_is_looked_up) {
  std::optional<HeldName> held{std::in_place};
  Station one{1};
  Station two{2};
  const std::vector<host::Endpoint> addresses{
      one.server->address(), two.server->address(), {.host = held->name, .port = 1}};
  two.peers_at({one.server->address(), two.server->address()});
  one.peers_at(addresses);
  held->wait_until_asked();
  one.wait_until([&] { return one.transport->connected({2}); });
  held.reset();
}

BOOST_AUTO_TEST_SUITE_END()
}  // namespace kv::rpc
