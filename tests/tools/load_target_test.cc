#include "tools/load_target.h"

#include <boost/test/unit_test.hpp>

namespace kv::load {

BOOST_AUTO_TEST_SUITE(tools_load_target)

BOOST_AUTO_TEST_CASE(each_scheme_says_a_dialect_and_a_transport) {
  const auto read = [](std::string_view text) {
    Target target;
    BOOST_TEST(read_target(text, target) == "");
    BOOST_TEST(to_text(target) == text);
    return std::pair{target.dialect, target.transport};
  };
  BOOST_TEST((read("line://127.0.0.1:1111") == std::pair{Dialect::line, Transport::tcp}));
  BOOST_TEST((read("udp://127.0.0.1:5555") == std::pair{Dialect::line, Transport::udp}));
  BOOST_TEST((read("rpc://127.0.0.1:7111") == std::pair{Dialect::line, Transport::rpc}));
  BOOST_TEST((read("resp://localhost:6379") == std::pair{Dialect::resp, Transport::tcp}));
  BOOST_TEST((read("memcache://a.b:11211") == std::pair{Dialect::memcache, Transport::tcp}));
  BOOST_TEST((read("memcache-udp://a.b:1") == std::pair{Dialect::memcache, Transport::udp}));
  BOOST_TEST((read("echo://[::1]:65535") == std::pair{Dialect::echo, Transport::tcp}));
  BOOST_TEST((read("echo-udp://[::1]:7") == std::pair{Dialect::echo, Transport::udp}));
}

BOOST_AUTO_TEST_CASE(several_addresses_keep_their_order) {
  Target target;
  BOOST_TEST(read_target("line://127.0.0.1:1,[::1]:2,three:3", target) == "");
  BOOST_TEST_REQUIRE(target.endpoints.size() == 3U);
  BOOST_TEST(target.endpoints[0].port == 1);
  BOOST_TEST(target.endpoints[1].host == "::1");
  BOOST_TEST(target.endpoints[2].host == "three");
}

BOOST_AUTO_TEST_CASE(what_is_no_target_is_refused_with_a_reason_and_changes_nothing) {
  for (const std::string_view text :
       {"", "127.0.0.1:1111", "line:127.0.0.1:1111", "http://127.0.0.1:80", "line://",
        "line://127.0.0.1:", "line://127.0.0.1:0", "line://127.0.0.1:65536", "line://off",
        "line://127.0.0.1:1,", "line://127.0.0.1:1x"}) {
    Target target;
    BOOST_TEST(!read_target(text, target).empty(), "accepted: " << text);
    BOOST_TEST((target == Target{}));
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::load
