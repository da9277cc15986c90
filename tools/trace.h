// One operation's way through every node, from the lines of the logs.
//
// A line belongs to the operation if it carries its op=, or what the operation's own lines tie it
// to: the transaction, slot or log index in which it travelled. With it come the faults that
// struck meanwhile.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "tools/compare_stats.h"
#include "tools/log_lines.h"

namespace kv::logs {

struct Step {
  Micros at = 0;
  std::uint32_t node = 0;  // 0: a client, or the cluster
  std::string who;         // "node 3", "client tcp_client", "cluster"
  std::string event;
  std::string rest;        // the other fields, as they stand in the line
  std::uint32_t from = 0;  // the node whose message this was; 0: nobody's
};

class Trace {
 public:
  static constexpr std::size_t steps_max = 20'000;
  static constexpr std::size_t ties_max = 64;

  explicit Trace(std::string op) : op_(std::move(op)) {}

  /// First every file so, then every file by read_tied(). False, and a reason in `why`, if it
  /// cannot be read.
  bool read_own(const std::string& path, std::string& why);
  bool read_tied(const std::string& path, std::string& why);

  /// By their times. Lines of the cluster's only from shortly before the first to the last.
  std::vector<Step> steps() const;

 private:
  void own_line(std::string_view text);
  void tied_line(std::string_view text);
  bool add(std::string_view text);
  bool is_tied(std::string_view fields) const;

  std::string op_;
  std::set<std::string, std::less<>> ties_;  // "txn=1.2.3", "slot=42"
  std::vector<Step> own_;
  std::vector<Step> tied_;
  std::vector<Step> faults_;
  TimeReader time_;
};

/// The steps as text: a line each, a column for each node; then where the time went.
std::string to_text(const std::vector<Step>& steps, std::uint32_t nodes);

/// The longest time between two of the operation's steps until its answer, in words; empty if
/// there is none.
std::string longest_wait(const std::vector<Step>& steps);

}  // namespace kv::logs
