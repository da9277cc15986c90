// phase2_rpc/README.md shows a service: it stands so in a file that compiles, and it works.
#include <algorithm>
#include <fstream>
#include <iterator>
#include <string>

#include <boost/test/unit_test.hpp>

#include "common/host/clock.h"
#include "phase2_rpc/rpc_server.h"
#include "tests/phase2_rpc/example_service.h"

namespace kv::rpc {
namespace {

std::string text_of(const std::string& path) {
  std::ifstream file{path};
  BOOST_REQUIRE_MESSAGE(file, "run the tests from the repository's root: there is no " << path);
  return {std::istreambuf_iterator<char>{file}, {}};
}

void ignore(Level, std::string_view) {}

}  // namespace

BOOST_AUTO_TEST_SUITE(phase2_readme)

BOOST_AUTO_TEST_CASE(the_example_stands_in_the_tested_file_as_it_is_shown) {
  const std::string document = text_of("phase2_rpc/README.md");
  const std::string fence = "```cpp\n";
  const std::size_t at = document.find(fence);
  BOOST_REQUIRE(at != std::string::npos);
  const std::size_t begin = at + fence.size();
  const std::string shown = document.substr(begin, document.find("```", begin) - begin);
  BOOST_TEST((text_of("tests/phase2_rpc/example_service.h").find(shown) != std::string::npos));
  BOOST_TEST(std::ranges::count(shown, '\n') <= 25);
}

BOOST_AUTO_TEST_CASE(the_example_counts_votes) {
  std::map<std::string, std::uint64_t> votes;
  Dispatcher dispatcher{[] { return host::run_now(); },
                        [](const std::function<void()>&) { return false; }};
  serve_poll(dispatcher, votes);
  RpcServer server{{.listen = {.host = "127.0.0.1", .port = 0}}, dispatcher, ignore};
  BOOST_REQUIRE_EQUAL(server.start(), "");
  RpcClient client{{.servers = {server.address()}}, ignore};
  BOOST_TEST(vote_for(client, "ada").value().votes == 1U);
  BOOST_TEST(vote_for(client, "ada").value().votes == 2U);
  BOOST_TEST(vote_for(client, "grace").value().votes == 1U);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::rpc
