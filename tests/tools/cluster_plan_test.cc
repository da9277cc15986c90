// What each replica of a cluster is told, and the words of ctl.
#include "tools/cluster_plan.h"

#include <algorithm>

#include <boost/test/unit_test.hpp>

#include "tools/control_desk.h"
#include "tools/role_finder.h"

namespace kv::cluster {
namespace {

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) {
    text += (text.empty() ? "" : " ") + word;
  }
  return text;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(tools_cluster_plan)

BOOST_AUTO_TEST_CASE(ports_are_laid_out_as_promised) {
  Plan plan;
  plan.base_port = 7000;
  BOOST_TEST(port_of(plan, Door::tcp, {1}) == 7001);
  BOOST_TEST(port_of(plan, Door::udp, {5}) == 7105);
  BOOST_TEST(port_of(plan, Door::rpc, {3}) == 7203);
  BOOST_TEST(port_of(plan, Door::http, {2}) == 7502);
}

BOOST_AUTO_TEST_CASE(a_replica_is_told_its_ports_files_and_peers) {
  const Plan plan{.phase = host::Phase::raft,
                  .replicas = 2,
                  .dir = "d",
                  .base_port = 7000,
                  .program = "p",
                  .server_flags = {"--sync", "never"},
                  .seed = 40};
  const auto peer_port = [](NodeId from, NodeId to) {
    return static_cast<std::uint16_t>(from == to ? 7000 : 9000 + 10 * from.value + to.value);
  };
  BOOST_TEST(joined(arguments_of(plan, {2}, founders_company(plan, false), peer_port)) ==
             "--tcp 127.0.0.1:7002 --udp 127.0.0.1:7102 --http 127.0.0.1:7502 --log "
             "d/logs/server-2.log --rpc 127.0.0.1:7202 --node 2 --peers "
             "1=127.0.0.1:9021,2=127.0.0.1:7000 --data d/data/node2 --seed 42 --sync never");
}

BOOST_AUTO_TEST_CASE(phase_1_is_told_of_no_rpc_and_no_peers) {
  const Plan plan{.phase = host::Phase::sockets, .replicas = 1, .dir = "d", .base_port = 7000};
  BOOST_TEST(joined(arguments_of(plan, {1}, {}, {})) ==
             "--tcp 127.0.0.1:7001 --udp 127.0.0.1:7101 --http 127.0.0.1:7501 --log "
             "d/logs/server-1.log");
}

BOOST_AUTO_TEST_CASE(what_each_replica_must_have_for_itself_is_no_flag_for_all) {
  BOOST_TEST(flags_error({"--sync=never", "--log-level", "debug"}).empty());
  BOOST_TEST(!flags_error({"--sync=never", "--tcp=1"}).empty());
  BOOST_TEST(!flags_error({"--peers", "1=a:1"}).empty());
}

BOOST_AUTO_TEST_CASE(the_words_of_ctl_are_those_of_scenarios) {
  BOOST_TEST(fault_line({"kill", "3"}) == "at 0s crash 3");
  BOOST_TEST(fault_line({"partition", "1,2", "3,4,5"}) == "at 0s partition 1,2|3,4,5");
  BOOST_TEST(fault_line({"partition", "alone", "of", "leader"}) ==
             "at 0s partition alone of leader");
  BOOST_TEST(fault_line({"for", "2s", "cut", "1", "to", "2"}) == "at 0s for 2s cut 1 to 2");
}

BOOST_AUTO_TEST_CASE(a_status_page_claims_a_role_in_the_term_that_it_says) {
  BOOST_TEST(claim_of(R"({"plays_leader": 1, "raft_term": 7})", "leader").value_or(-1) == 7.0);
  BOOST_TEST(claim_of(R"({"plays_leader": 1, "paxos_round": 9})", "leader").value_or(-1) == 9.0);
  BOOST_TEST(claim_of(R"({"items": 3, "plays_leader": 1})", "leader").value_or(-1) == 0.0);
  BOOST_TEST(claim_of(R"({"node": 2, "role": "leader"})", "leader").value_or(-1) == 0.0);
  for (const char* const page : {R"({"plays_leader": 0, "raft_term": 7})",
                                 R"({"role": "leaderless"})", "leader", "", "[]"}) {
    BOOST_TEST(!claim_of(page, "leader").has_value(), page);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::cluster
