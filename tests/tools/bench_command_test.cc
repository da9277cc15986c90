#include "tools/bench_command.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <string>
#include <vector>

#include <boost/test/unit_test.hpp>

#include "tests/tools/test_server.h"
#include "tools/load_socket.h"

namespace kv::tools {
namespace {

/// What is printed meanwhile goes nowhere.
class Quiet {
 public:
  Quiet() {
    std::fflush(stdout);
    const load::Descriptor nowhere{open("/dev/null", O_WRONLY | O_CLOEXEC)};
    dup2(nowhere.number(), STDOUT_FILENO);
    dup2(nowhere.number(), STDERR_FILENO);
  }
  Quiet(const Quiet&) = delete;
  Quiet& operator=(const Quiet&) = delete;
  ~Quiet() {
    std::fflush(stdout);
    dup2(out_.number(), STDOUT_FILENO);
    dup2(err_.number(), STDERR_FILENO);
  }

 private:
  load::Descriptor out_{dup(STDOUT_FILENO)};
  load::Descriptor err_{dup(STDERR_FILENO)};
};

int run(const std::vector<std::string>& words) {
  std::vector<const char*> arguments{"bench"};
  for (const std::string& word : words) {
    arguments.push_back(word.c_str());
  }
  const Quiet quiet;
  return bench_command(static_cast<int>(arguments.size()), arguments.data());
}

}  // namespace

BOOST_AUTO_TEST_SUITE(tools_bench_command)

BOOST_AUTO_TEST_CASE(the_report_has_what_was_run_and_what_came_of_it) {
  load::Plan plan;
  BOOST_TEST(load::read_target("udp://[::1]:5555", plan.target) == "");
  plan.clients = 3;
  plan.mix.keys = 77;
  load::Outcome outcome;
  outcome.ops = 500;
  outcome.seconds = 2;
  outcome.latency.record(std::chrono::microseconds{1}, 500);
  outcome.count_error(4, "why");
  const std::string json = to_json(plan, outcome);
  for (const std::string_view member :
       {R"("target": "udp://[::1]:5555")", R"("clients": 3)", R"("keys": 77)",
        R"("ops_per_s": 250.000)", R"("p50_us": 1.000)", R"("p99_us": 1.000)",
        R"("p999_us": 1.000)", R"("max_us": 1.000)", R"("errors": 4)"}) {
    BOOST_TEST(json.find(member) != std::string::npos, member << " in " << json);
  }
  BOOST_TEST(json.find('\n') == std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_wrong_flag_is_exit_2) {
  const std::string target = "line://127.0.0.1:1";
  BOOST_TEST(run({}) == 2);
  BOOST_TEST(run({"--target", "http://127.0.0.1:1"}) == 2);
  BOOST_TEST(run({"--target", target, "--gets", "101"}) == 2);
  BOOST_TEST(run({"--target", target, "--clients", "0"}) == 2);
  BOOST_TEST(run({"--target", target, "--seconds", "-1"}) == 2);
  BOOST_TEST(run({"--target", target, "--seconds", "1s"}) == 2);
  BOOST_TEST(run({"--target", target, "--idle", "1", "--accepts", "1"}) == 2);
  BOOST_TEST(run({"--target", "udp://127.0.0.1:1", "--idle", "1"}) == 2);
  BOOST_TEST(run({"--target", "udp://127.0.0.1:1", "--value", "65000"}) == 2);
  BOOST_TEST(run({"--target", "memcache-udp://127.0.0.1:1", "--value", "1400"}) == 2);
  BOOST_TEST(run({"--target", "resp://127.0.0.1:1", "--ids"}) == 2);
  BOOST_TEST(run({"--nonsense"}) == 2);
}

BOOST_AUTO_TEST_CASE(a_run_is_exit_0_and_one_that_cannot_be_is_exit_1) {
  using load::TestServer;
  std::string target;
  {
    const TestServer server{load::Dialect::line, load::Transport::tcp, {}};
    target = to_text(server.target());
    BOOST_TEST(run({"--target", target, "--keys", "20", "--ops", "30", "--clients", "2"}) == 0);
    BOOST_TEST(server.served() == 50U);
    BOOST_TEST(run({"--target", target, "--keys", "20", "--fill-only"}) == 0);
    BOOST_TEST(server.served() == 70U);
    BOOST_TEST(run({"--target", target, "--accepts", "10", "--seconds", "0"}) == 0);
    BOOST_TEST(server.served() == 80U);
  }
  BOOST_TEST(run({"--target", target}) == 1);
  const TestServer refusing{load::Dialect::line, load::Transport::tcp, {.wrong_every = 3}};
  BOOST_TEST(run({"--target", to_text(refusing.target()), "--keys", "20"}) == 1);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::tools
