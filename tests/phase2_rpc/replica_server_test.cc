// Whole replica servers in this process: front door, RPC, peers, journal on a real disk.
#include "phase2_rpc/replica_server.h"

#include <boost/test/unit_test.hpp>

#include "common/sim/journaling_replica.h"
#include "phase2_rpc/kv_methods.h"
#include "phase2_rpc/member_methods.h"
#include "phase2_rpc/rpc_client.h"
#include "tests/common/sim/primary_backup.h"
#include "tests/phase2_rpc/replica_world.h"

namespace kv::rpc {
BOOST_AUTO_TEST_SUITE(phase2_replica_server)

namespace {

std::unique_ptr<Replica> journaling(const ReplicaSettings&) {
  return std::make_unique<sim::JournalingReplica>();
}

std::unique_ptr<Replica> primary_backup(const ReplicaSettings& settings) {
  return std::make_unique<example::PrimaryBackup>(settings.self);
}

std::string parse(const ReplicaProgram& program, const std::vector<std::string>& arguments) {
  ReplicaFlags settings;
  host::Flags flags{program.name, program.purpose};
  declare(flags, program, settings);
  std::string output;
  std::string error;
  const auto exit_code = flags.parse(arguments, output, error);
  return exit_code ? std::to_string(*exit_code) + " " + error : "";
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_lone_replica_serves_every_client_and_remembers_after_a_restart) {
  ReplicaWorld world{1, journaling};
  world.start(1);
  BOOST_TEST(world.ask(1, "PUT k v") == "OK");
  RpcClient client{{.servers = {world.ports[0].endpoint()}, .drive = RpcClient::Drive::caller}, {}};
  const auto put = client.call_and_wait(kv_put, Put{.key = "r", .value = "over RPC"}, {},
                                        std::chrono::seconds{10});
  BOOST_REQUIRE(put.answer.has_value());
  BOOST_TEST((put.answer->status == Status::ok));
  BOOST_TEST(world.ask(1, "GET r") == "VALUE over RPC");
  world.at(1).stop();
  world.servers[0].reset();
  world.start(1);
  BOOST_TEST(world.ask(1, "GET k") == "VALUE v");
  BOOST_TEST(world.ask(1, "GET r") == "VALUE over RPC");
}

BOOST_AUTO_TEST_CASE(two_replicas_agree_over_their_sockets_and_after_either_was_away) {
  ReplicaWorld world{2, primary_backup};
  world.start(1);
  world.start(2);
  BOOST_TEST(world.ask(1, "PUT k 1") == "OK");
  BOOST_TEST(world.ask(2, "PUT k 2") == "UNAVAILABLE ask the primary, node 1");
  world.servers[1].reset();
  sockets::TcpTalk waits{world.at(1).tcp()};
  waits.send("PUT k 3\n");
  world.start(2);
  BOOST_TEST(waits.receive_line() == "OK\n");
  world.servers[0].reset();
  world.start(1);
  BOOST_TEST(world.ask(1, "GET k") == "VALUE 3");
  BOOST_TEST(world.ask(1, "PUT k 4") == "OK");
}

BOOST_AUTO_TEST_CASE(who_lacks_the_secret_gets_no_message) {
  ReplicaWorld world{2, primary_backup};
  std::ofstream{world.file("secret")} << "open sesame\n";
  ReplicaFlags knows = world.flags(1);
  knows.secret_file = world.file("secret");
  knows.answer_patience = std::chrono::milliseconds{200};
  BOOST_REQUIRE(world.start(1, knows));
  world.start(2);
  BOOST_TEST(world.ask(1, "PUT k v") == "UNKNOWN no answer in time");
  world.servers[1].reset();
  knows = world.flags(2);
  knows.secret_file = world.file("secret");
  BOOST_REQUIRE(world.start(2, knows));
  while (!world.at(1).connected({2}) || !world.at(2).connected({1})) {
    std::this_thread::yield();
  }
  std::string answer;
  while ((answer = world.ask(1, "PUT k v")).starts_with("UNKNOWN")) {
  }
  BOOST_TEST(answer == "OK");
}

BOOST_AUTO_TEST_CASE(a_replica_starts_again_with_the_peers_of_its_first_start_only) {
  ReplicaWorld world{2, journaling};
  world.start(1);
  world.servers[0].reset();
  ReplicaFlags other = world.flags(1);
  other.server.peers.push_back({.node = {3}, .rpc = other.server.peers.back().rpc});
  BOOST_TEST(!world.start(1, other));
  BOOST_TEST(world.why.find("was begun with --peers of nodes 1,2, and this is nodes 1,2,3: start "
                            "it with the same nodes as the first time") != std::string::npos,
             world.why);
  world.start(1);
}

BOOST_AUTO_TEST_CASE(what_all_must_have_alike_stays_as_it_was_chosen_first) {
  ReplicaWorld world{2, primary_backup};
  world.program.choices = [] { return "--presumed abort"; };
  world.start(1);
  BOOST_TEST(world.log_of(1).find("--presumed") == std::string::npos);
  world.program.choices = [] { return "--presumed commit"; };
  world.start(2);
  const std::string refusal =
      "node 2 was started with --presumed commit, node 1 with --presumed abort: give all replicas "
      "the same";
  while (world.log_of(2).find(refusal) == std::string::npos) {
    std::this_thread::yield();
  }
  world.servers[0].reset();
  BOOST_TEST(!world.start(1, world.flags(1)));
  BOOST_TEST(world.why.find("was begun with --presumed abort, and this is --presumed commit: it "
                            "stays so for the life of the disk") != std::string::npos,
             world.why);
}

BOOST_AUTO_TEST_CASE(who_cannot_change_its_members_says_so_over_rpc) {
  ReplicaWorld world{1, journaling};
  world.start(1);
  RpcClient client{{.servers = {world.ports[0].endpoint()}, .drive = RpcClient::Drive::caller}, {}};
  const auto change = client.call_and_wait(
      members_change, MemberChange{.verb = MemberVerb::add, .node = {2}, .address = "127.0.0.1:1"},
      {}, std::chrono::seconds{10});
  BOOST_REQUIRE(change.answer.has_value());
  BOOST_TEST((change.answer->status == Status::bad_request));
  BOOST_TEST(change.answer->why.find("cannot change") != std::string::npos);
  const auto list = client.call_and_wait(members_list, Nothing{}, {}, std::chrono::seconds{10});
  BOOST_REQUIRE(list.answer.has_value());
  BOOST_TEST(list.answer->members.empty());
}

BOOST_AUTO_TEST_CASE(what_keeps_a_replica_from_starting_is_said_in_a_line) {
  ReplicaWorld world{2, journaling};
  world.start(1);
  ReplicaFlags flags = world.flags(2);
  flags.server.data = world.flags(1).server.data;
  BOOST_TEST(!world.start(2, flags));
  BOOST_TEST(world.why.find("is in use by another process") != std::string::npos, world.why);
  flags = world.flags(2);
  flags.server.rpc = world.flags(1).server.rpc;
  BOOST_TEST(!world.start(2, flags));
  BOOST_TEST(world.why.starts_with("cannot serve RPC at 127.0.0.1:"), world.why);
  BOOST_TEST(!std::filesystem::exists(flags.server.data));  // nothing was begun
  flags = world.flags(2);
  flags.server.tcp.port = world.at(1).tcp().port();
  BOOST_TEST(!world.start(2, flags));
  BOOST_TEST(world.why.find("in use") != std::string::npos, world.why);
  BOOST_TEST(!std::filesystem::exists(flags.server.data));
  flags = world.flags(2);
  flags.secret_file = world.file("missing");
  BOOST_TEST(!world.start(2, flags));
  BOOST_TEST(world.why == "--cluster-secret: " + world.file("missing") + " cannot be read");
  world.servers[0].reset();
  flags = world.flags(2);
  flags.server.data = world.flags(1).server.data;
  BOOST_TEST(!world.start(2, flags));
  BOOST_TEST(world.why.find("belongs to phase=3 node=1 cluster=quintet, and this is phase=3 "
                            "node=2 cluster=quintet") != std::string::npos,
             world.why);
  BOOST_TEST(world.log_of(2).find("error phase=3 node=2 event=not_started") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_damaged_journal_keeps_its_replica_from_starting) {
  ReplicaWorld world{1, journaling};
  world.start(1);
  for (int i = 0; i < 20; ++i) {
    world.ask(1, "PUT k " + std::string(1000, 'v'));
  }
  world.servers[0].reset();
  for (const auto& entry : std::filesystem::directory_iterator(world.flags(1).server.data)) {
    if (entry.path().filename().string().starts_with("segment-")) {
      std::fstream segment{entry.path(), std::ios::in | std::ios::out | std::ios::binary};
      segment.seekp(3000);
      segment.write("damage", 6);
    }
  }
  BOOST_TEST(!world.start(1, world.flags(1)));
  BOOST_TEST(world.why.find("acknowledged records may be lost") != std::string::npos, world.why);
}

BOOST_AUTO_TEST_CASE(its_pages_tell_of_work_peers_and_the_protocol) {
  ReplicaWorld world{2, primary_backup};
  world.program.gauges = {{"places", "Places of the log", [](const Replica& replica) {
                             const auto& log =
                                 static_cast<const example::PrimaryBackup&>(replica).log();
                             return static_cast<double>(log.size());
                           }}};
  world.program.serving = [](const Replica&) { return false; };
  world.start(1);
  world.start(2);
  BOOST_TEST(world.ask(1, "PUT k v") == "OK");
  const std::string metrics = world.get_page(1, "/metrics");
  for (const char* line :
       {"\nquintet_replica_requests_total 1\n",
        "\nquintet_replica_answers_total{status=\"ok\"} 1\n", "\nquintet_records_total 1\n",
        "\nquintet_peer_connected{peer=\"2\"} 1\n", "\n# TYPE quintet_places gauge\n"}) {
    BOOST_TEST(metrics.find(line) != std::string::npos, line << " is not in\n" << metrics);
  }
  BOOST_TEST(world.get_page(1, "/status").find("\"messages_sent_total\": {\"2\": ") !=
             std::string::npos);
  BOOST_TEST(world.get_page(1, "/healthz").find(" 503 ") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(wrong_flags_are_refused_with_what_would_be_right) {
  ReplicaProgram program{.name = "test_server", .purpose = "For tests.", .make = journaling};
  program.roles = {"participant", "coordinator"};
  BOOST_TEST(parse(program, {"--fail", "participant=5s:1s,all=9s:1s"}) == "");
  BOOST_TEST(parse(program, {"--fail", "acceptor=5s:1s"}) ==
             "2 test_server: --fail: test_server has no role acceptor, but participant, "
             "coordinator, all (see --help)\n");
  BOOST_TEST(parse(program, {"--node", "3", "--peers", "1=a:1,2=b:2"}) ==
             "2 test_server: --peers: does not name --node 3 (see --help)\n");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::rpc
