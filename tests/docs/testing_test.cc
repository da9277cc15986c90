// docs/TESTING.md names a test for each rule of Raft's paper: there is such a test.
#include <fstream>
#include <initializer_list>
#include <string>

#include <boost/test/unit_test.hpp>

namespace {

/// A case of one of the suites that the table is about.
bool is_raft_case(const std::string& name) {
  namespace unit_test = boost::unit_test;
  for (const char* suite : {"phase5_election", "phase5_log", "phase5_forward", "phase5_safety"}) {
    const auto id = unit_test::framework::master_test_suite().get(suite);
    BOOST_REQUIRE(id != unit_test::INV_TEST_UNIT_ID);
    const auto& cases = unit_test::framework::get<unit_test::test_suite>(id);
    if (cases.get(name) != unit_test::INV_TEST_UNIT_ID) {
      return true;
    }
  }
  return false;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(docs_testing)

BOOST_AUTO_TEST_CASE(each_test_that_the_table_of_rafts_rules_names_is_there) {
  std::ifstream page{"docs/TESTING.md"};
  BOOST_REQUIRE_MESSAGE(page, "run the tests from the repository's root");
  std::size_t named = 0;
  std::string line;
  for (bool in_table = false; std::getline(page, line);) {
    in_table = line == "| section | the rule | test |" || (in_table && line.starts_with('|'));
    for (std::size_t at = line.find('`'); in_table && at != std::string::npos;) {
      const std::size_t end = line.find('`', at + 1);
      BOOST_REQUIRE(end != std::string::npos);
      const std::string name = line.substr(at + 1, end - at - 1);
      BOOST_TEST(is_raft_case(name), name << " is not there");
      ++named;
      at = line.find('`', end + 1);
    }
  }
  BOOST_TEST(named >= 50U);
}

BOOST_AUTO_TEST_SUITE_END()
