// The comparison as a table: a row for each run, the same columns for each phase.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tools/compare_group.h"

namespace kv::logs {

/// A row's figures, before they are rounded for people. Nothing: it does not apply, or nobody
/// counted it.
struct Row {
  std::string name;
  bool seen_by_clients = true;
  std::uint64_t operations = 0;
  double per_second = 0;
  double p50_us = 0;
  double p99_us = 0;
  double p999_us = 0;
  std::optional<double> messages_per_write;
  std::optional<double> bytes_per_write;
  std::optional<double> syncs_per_write;
  std::uint64_t aborted = 0;
  std::uint64_t unavailable = 0;
  std::uint64_t unknown = 0;
  std::uint64_t refused = 0;  // malformed or too long
  std::optional<std::uint64_t> elections;
  double longest_stall_s = 0;
  std::optional<double> without_writes_s;
  std::optional<double> without_reads_s;
  double troubled_s = 0;   // while somebody asked, a replica or a link was down or paused
  bool went_down = false;  // a process was killed
  Judgement linearizable;
  std::uint64_t not_understood = 0;  // lines
};

Row row_of(const Group& group);

/// The table, its legend below it.
std::string to_text(const std::vector<Row>& rows);

}  // namespace kv::logs
