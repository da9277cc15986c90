// The report holds what the rows say, whatever stands in the logs.
#include "tools/report.h"

#include <boost/test/unit_test.hpp>

#include "tools/report_page.h"
#include "tools/space_time.h"

namespace kv::logs {
namespace {

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

std::string json_of(const Row& row, std::vector<CloseUp> close_ups = {}) {
  const Group group{"x"};
  return report_json({{.group = &group, .row = row, .close_ups = std::move(close_ups)}});
}

Row row() {
  Row row{.name = "phase5_raft", .operations = 10};
  row.linearizable.verdict = Verdict::yes;
  return row;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(tools_report)

BOOST_AUTO_TEST_CASE(a_figure_is_a_number_or_null) {
  Row some = row();
  some.messages_per_write = 8;
  some.elections = 3;
  const std::string json = json_of(some);
  BOOST_TEST(has(json, R"("messages":8E0,)"), json);
  BOOST_TEST(has(json, R"("elections":3,)"), json);
  BOOST_TEST(has(json, R"("syncs":null,)"), json);
  BOOST_TEST(has(json, R"("trust":"nothing yet","because":"No fault)"), json);
}

BOOST_AUTO_TEST_CASE(nothing_in_the_logs_can_end_the_script_or_leave_its_text) {
  Row evil = row();
  evil.name = "</script><script>alert(1)</script><!-- \"'\\ \x01";
  const std::string json = json_of(evil);
  BOOST_TEST(!has(json, "<"));
  BOOST_TEST(!has(json, "\x01"));
}

BOOST_AUTO_TEST_CASE(an_operation_from_near_is_drawn_from_its_steps) {
  const Step step{.at = 5, .node = 2, .who = "node 2", .event = "vote", .rest = "yes=1", .from = 1};
  const std::string json =
      json_of(row(), {{.op = "c.7", .words = "slow", .nodes = 3, .steps = {step}}});
  BOOST_TEST(
      has(json, R"("near":[{"op":"c.7","words":"slow","nodes":3,"steps":[{"at":5,"node":2,)"),
      json);
}

BOOST_AUTO_TEST_CASE(the_page_is_whole_and_asks_nobody_for_anything) {
  const Group group{"x"};
  const std::string page = report_html({{.group = &group, .row = row(), .close_ups = {}}});
  BOOST_TEST(page.starts_with("<!doctype html>"));
  BOOST_TEST(has(page, R"("name":"phase5_raft")"));
  BOOST_TEST(!has(page, report_data_mark));
  BOOST_TEST(!has(page, space_time_mark));
  for (const std::string_view outside : {"http://", "https://", "src=", "@import", "fetch("}) {
    BOOST_TEST(!has(page, outside), outside);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::logs
