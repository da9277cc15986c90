// The report: one HTML file that holds all it shows, and opens without a network.
#pragma once

#include <string>
#include <vector>

#include "tools/close_up.h"
#include "tools/compare_group.h"
#include "tools/compare_table.h"

namespace kv::logs {

/// A run with all that the page tells of it.
struct ReportedRun {
  const Group* group;
  Row row;
  std::vector<CloseUp> close_ups;
};

std::string report_html(const std::vector<ReportedRun>& runs);

/// The figures as the page has them: a JSON object that is safe within a script element.
std::string report_json(const std::vector<ReportedRun>& runs);

}  // namespace kv::logs
