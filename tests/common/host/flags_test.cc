#include "common/host/flags.h"

#include <boost/test/unit_test.hpp>

#include "common/host/server_flags.h"

namespace kv::host {
namespace {

using namespace std::chrono_literals;

struct Outcome {
  std::optional<int> exit_code;
  std::string output;
  std::string error;
};

Outcome parse(Flags& flags, std::vector<std::string> arguments) {
  Outcome outcome;
  outcome.exit_code = flags.parse(std::move(arguments), outcome.output, outcome.error);
  return outcome;
}

/// What one program says to `arguments`: it has every kind of flag.
struct Program {
  Program() {
    flags.add("--tcp", tcp, "the line protocol");
    flags.add("--timeout", timeout, "patience");
    flags.add("--memory", memory, "of the store");
    flags.add("--log-level", level, "the least level");
    flags.add("--threads", threads, {.least = 1, .most = 64}, "loops");
    flags.add("--seed", seed, "chance");
    flags.add("--name", name, "of this client", "NAME");
    flags.add("--fail", failures, "roles that die");
    flags.add("--peers", peers, "the others");
    flags.add_switch("--legacy", legacy, "the old wire");
    flags.add_choice("--sync", sync, {"always", "never"}, "the disk");
    flags.add_positional("HOST", host, "where");
    flags.add_port("PORT", port, "where");
  }

  Outcome run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"localhost", "1111"});
    return parse(flags, std::move(arguments));
  }

  Flags flags{"tcp_client", "Talks the line protocol."};
  Endpoint tcp{.host = "127.0.0.1", .port = 1111, .off = false};
  Duration timeout = 2s;
  ByteCount memory{64 * 1024 * 1024};
  Level level = Level::info;
  std::uint32_t threads = 2;
  std::optional<std::uint64_t> seed;
  std::string name = "client";
  std::vector<RoleFailure> failures;
  std::vector<Peer> peers;
  bool legacy = false;
  std::string sync = "always";
  std::string host;
  std::uint16_t port = 0;
};

void check_refused(const std::vector<std::string>& arguments, std::string_view reason) {
  Program program;
  const Outcome outcome = program.run(arguments);
  BOOST_TEST_CONTEXT("arguments: " << (arguments.empty() ? "" : arguments.front())) {
    BOOST_TEST(outcome.exit_code.value_or(-1) == 2);
    BOOST_TEST(outcome.output.empty());
    BOOST_TEST(outcome.error == "tcp_client: " + std::string{reason} + " (see --help)\n");
  }
}

