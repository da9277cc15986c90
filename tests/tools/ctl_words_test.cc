#include "tools/ctl_words.h"

#include <iterator>
#include <sstream>

#include <boost/test/unit_test.hpp>

namespace kv::tools {
namespace {

std::string wrong(const std::string& line) {
  std::istringstream words{line};
  return wrong_with({std::istream_iterator<std::string>{words}, {}});
}

}  // namespace

BOOST_AUTO_TEST_SUITE(tools_ctl_words)

BOOST_AUTO_TEST_CASE(what_the_help_shows_is_accepted) {
  for (const char* const line : {"kill 3",
                                 "kill leader",
                                 "pause any",
                                 "resume all",
                                 "restart 2",
                                 "partition 1,2 3,4,5",
                                 "partition ring",
                                 "cut 1 to 2",
                                 "cut 1 2",
                                 "slow 1 2 delay=20ms",
                                 "storm loss=5%",
                                 "heal",
                                 "status",
                                 "stop",
                                 "play x.scn",
                                 "add 4",
                                 "remove leader",
                                 "transfer 2",
                                 "for 2s slow 1 2 delay=20ms",
                                 "kill 3 disk=wiped"}) {
    BOOST_TEST(wrong(line) == "", line);
  }
}

BOOST_AUTO_TEST_CASE(a_word_too_many_or_too_few_is_refused) {
  BOOST_TEST(wrong("heal 7") == "heal: say heal");
  BOOST_TEST(wrong("kill") == "kill: say kill NODE");
  BOOST_TEST(wrong("add 4 5") == "add: say add NODE");
  BOOST_TEST(wrong("play") == "play: say play FILE");
  BOOST_TEST(wrong("cut 1") == "cut: say cut 1 to 2");
  BOOST_TEST(wrong("status now=1") == "status: say status");
  BOOST_TEST(wrong("for 2s status") == "status: is no fault that ends after a time");
  BOOST_TEST(wrong("for ever kill 3").starts_with("for: "));
}

BOOST_AUTO_TEST_CASE(to_slow_a_link_one_says_by_how_much) {
  BOOST_TEST(wrong("slow 1 2") == "slow: say by how much: slow 1 2 delay=20ms");
}

BOOST_AUTO_TEST_CASE(an_unknown_verb_is_answered_with_all_that_there_are) {
  const std::string why = wrong("foo");
  BOOST_TEST(why.starts_with("'foo' is no verb; there are "));
  for (const char* const verb : {"add NODE", "transfer NODE", "partition", "status", "stop"}) {
    BOOST_TEST(why.find(verb) != std::string::npos, verb);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::tools
