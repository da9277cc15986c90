// One operation's way, told apart from all others in the same logs.
#include "tools/trace.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>

#include <boost/test/unit_test.hpp>

#include "tools/trace_page.h"

namespace kv::logs {
namespace {

constexpr std::string_view log =
    "2026-11-20T12:00:00.000000Z info phase=3 client=tcp event=request op=c.7 verb=put key=k\n"
    "2026-11-20T12:00:00.000100Z info phase=3 node=1 event=request op=c.7 verb=put key=k\n"
    "2026-11-20T12:00:00.000150Z debug phase=3 node=1 role=coordinator event=begin txn=1.2.3 "
    "op=c.7\n"
    "2026-11-20T12:00:00.000160Z debug phase=3 node=1 event=begin txn=1.2.30 op=c.70\n"
    "2026-11-20T12:00:00.000300Z debug phase=3 node=2 event=prepare txn=1.2.3 from=1\n"
    "2026-11-20T12:00:00.000310Z debug phase=3 node=2 event=prepare txn=1.2.30 from=1\n"
    "2026-11-20T11:00:00.000000Z warn phase=3 process=cluster event=fault_begins on=5\n"
    "2026-11-20T12:00:00.100000Z warn phase=3 process=cluster event=fault_begins on=3 "
    "what=\"crash 3\"\n"
    "2026-11-20T12:00:00.210300Z info phase=3 node=1 event=answer op=c.7 result=ok us=210200\n"
    "2026-11-20T12:00:00.900000Z debug phase=3 node=2 event=apply txn=1.2.3\n"
    "2026-11-20T12:00:01.000000Z warn phase=3 process=cluster event=fault_ends on=3\n"
    "2026-11-20T12:00:02.000000Z info phase=3 node=1 event=request op=c.8 "
    "why=\"txn=1.2.3 op=c.7\"\n";

std::vector<Step> steps_of(const std::string& op, std::string_view text = log) {
  const auto path = std::filesystem::temp_directory_path() / ("trace-" + std::to_string(getpid()));
  std::ofstream{path} << text;
  Trace trace{op};
  std::string why;
  BOOST_TEST(trace.read_own(path, why), why);
  BOOST_TEST(trace.read_tied(path, why), why);
  std::filesystem::remove(path);
  return trace.steps();
}

}  // namespace

BOOST_AUTO_TEST_SUITE(tools_trace)

BOOST_AUTO_TEST_CASE(its_own_lines_those_of_its_transaction_and_the_faults_meanwhile_are_its_way) {
  std::string events;
  for (const Step& step : steps_of("c.7")) {
    events += step.who + ":" + step.event + " ";
  }
  BOOST_TEST(events ==
             "client tcp:request node 1:request node 1:begin node 2:prepare cluster:fault_begins "
             "node 1:answer node 2:apply ");
}

BOOST_AUTO_TEST_CASE(a_step_knows_whose_message_it_was) {
  const std::vector<Step> steps = steps_of("c.7");
  BOOST_TEST(steps.at(3).node == 2U);
  BOOST_TEST(steps.at(3).from == 1U);
  BOOST_TEST(steps.at(3).rest == "txn=1.2.3 from=1");
}

BOOST_AUTO_TEST_CASE(a_participant_hears_from_the_coordinator_in_the_transaction) {
  const std::string line =
      "2026-11-20T12:00:00.000100Z debug phase=3 node=2 role=participant event=prepare op=a.1 "
      "txn=4.1.9\n";
  BOOST_TEST(steps_of("a.1", line).at(0).from == 4U);
}

BOOST_AUTO_TEST_CASE(an_acceptor_hears_from_the_proposer_in_the_ballot) {
  const std::string line =
      "2026-11-20T12:00:00.000100Z debug phase=4 node=2 role=acceptor event=accept slot=9 "
      "ballot=7.3.1 op=a.1\n";
  BOOST_TEST(steps_of("a.1", line).at(0).from == 3U);
}

BOOST_AUTO_TEST_CASE(the_longest_wait_is_named_with_the_fault_in_it) {
  BOOST_TEST(longest_wait(steps_of("c.7")) ==
             "longest wait: 210.000 ms, from prepare at node 2 to answer at node 1; meanwhile "
             "fault_begins on=3 what=\"crash 3\"\n");
}

BOOST_AUTO_TEST_CASE(the_text_has_a_line_a_step_and_a_mark_in_its_nodes_column) {
  const std::string text = to_text(steps_of("c.7"), 3);
  BOOST_TEST(text.find("          ms  cl  1 2 3\n") == 0U, text);
  BOOST_TEST(text.find("0.300      . o    prepare txn=1.2.3 from=1\n") != std::string::npos, text);
  BOOST_TEST(text.find("---- fault_begins on=3") != std::string::npos, text);
}

BOOST_AUTO_TEST_CASE(an_operation_that_no_line_tells_of_has_no_steps) {
  BOOST_TEST(steps_of("c.9").empty());
}

BOOST_AUTO_TEST_CASE(the_page_holds_the_steps_and_nothing_that_could_end_its_script) {
  std::vector<Step> steps = steps_of("c.7");
  steps.front().rest = "value=</script><script>";
  const std::string page = trace_html("c.7", steps, 3);
  std::size_t ends = 0;
  for (std::size_t at = page.find("</script>"); at != std::string::npos;
       at = page.find("</script>", at + 1)) {
    ++ends;
  }
  BOOST_TEST(ends == 2U);
  BOOST_TEST(page.find("\\u003c/script>") != std::string::npos);
  BOOST_TEST(page.find("http") == std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::logs
