#include "common/host/address.h"

#include <netinet/in.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>

namespace kv::host {

BOOST_AUTO_TEST_SUITE(host_address)

BOOST_AUTO_TEST_CASE(a_numeric_address_resolves_to_itself_in_both_families) {
  std::string why;
  const auto four =
      resolve({.host = "127.0.0.1", .port = 80, .off = false}, SOCK_STREAM, Purpose::connect, why);
  BOOST_TEST_REQUIRE(four.size() == 1U);
  BOOST_TEST(to_text(four[0]) == "127.0.0.1:80");
  const auto six =
      resolve({.host = "::1", .port = 81, .off = false}, SOCK_DGRAM, Purpose::connect, why);
  BOOST_TEST_REQUIRE(six.size() == 1U);
  BOOST_TEST(to_text(six[0]) == "[::1]:81");
  BOOST_TEST(six[0].port() == 81);
}

BOOST_AUTO_TEST_CASE(localhost_has_an_address) {
  std::string why;
  const auto found =
      resolve({.host = "localhost", .port = 1, .off = false}, SOCK_STREAM, Purpose::connect, why);
  BOOST_TEST(!found.empty(), why);
}

BOOST_AUTO_TEST_CASE(a_name_that_is_none_is_refused_with_the_name_in_the_reason) {
  std::string why;
  BOOST_TEST(
      resolve({.host = "no host", .port = 1, .off = false}, SOCK_STREAM, Purpose::connect, why)
          .empty());
  BOOST_TEST(why.starts_with("cannot resolve host 'no host': "), why);
}

BOOST_AUTO_TEST_CASE(a_socket_bound_to_port_0_tells_the_port_it_got) {
  std::string why;
  const auto addresses =
      resolve({.host = "127.0.0.1", .port = 0, .off = false}, SOCK_STREAM, Purpose::listen, why);
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  BOOST_TEST_REQUIRE(bind(listener, addresses.at(0).get(), addresses[0].length) == 0);
  BOOST_TEST(address_of(listener).port() != 0);
  close(listener);
  BOOST_TEST(address_of(-1).length == 0U);
}

BOOST_AUTO_TEST_CASE(a_wildcard_is_told_from_an_address) {
  const auto is_wildcard_at = [](const char* numeric) {
    std::string why;
    const auto found =
        resolve({.host = numeric, .port = 1, .off = false}, SOCK_DGRAM, Purpose::listen, why);
    BOOST_TEST_REQUIRE(found.size() == 1U, why);
    return is_wildcard(found[0]);
  };
  for (const char* wildcard : {"0.0.0.0", "::", "::ffff:0.0.0.0"}) {
    BOOST_TEST(is_wildcard_at(wildcard), wildcard);
  }
  for (const char* address : {"127.0.0.1", "1.0.0.0", "::1", "::ffff:127.0.0.1"}) {
    BOOST_TEST(!is_wildcard_at(address), address);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::host