std::string endpoint_or_reason(std::string_view text) {
  Endpoint endpoint;
  const std::string why = read_endpoint(text, endpoint);
  return why.empty() ? to_text(endpoint) : why;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(host_flags)

BOOST_AUTO_TEST_CASE(without_flags_the_defaults_hold) {
  Program program;
  BOOST_TEST(!program.run({}).exit_code.has_value());
  BOOST_TEST(to_text(program.tcp) == "127.0.0.1:1111");
  BOOST_TEST((program.timeout == 2s));
  BOOST_TEST(program.threads == 2U);
  BOOST_TEST(!program.seed.has_value());
  BOOST_TEST(program.host == "localhost");
  BOOST_TEST(program.port == 1111);
}

BOOST_AUTO_TEST_CASE(every_kind_of_value_is_read) {
  Program program;
  const Outcome outcome = program.run({"--tcp",
                                       "[::1]:0",
                                       "--timeout=500ms",
                                       "--memory",
                                       "2GiB",
                                       "--log-level",
                                       "warn",
                                       "--threads",
                                       "64",
                                       "--seed",
                                       "18446744073709551615",
                                       "--name",
                                       "a b",
                                       "--fail",
                                       "acceptor=5s:1s,all=1m:20ms",
                                       "--peers",
                                       "1=localhost:7111,2=[::1]:7112",
                                       "--legacy",
                                       "--sync",
                                       "never"});
  BOOST_TEST(!outcome.exit_code.has_value(), outcome.error);
  BOOST_TEST((program.tcp == Endpoint{.host = "::1", .port = 0, .off = false}));
  BOOST_TEST((program.timeout == 500ms));
  BOOST_TEST(program.memory.value == std::uint64_t{2} << 30);
  BOOST_TEST((program.level == Level::warn));
  BOOST_TEST(program.threads == 64U);
  BOOST_TEST(program.seed.value() == UINT64_MAX);
  BOOST_TEST(program.name == "a b");
  BOOST_TEST(
      (program.failures == std::vector<RoleFailure>{{"acceptor", 5s, 1s}, {"all", 60s, 20ms}}));
  BOOST_TEST((program.peers ==
              std::vector<Peer>{{NodeId{1}, {.host = "localhost", .port = 7111, .off = false}},
                                {NodeId{2}, {.host = "::1", .port = 7112, .off = false}}}));
  BOOST_TEST(program.legacy);
  BOOST_TEST(program.sync == "never");
}

BOOST_AUTO_TEST_CASE(the_last_of_a_repeated_flag_counts) {
  Program program;
  BOOST_TEST(!program.run({"--threads", "3", "--threads", "4"}).exit_code.has_value());
  BOOST_TEST(program.threads == 4U);
}

BOOST_AUTO_TEST_CASE(a_wrong_flag_is_one_line_that_says_which_and_why_and_exits_2) {
  check_refused({"--bogus"}, "there is no flag --bogus");
  check_refused({"--bogus=7"}, "there is no flag --bogus");
  check_refused({"-x"}, "there is no flag -x");
  check_refused({"--thread", "3"}, "there is no flag --thread");  // no guessing of prefixes
  check_refused({"more"}, "argument 'more' is one too many");
  check_refused({"--tcp", "localhost"}, "--tcp: 'localhost' is no port");
  check_refused({"--tcp", "localhost:65536"}, "--tcp: port 65536 is out of range, 0 to 65535");
  check_refused({"--timeout", "5"},
                "--timeout: '5' is no duration: write 250us, 500ms, 2s, 1m or 1h");
  check_refused({"--threads", "0"}, "--threads: 0 is out of range, 1 to 64");
  check_refused({"--threads", "-1"}, "--threads: '-1' is no whole number");
  check_refused({"--threads", "2x"}, "--threads: '2x' is no whole number");
  check_refused({"--threads", "99999999999999999999"},
                "--threads: 99999999999999999999 is out of range, 1 to 64");
  check_refused({"--log-level", "loud"},
                "--log-level: 'loud' is no level: take debug, info, warn or error");
  check_refused({"--sync", "maybe"}, "--sync: 'maybe' is none of always|never");
  check_refused({"--memory", "1GB"},
                "--memory: '1GB' is no number of bytes: write 4096, 64KiB, 16MiB or 2GiB");
}

BOOST_AUTO_TEST_CASE(a_flag_without_its_value_is_refused) {
  Program program;
  const Outcome outcome = program.run({"--tcp"});
  BOOST_TEST(outcome.exit_code.value_or(-1) == 2);
  BOOST_TEST(outcome.error.find("--tcp") != std::string::npos, outcome.error);
  BOOST_TEST(std::ranges::count(outcome.error, '\n') == 1);
}

BOOST_AUTO_TEST_CASE(a_missing_argument_is_refused_by_its_name) {
  Program program;
  const Outcome outcome = parse(program.flags, {"localhost"});
  BOOST_TEST(outcome.exit_code.value_or(-1) == 2);
  BOOST_TEST(outcome.error == "tcp_client: PORT is required (see --help)\n");
}

BOOST_AUTO_TEST_CASE(a_value_with_line_ends_still_makes_one_line) {
  Program program;
  const Outcome outcome = program.run({"--log-level", "a\nb\x1b"});
  BOOST_TEST(std::ranges::count(outcome.error, '\n') == 1);
  BOOST_TEST(outcome.error.find('\x1b') == std::string::npos);
}

BOOST_AUTO_TEST_CASE(help_lists_each_flag_with_its_default_and_exits_0) {
  Program program;
  const Outcome outcome = parse(program.flags, {"--help"});
  BOOST_TEST(outcome.exit_code.value_or(-1) == 0);
  BOOST_TEST(outcome.error.empty());
  for (const char* text : {"--tcp", "[HOST:]PORT", "127.0.0.1:1111", "2s", "64MiB", "HOST", "PORT",
                           "always|never", "--legacy", "--version"}) {
    BOOST_TEST(outcome.output.find(text) != std::string::npos, text);
  }
}

BOOST_AUTO_TEST_CASE(version_says_so_and_exits_0) {
  Program program;
  const Outcome outcome = parse(program.flags, {"--version"});
  BOOST_TEST(outcome.exit_code.value_or(-1) == 0);
  BOOST_TEST(outcome.output == "quintet " QUINTET_VERSION " (tcp_client)\n");
}

BOOST_AUTO_TEST_CASE(an_endpoint_is_a_port_a_host_and_port_or_off) {
  BOOST_TEST(endpoint_or_reason("0") == "127.0.0.1:0");
  BOOST_TEST(endpoint_or_reason("65535") == "127.0.0.1:65535");
  BOOST_TEST(endpoint_or_reason("example.org:80") == "example.org:80");
  BOOST_TEST(endpoint_or_reason("0.0.0.0:80") == "0.0.0.0:80");
  BOOST_TEST(endpoint_or_reason("[::1]:80") == "[::1]:80");
  BOOST_TEST(endpoint_or_reason("off") == "off");
}

BOOST_AUTO_TEST_CASE(what_is_no_endpoint_is_refused_with_the_reason) {
  BOOST_TEST(endpoint_or_reason("") == "'' is no port");
  BOOST_TEST(endpoint_or_reason("host:") == "'' is no port");
  BOOST_TEST(endpoint_or_reason(":80") == "':80' has no host before the port");
  BOOST_TEST(endpoint_or_reason("[]:80") == "'[]:80' has no host before the port");
  BOOST_TEST(endpoint_or_reason("host:http") == "'http' is no port");
  BOOST_TEST(endpoint_or_reason("host:+80") == "'+80' is no port");
  BOOST_TEST(endpoint_or_reason("-1") == "'-1' is no port");
  BOOST_TEST(endpoint_or_reason("::1:80") == "'::1:80' is ambiguous: write IPv6 as [ADDRESS]:PORT");
  BOOST_TEST(endpoint_or_reason("[::1]") == "'[::1]' should be [IPv6]:PORT");
  BOOST_TEST(endpoint_or_reason("99999999999999999999") ==
             "port 99999999999999999999 is out of range, 0 to 65535");
  BOOST_TEST(endpoint_or_reason(std::string(256, 'h') + ":1") ==
             "the host has more than 255 bytes");
}

BOOST_AUTO_TEST_CASE(a_list_of_peers_or_failures_with_anything_wrong_is_refused_whole) {
  std::vector<Peer> peers{{NodeId{9}, {}}};
  for (const char* text : {"", "1", "0=h:1", "1=h", "1=h:0", "1=off", "1=h:1,", "1=h:1,1=h:2",
                           "1=h:1,2=h:1", "x=h:1", "1=h:1;2=h:2"}) {
    BOOST_TEST(!read_peers(text, peers).empty(), text);
  }
  BOOST_TEST(peers.size() == 1U);
  std::vector<RoleFailure> failures;
  for (const char* text : {"", "acceptor", "acceptor=5s", "king=5s:1s", "all=5:1s", "all=0s:1s",
                           "all=1s:0s", "all=1s:1s,", "all=1s:1s,all=2s:1s"}) {
    BOOST_TEST(!read_role_failures(text, failures).empty(), text);
  }
  BOOST_TEST(failures.empty());
}

BOOST_AUTO_TEST_CASE(a_duration_beyond_a_year_is_out_of_range) {
  Duration duration{};
  BOOST_TEST(read_duration("8760h", duration).empty());
  BOOST_TEST(!read_duration("8761h", duration).empty());
  BOOST_TEST(!read_duration("18446744073709551615h", duration).empty());
  BOOST_TEST((duration == std::chrono::hours{8760}));
}

BOOST_AUTO_TEST_CASE(the_sockets_server_knows_threads_but_no_rpc_and_no_peers) {
  for (const char* flag : {"--rpc", "--peers", "--node", "--data", "--sync", "--fail"}) {
    Flags flags{"phase1_server", ""};
    ServerFlags server;
    add_server_flags(flags, Phase::sockets, server);
    const Outcome outcome = parse(flags, {flag, "1"});
    BOOST_TEST(outcome.error ==
               "phase1_server: there is no flag " + std::string{flag} + " (see --help)\n");
  }
  Flags flags{"phase1_server", ""};
  ServerFlags server;
  add_server_flags(flags, Phase::sockets, server);
  BOOST_TEST(!parse(flags, {"--threads", "4", "--udp", "off"}).exit_code.has_value());
  BOOST_TEST(server.threads == 4U);
  BOOST_TEST(server.udp.off);
  BOOST_TEST(to_text(server.tcp) == "127.0.0.1:1111");
  BOOST_TEST(server.http.off);
  BOOST_TEST(server.log == "logs/phase1_sockets/server-1.log");
}

BOOST_AUTO_TEST_CASE(a_replica_names_its_log_and_data_by_phase_and_node) {
  Flags flags{"phase4_server", ""};
  ServerFlags server;
  add_server_flags(flags, Phase::paxos, server);
  const Outcome outcome = parse(flags, {"--node", "3", "--peers", "1=a:1,3=c:1"});
  BOOST_TEST(!outcome.exit_code.has_value(), outcome.error);
  BOOST_TEST(server.log == "logs/phase4_paxos/server-3.log");
  BOOST_TEST(server.data == "data/phase4/node3");
}

BOOST_AUTO_TEST_CASE(help_lists_the_roles_of_this_server_and_no_others) {
  Flags flags{"phase4_server", ""};
  ServerFlags server;
  add_server_flags(flags, Phase::paxos, server, {"proposer", "acceptor"});
  const std::string help = parse(flags, {"--help"}).output;
  BOOST_TEST(help.find("proposer, acceptor, all") != std::string::npos, help);
  BOOST_TEST(help.find("coordinator") == std::string::npos, help);
}

BOOST_AUTO_TEST_CASE(a_replica_that_its_peers_do_not_name_is_refused) {
  Flags flags{"phase5_server", ""};
  ServerFlags server;
  add_server_flags(flags, Phase::raft, server);
  const Outcome outcome = parse(flags, {"--node", "2", "--peers", "1=a:1,3=c:1"});
  BOOST_TEST(outcome.error == "phase5_server: --peers: does not name --node 2 (see --help)\n");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::host
