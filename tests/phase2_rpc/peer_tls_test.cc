// Peers that speak TLS: who is heard, who is not, and whole replicas over it.
#include <string>

#include <boost/test/unit_test.hpp>

#include "common/host/log.h"
#include "phase2_rpc/kv_methods.h"
#include "phase2_rpc/rpc_client.h"
#include "tests/common/sim/primary_backup.h"
#include "tests/phase2_rpc/certificates.h"
#include "tests/phase2_rpc/peer_world.h"
#include "tests/phase2_rpc/replica_world.h"

namespace kv::rpc {
namespace {

std::unique_ptr<Replica> primary_backup(const ReplicaSettings& settings) {
  return std::make_unique<example::PrimaryBackup>(settings.self);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(phase2_peer_tls)

BOOST_AUTO_TEST_CASE(peers_of_one_authority_hear_each_other_in_order) {
  Certificates certificates;
  certificates.authority("ours");
  Station one{1, {}, "", "quintet", certificates.signed_by("ours", "one")};
  Station two{2, {}, "", "quintet", certificates.signed_by("ours", "two")};
  connect_all({&one, &two});
  const std::uint64_t count = 40;
  for (std::uint64_t msg = 1; msg <= count; ++msg) {  // more than a socket takes at once
    std::vector<Send> sends{
        {.to = {2}, .message = Bytes(100'000, static_cast<char>('a' + msg % 26))}};
    one.transport->send(sends, msg);
    std::vector<Send> back{{.to = {1}, .message = std::to_string(msg)}};
    two.transport->send(back, msg);
  }
  const auto heard = two.wait_for(count);
  const auto heard_back = one.wait_for(count);
  for (std::uint64_t msg = 1; msg <= count; ++msg) {
    BOOST_TEST(heard[msg - 1].msg == msg);
    BOOST_TEST((heard[msg - 1].bytes == Bytes(100'000, static_cast<char>('a' + msg % 26))));
    BOOST_TEST(heard_back[msg - 1].bytes == std::to_string(msg));
  }
}

BOOST_AUTO_TEST_CASE(a_secret_is_proved_through_tls_as_well) {
  Certificates certificates;
  certificates.authority("ours");
  const TlsFiles files = certificates.signed_by("ours", "all");
  Station one{1, {}, "open sesame", "quintet", files};
  Station two{2, {}, "open sesame", "quintet", files};
  Station guest{3, {}, "", "quintet", files};
  connect_all({&one, &two});
  guest.peers_at({one.server->address(), two.server->address(), guest.server->address()});
  guest.wait_until([&] { return one.said("node 3 does not know this cluster's secret"); });
  BOOST_TEST(!guest.transport->connected({1}));
}

BOOST_AUTO_TEST_CASE(a_peer_of_another_authority_or_without_tls_is_refused_and_both_say_so) {
  Certificates certificates;
  const std::string ours = certificates.authority("ours");
  certificates.authority("theirs");
  Station one{1, {}, "", "quintet", certificates.signed_by("ours", "one")};
  TlsFiles theirs = certificates.signed_by("theirs", "stranger");
  theirs.authority = ours;
  Station stranger{2, {}, "", "quintet", theirs};
  Station plain{3};
  const std::vector<host::Endpoint> addresses{one.server->address(), stranger.server->address(),
                                              plain.server->address()};
  for (Station* station : {&one, &stranger, &plain}) {
    station->peers_at(addresses);
  }
  one.wait_until([&] {
    return one.said("event=peer_unreachable peer=2") && one.said("event=peer_unreachable peer=3") &&
           one.said("event=rpc_dropped") && stranger.said("event=peer_unreachable peer=1") &&
           plain.said("event=peer_unreachable peer=1");
  });
  BOOST_TEST(one.said("certificate verify failed"));
  for (const std::uint32_t node : {2U, 3U}) {
    BOOST_TEST(!one.transport->connected({node}));
  }
  BOOST_TEST(!stranger.transport->connected({1}));
  BOOST_TEST(!plain.transport->connected({1}));
}

BOOST_AUTO_TEST_CASE(replicas_and_their_clients_agree_over_tls_and_strangers_are_not_served) {
  Certificates certificates;
  certificates.authority("ours");
  ReplicaWorld world{2, primary_backup};
  const auto flags = [&](std::uint32_t node) {
    ReplicaFlags with = world.flags(node);
    with.security.tls = certificates.signed_by("ours", "node" + std::to_string(node));
    return with;
  };
  BOOST_REQUIRE_MESSAGE(world.start(1, flags(1)), world.why);
  sockets::TcpTalk waits{world.at(1).tcp()};
  waits.send("PUT k 1\n");
  BOOST_REQUIRE_MESSAGE(world.start(2, flags(2)), world.why);
  BOOST_TEST(waits.receive_line() == "OK\n");
  const auto get_with = [&](const TlsFiles& files, Duration patience) {
    RpcClient client{
        {.servers = {world.ports[0].endpoint()}, .drive = RpcClient::Drive::caller, .tls = files},
        [](Level, std::string_view) {}};
    return client.call_and_wait(kv_get, Get{.key = "k"}, {}, patience);
  };
  const auto got = get_with(certificates.signed_by("ours", "client"), std::chrono::seconds{30});
  BOOST_REQUIRE_MESSAGE(got.answer.has_value(), got.result.why);
  BOOST_TEST(got.answer->value == "1");
  BOOST_TEST(!get_with({}, std::chrono::milliseconds{200}).answer);
  BOOST_TEST(world.log_of(1).find("event=started") != std::string::npos);
  world.servers.clear();
  BOOST_TEST(world.log_of(1).find(" tls=mutual ") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_replica_whose_files_cannot_be_used_says_which_and_does_not_start) {
  Certificates certificates;
  certificates.authority("ours");
  ReplicaWorld world{1, primary_backup};
  ReplicaFlags flags = world.flags(1);
  flags.security.tls = certificates.signed_by("ours", "node");
  flags.security.tls.authority = certificates.file("nowhere.pem");
  BOOST_TEST(!world.start(1, flags));
  BOOST_TEST(world.why.find("nowhere.pem") != std::string::npos, world.why);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::rpc
