// Peers over real sockets on this machine.
#include "phase2_rpc/peer_transport.h"

#include <string>

#include <boost/test/unit_test.hpp>

#include "phase2_rpc/rpc_client.h"
#include "phase2_rpc/rpc_server.h"
#include "tests/phase2_rpc/peer_world.h"

namespace kv::rpc {

BOOST_AUTO_TEST_SUITE(phase2_peer_transport)

BOOST_AUTO_TEST_CASE(messages_of_one_call_arrive_together_in_order_with_their_numbers) {
  Station one{1};
  Station two{2};
  connect_all({&one, &two});
  std::vector<Send> sends{{.to = {2}, .message = "a"},
                          {.to = {7}, .message = "for nobody"},
                          {.to = {2}, .message = Bytes(100'000, 'b')}};
  one.transport->send(sends, 10);
  BOOST_TEST(sends.empty());
  const auto heard = two.wait_for(2);
  BOOST_TEST((heard[0].from == NodeId{1}));
  BOOST_TEST(heard[0].msg == 10U);
  BOOST_TEST(heard[0].bytes == "a");
  BOOST_TEST(heard[1].msg == 12U);
  BOOST_TEST(heard[1].bytes.size() == 100'000U);
  BOOST_TEST(two.batches() == 1);
  BOOST_TEST(one.transport->counts().calls == 1U);
}

BOOST_AUTO_TEST_CASE(a_peer_that_comes_back_is_reached_again) {
  Station one{1};
  auto two = std::make_unique<Station>(2);
  connect_all({&one, two.get()});
  const host::Endpoint address = two->server->address();
  for (int life = 0; life < 3; ++life) {
    two.reset();
    one.wait_until([&] { return !one.transport->connected({2}); });
    std::vector<Send> lost{{.to = {2}, .message = "lost"}};
    one.transport->send(lost, 1);
    two = std::make_unique<Station>(2, address);
    two->peers_at({one.server->address(), address});
    one.wait_until([&] { return one.transport->connected({2}); });
    std::vector<Send> sends{{.to = {2}, .message = "again"}};
    one.transport->send(sends, 2);
    BOOST_TEST(two->wait_for(1)[0].bytes == "again");
  }
  BOOST_TEST(one.transport->counts().connects >= 4U);
  BOOST_TEST(one.transport->counts().messages_dropped == 3U);
}

BOOST_AUTO_TEST_CASE(a_full_socket_delays_messages_and_a_full_queue_drops_them) {
  Station one{1};
  Station two{2};
  connect_all({&one, &two});
  two.hold();
  const Bytes large(1024 * 1024, 'x');
  std::uint64_t sent = 0;
  while (one.transport->counts().messages_dropped == 0) {
    std::vector<Send> sends{{.to = {2}, .message = large}};
    one.transport->send(sends, ++sent);
    BOOST_REQUIRE(sent < 500);
  }
  two.release();
  const auto heard = two.wait_for(sent - 1);
  for (std::size_t i = 0; i < heard.size(); ++i) {
    BOOST_TEST(heard[i].msg == i + 1);
  }
}

BOOST_AUTO_TEST_CASE(who_does_not_know_the_secret_is_refused_and_who_knows_it_heard) {
  Station one{1, {}, "open sesame"};
  Station two{2, {}, "open sesame"};
  Station stranger{3, {}, "a guess"};
  connect_all({&one, &two});
  stranger.peers_at({one.server->address(), two.server->address(), stranger.server->address()});
  stranger.wait_until([&] {
    return stranger.said("does not know this cluster's secret") ||
           one.said("does not know this cluster's secret");
  });
  BOOST_TEST(!stranger.transport->connected({1}));
  std::vector<Send> sends{{.to = {2}, .message = "known"}};
  one.transport->send(sends, 1);
  BOOST_TEST(two.wait_for(1)[0].bytes == "known");
}

BOOST_AUTO_TEST_CASE(who_says_nothing_of_the_secret_is_refused_too) {
  Station one{1, {}, "open sesame"};
  Station stranger{2};
  one.peers_at({one.server->address(), stranger.server->address()});
  stranger.peers_at({one.server->address(), stranger.server->address()});
  one.wait_until([&] { return one.said("node 2 does not know this cluster's secret"); });
  BOOST_TEST(!stranger.transport->connected({1}));
  BOOST_TEST(one.transport->counts().batches_refused >= 1U);
}

BOOST_AUTO_TEST_CASE(a_replica_of_another_cluster_or_at_another_address_is_told_so) {
  Station one{1};
  Station other{2, {}, "", "elsewhere"};
  other.peers_at({one.server->address(), other.server->address(), other.server->address()});
  one.peers_at({one.server->address(), other.server->address(), other.server->address()});
  other.wait_until([&] { return other.said("node 2 is of cluster elsewhere, this is quintet"); });
  Station third{3};
  third.peers_at({third.server->address(), one.server->address(), third.server->address()});
  third.wait_until([&] { return third.said("node 3 looks for node 2, this is node 1"); });
}

BOOST_AUTO_TEST_CASE(replicas_that_were_started_with_different_peers_refuse_each_other) {
  Station one{1, {}, "", "quintet", {}, {{1}, {2}}};
  Station other{2, {}, "", "quintet", {}, {{1}, {2}, {3}}};
  Station newcomer{3};  // it did not found the cluster: nobody asks it
  const auto addresses = {one.server->address(), other.server->address(),
                          newcomer.server->address()};
  for (Station* const each : {&one, &other, &newcomer}) {
    each->peers_at(addresses);
  }
  const std::string words =
      "node 2 was started with --peers of nodes 1,2,3, node 1 with 1,2: "
      "give all replicas the same";
  one.wait_until([&] { return one.said(words); });
  other.wait_until([&] { return other.said(words); });  // whoever calls is told, too
  newcomer.wait_until(
      [&] { return newcomer.transport->connected({1}) && newcomer.transport->connected({2}); });
  BOOST_TEST(!one.transport->connected({2}));
}

BOOST_AUTO_TEST_CASE(whoever_is_met_later_is_reached_and_heard_and_whoever_left_is_neither) {
  Station one{1};
  Station two{2};
  Station three{3};
  connect_all({&one, &two});
  const auto member = [](const Station& station) {
    return Member{.node = station.self, .address = host::to_text(station.server->address())};
  };
  three.peers_at({one.server->address(), two.server->address(), three.server->address()});
  one.transport->meet({member(one), member(two), member(three)});
  one.wait_until([&] { return one.transport->connected({3}) && three.transport->connected({1}); });
  std::vector<Send> sends{{.to = {3}, .message = "welcome"}, {.to = {2}, .message = "go on"}};
  one.transport->send(sends, 1);
  BOOST_TEST(three.wait_for(1).front().bytes == "welcome");
  BOOST_TEST(two.wait_for(1).front().bytes == "go on");
  one.transport->meet({member(one), member(three)});
  BOOST_TEST(!one.transport->connected({2}));
  sends = {{.to = {2}, .message = "lost"}, {.to = {3}, .message = "again"}};
  one.transport->send(sends, 3);
  BOOST_TEST(three.wait_for(1).front().bytes == "again");
  std::vector<Send> refused{{.to = {1}, .message = "of one who left"}};
  two.transport->send(refused, 1);
  one.wait_until([&] { return one.transport->counts().batches_refused > 0; });
  BOOST_TEST(one.batches() == 0);
}

BOOST_AUTO_TEST_CASE(a_route_goes_before_the_address_that_a_member_is_said_to_have) {
  Station two{2};
  Dispatcher dispatcher{[] { return host::run_now(); }, [](auto) { return false; }};
  RpcPeerTransport::Options options;
  options.self = {1};
  options.routes = {{.node = {2}, .rpc = two.server->address()}};
  RpcPeerTransport transport{options, dispatcher, [](Level, std::string_view) {}};
  two.peers_at({two.server->address(), two.server->address()});
  transport.start([](std::vector<host::PeerMessage>&) {});
  transport.meet({{.node = {2}, .address = "127.0.0.1:1"}});
  two.wait_until([&] { return transport.connected({2}); });
  BOOST_TEST(transport.counts().connects == 1U);
}

BOOST_AUTO_TEST_CASE(a_message_that_is_damaged_or_not_its_senders_is_refused) {
  Station one{1};
  one.peers_at({one.server->address(), one.server->address(), one.server->address()});
  RpcClient client{{.servers = {one.server->address()}, .drive = RpcClient::Drive::caller},
                   nullptr};
  const auto code_of = [&](const Bytes& body) {
    return client.call_and_wait({.method = 9, .body = body}, std::chrono::seconds{10}).code;
  };
  const auto frame = [](std::uint32_t from, std::uint32_t to) {
    Bytes bytes;
    wire::append_frame(bytes, {.from = {from}, .to = {to}, .msg = 1, .body = "m"});
    return bytes;
  };
  BOOST_TEST((code_of(frame(2, 1)) == Code::ok));
  BOOST_TEST((code_of(frame(2, 1) + frame(3, 1)) == Code::data_loss));
  BOOST_TEST((code_of(frame(1, 1)) == Code::data_loss));
  BOOST_TEST((code_of(frame(2, 3)) == Code::data_loss));
  BOOST_TEST((code_of(frame(9, 1)) == Code::data_loss));
  Bytes damaged = frame(2, 1);
  damaged.back() ^= 1;
  BOOST_TEST((code_of(damaged) == Code::data_loss));
  BOOST_TEST(one.wait_for(1).size() == 1U);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::rpc
