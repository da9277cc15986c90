#include <boost/test/unit_test.hpp>

#include "phase3_2pc/choices.h"
#include "phase3_2pc/two_phase_replica.h"
#include "tests/phase3_2pc/described.h"
#include "tests/transcripts/test_player.h"

namespace kv::two_phase {
namespace {

std::unique_ptr<Replica> make(NodeId self, const std::vector<NodeId>& nodes,
                              const test::Cast::Settings& settings) {
  Choices choices;
  for (const auto& [name, value] : settings) {
    (name == "conflict" ? choices.conflict : choices.presumed) = value;
  }
  TwoPhaseOptions options = options_of(choices);
  options.seed = self.value;
  options.note_level = Level::debug;
  return std::make_unique<TwoPhaseReplica>(self, nodes, options);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(phase3_transcripts)

BOOST_AUTO_TEST_CASE(every_transcript_is_what_happens) {
  test::play_transcripts("tests/transcripts/2pc", {.make = make, .describe = described});
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::two_phase
