// All that the logs of one run tell: its clients' operations, its servers' counts, its faults, and
// whether what the clients saw was linearizable.
//
// Three kinds of source are told apart by what they say: histories of recorded runs (*.jsonl),
// clients' logs (client=…), servers' logs. Operations are the clients'; where no client left
// anything, they are what the servers saw at their front door.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/sim/history.h"
#include "common/sim/linearizability.h"
#include "tools/client_log.h"
#include "tools/compare_stats.h"
#include "tools/log_lines.h"
#include "tools/slow_operations.h"

namespace kv::logs {

/// The servers' cumulative counts, over all replicas and all their lives.
struct Totals {
  std::uint64_t messages = 0;
  std::uint64_t bytes = 0;
  std::uint64_t records = 0;
  std::uint64_t syncs = 0;
};

enum class Verdict : std::uint8_t { yes, no, cannot_tell, nothing_to_judge };

struct Judgement {
  Verdict verdict = Verdict::nothing_to_judge;
  std::string why;               // no: the offending piece; cannot_tell: what stands in the way
  std::uint64_t one_key_in = 1;  // more: there was too much to be held, and this much was judged
};

class Group {
 public:
  /// Operations that are held for judging, each of up to about 400 bytes. Keys are judged one by
  /// one, so if there are more, every second key is left out, and again.
  static constexpr std::size_t judged_max = 1'000'000;
  static constexpr std::size_t marks_max = 20'000;

  explicit Group(std::string name, std::string folder = {}, std::size_t held_max = judged_max)
      : name_(std::move(name)), folder_(std::move(folder)), held_max_(held_max) {}

  /// Reads a log or, if it is *.jsonl, a history. False, and a reason in `why`, if it cannot be.
  bool read(const std::string& path, std::string& why);

  /// After the last file: judges, and lets go of what it held for that.
  void finish();

  const std::string& name() const { return name_; }
  const std::string& folder() const { return folder_; }
  /// The clients', or else the servers'.
  const OperationStats& operations() const { return seen_by_clients() ? clients_ : servers_; }
  bool seen_by_clients() const { return clients_.asked() > 0; }
  const OperationStats& seen_by_servers() const { return servers_; }
  bool has_totals() const { return !lives_.empty(); }
  Totals totals() const;
  std::uint64_t elections() const { return elections_; }
  bool has_replicas() const { return nodes_ > 1; }
  std::uint32_t nodes() const { return nodes_; }
  const std::vector<Mark>& marks() const { return marks_; }
  const SlowOperations& slow() const { return slow_; }
  const FileTally& tally() const { return tally_; }
  std::uint64_t lines_not_understood() const { return not_understood_; }
  const Judgement& judgement() const { return judgement_; }

 private:
  struct Life {  // a server's counts: of lives before, and of this one so far
    Totals before;
    Totals now;
  };

  void line(std::string_view text);
  void client_line(Micros at, std::string_view client, std::string_view event,
                   std::string_view fields);
  void server_line(Micros at, std::uint32_t node, std::string_view event, std::string_view fields);
  void server_answer(Micros at, std::string_view fields);
  void cluster_line(Micros at, std::string_view event, std::string_view fields);
  void totals_line(std::uint32_t node, std::string_view fields);
  void mark(Mark mark);
  void history_line(std::string_view text);
  bool read_operation(std::string_view text, std::string& id);
  void add_history(const sim::Operation& operation, std::string_view id);
  void add_clients(const Finished& finished, const sim::Operation& operation, std::string_view id);
  void end_file();
  void hold_logged(ClientOperation& logged);
  void hold(const sim::Operation& operation);
  bool is_judged(const sim::Operation& operation) const;
  Judgement judge() const;

  std::string name_;
  std::string folder_;
  FileTally tally_;
  TimeReader time_;
  std::uint64_t not_understood_ = 0;
  OperationStats clients_;
  OperationStats servers_;
  std::uint64_t server_requests_ = 0;
  std::map<std::uint32_t, Life> lives_;
  std::uint64_t elections_ = 0;
  std::uint32_t nodes_ = 0;
  std::vector<Mark> marks_;
  SlowOperations slow_;
  ClientLog client_log_;
  std::int64_t wall_ns_ = 0;            // of the history that is read
  sim::Operation operation_;            // of its line
  std::string id_;                      // likewise
  std::vector<sim::Operation> parsed_;  // likewise, if it takes the parser

  std::size_t held_max_;
  std::vector<sim::Operation> judged_;
  std::uint64_t one_key_in_ = 1;  // a power of two
  std::string judge_obstacle_;
  Judgement judgement_;
};

}  // namespace kv::logs
