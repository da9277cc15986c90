#include "common/core/hash.h"

#include <set>
#include <string>

#include <boost/test/unit_test.hpp>

#include "common/core/digest.h"
#include "common/kv/command.h"

namespace kv {
namespace {

Bytes digest_of(const Command& command) {
  Bytes bytes;
  DigestWriter writer{bytes};
  Command::fields(command, writer);
  return bytes;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(core_hash)

// Journals, frames and snapshots live on these numbers: they must never change.
BOOST_AUTO_TEST_CASE(the_numbers_are_those_of_xxh3) {
  BOOST_TEST(hash_of("") == 0x2d06800538d394c2U);
  BOOST_TEST(hash_of("abc") == 0x78af5f94892f3950U);
}

BOOST_AUTO_TEST_CASE(another_seed_or_byte_gives_another_number) {
  std::set<std::uint64_t> seen;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    for (std::size_t length = 0; length < 300; ++length) {
      seen.insert(hash_of(std::string(length, 'x'), seed));
    }
  }
  BOOST_TEST(seen.size() == 30'000U);
}

BOOST_AUTO_TEST_CASE(structs_that_differ_only_in_where_a_field_ends_give_different_digests) {
  const std::set<Bytes> digests = {digest_of({.key = "ab", .value = "c"}),
                                   digest_of({.key = "a", .value = "bc"}),
                                   digest_of({.value = "abc"}),
                                   digest_of({.writes = {{.key = "abc"}}}),
                                   digest_of({.guards = {{.key = "abc"}}}),
                                   digest_of({.guards = {{.key = "ab", .value = "c"}}})};
  BOOST_TEST(digests.size() == 6U);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv
