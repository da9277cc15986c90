// docs/ARCHITECTURE.md shows a piece of a tested file: it shows what stands there.
#include <algorithm>
#include <fstream>
#include <iterator>
#include <string>

#include <boost/test/unit_test.hpp>

namespace {

std::string text_of(const std::string& path) {
  std::ifstream file{path};
  BOOST_REQUIRE_MESSAGE(file, "run the tests from the repository's root: there is no " << path);
  return {std::istreambuf_iterator<char>{file}, {}};
}

}  // namespace

BOOST_AUTO_TEST_SUITE(docs_architecture)

BOOST_AUTO_TEST_CASE(each_paragraph_of_the_worked_example_stands_in_the_tested_file) {
  const std::string document = text_of("docs/ARCHITECTURE.md");
  const std::string tested = text_of("tests/common/sim/primary_backup.h");
  const std::string fence = "```cpp\n";
  std::size_t at = document.find(fence);
  BOOST_REQUIRE(at != std::string::npos);
  at += fence.size();
  const std::size_t end = document.find("```", at);
  std::size_t paragraphs = 0;
  while (at < end) {
    const std::size_t stop = std::min(document.find("\n\n", at), end);
    const std::string paragraph = document.substr(at, stop - at);
    BOOST_TEST((tested.find(paragraph) != std::string::npos), paragraph << "\nis not there");
    ++paragraphs;
    at = stop + 2;
  }
  BOOST_TEST(paragraphs >= 6);
}

BOOST_AUTO_TEST_SUITE_END()
