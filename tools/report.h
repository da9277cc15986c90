// The report: one HTML file that holds all it shows, and opens without a network.
#pragma once

#include <string>
#include <vector>

#include "tools/compare_group.h"
#include "tools/compare_table.h"

namespace kv::logs {

/// What a reader in a hurry wants to know of a run, in a sentence or two.
std::string summary_of(const Row& row);

/// The page. `rows` are the groups', in the same order.
std::string report_html(const std::vector<Group>& groups, const std::vector<Row>& rows);

/// The figures as the page has them: a JSON object that is safe within a script element.
std::string report_json(const std::vector<Group>& groups, const std::vector<Row>& rows);

}  // namespace kv::logs
