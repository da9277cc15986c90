#include <algorithm>
#include <cstdlib>

#include <boost/test/unit_test.hpp>

#include "tests/cs3700/cs3700_world.h"

namespace kv::raft {
namespace {

/// How many seeds each configuration is run with: CS3700_SEEDS, for the soak; else a few.
std::uint64_t seeds() {
  const char* text = std::getenv("CS3700_SEEDS");
  return text == nullptr ? 1 : std::strtoull(text, nullptr, 10);
}

/// What was answered by a leader that was lost before anybody knew so is answered again by the
/// next: an ok that comes twice, at most one a loss.
std::uint64_t duplicates_max(const Cs3700Config& config) {
  const std::size_t cut_off = config.leader_in_majority ? 0 : config.cuts.size();
  return std::max<std::uint64_t>(1, config.leader_killed.size() + cut_off);
}

void show(const Cs3700Config& config, std::uint64_t seed, const Cs3700Result& result) {
  BOOST_TEST_MESSAGE(config.name << " seed " << seed << ": messages=" << result.messages
                                 << " median_ms=" << result.median_ms << " answered="
                                 << result.answered << " unanswered=" << result.unanswered << "/"
                                 << result.unanswered_here << " duplicates=" << result.duplicates
                                 << " redirects=" << result.redirects << " fails=" << result.fails
                                 << " wrong=" << result.wrong << " " << result.broken);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(cs3700)

BOOST_AUTO_TEST_CASE(the_published_configurations_are_passed) {
  for (const Cs3700Config& config : cs3700_configs()) {
    for (std::uint64_t seed = 1; seed <= seeds(); ++seed) {
      const Cs3700Result result = run_cs3700(config, seed);
      show(config, seed, result);
      BOOST_TEST_CONTEXT(config.name << ", seed " << seed) {
        BOOST_TEST(result.broken == "");
        BOOST_TEST(result.wrong == 0U);
        BOOST_TEST(result.unanswered_here == 0U);
        BOOST_TEST(result.duplicates <= duplicates_max(config));
        BOOST_TEST(result.messages < config.messages_second);
        BOOST_TEST(result.median_ms < config.latency_second_ms);
      }
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::raft
