#include "tools/compare_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "tools/run_words.h"

namespace kv::logs {
namespace {

constexpr std::string_view nothing = "-";

struct Column {
  std::string_view group;  // over the first column of a group
  std::string_view title;
  std::size_t width;
};

constexpr std::array columns{Column{"", "phase", 0},
                             Column{"", "operations", 11},
                             Column{"", "per s", 8},
                             Column{"latency, ms", "p50", 8},
                             Column{"", "p99", 8},
                             Column{"", "p99.9", 8},
                             Column{"per write", "msgs", 7},
                             Column{"", "bytes", 7},
                             Column{"", "syncs", 6},
                             Column{"not done", "abort", 7},
                             Column{"", "unav", 6},
                             Column{"", "unkn", 6},
                             Column{"stood still, s", "longest", 9},
                             Column{"", "writes", 7},
                             Column{"", "reads", 7},
                             Column{"", "elect", 6},
                             Column{"", "linear", 8}};

/// How long, of the time in which somebody asked, at least one trouble lasted.
double troubled_seconds(const Group& group) {
  const std::vector<Interval> spans = group.operations().spans();
  if (spans.empty()) {
    return 0;
  }
  std::vector<Trouble> troubles = troubles_of(group.marks(), spans.back().end);
  std::ranges::sort(troubles, {}, [](const Trouble& trouble) { return trouble.when.begin; });
  Micros sum = 0;
  for (const Interval& span : spans) {
    Micros until = span.begin;
    for (const Trouble& trouble : troubles) {
      const Micros begin = std::max(until, trouble.when.begin);
      const Micros end = std::min(span.end, trouble.when.end);
      sum += std::max<Micros>(0, end - begin);
      until = std::max(until, end);
    }
  }
  return static_cast<double>(sum) * 1e-6;
}

std::string optional_number(const std::optional<double>& number, int decimals) {
  return number ? fmt::format("{:.{}f}", *number, decimals) : std::string{nothing};
}

std::string milliseconds(double micros) {
  return fmt::format("{:.{}f}", micros * 1e-3, micros < 100'000 ? 2 : 0);
}

std::string word_of(const Judgement& judgement) {
  switch (judgement.verdict) {
    case Verdict::yes:
      return judgement.one_key_in == 1 ? "yes" : "yes 1/" + std::to_string(judgement.one_key_in);
    case Verdict::no:
      return "NO";
    case Verdict::cannot_tell:
      return "?";
    case Verdict::nothing_to_judge:
      break;
  }
  return std::string{nothing};
}

std::array<std::string, columns.size()> cells_of(const Row& row) {
  return {row.name + (row.seen_by_clients ? "" : " *"),
          std::to_string(row.operations),
          fmt::format("{:.0f}", row.per_second),
          milliseconds(row.p50_us),
          milliseconds(row.p99_us),
          milliseconds(row.p999_us),
          optional_number(row.messages_per_write, 1),
          optional_number(row.bytes_per_write, 0),
          optional_number(row.syncs_per_write, 2),
          std::to_string(row.aborted),
          std::to_string(row.unavailable),
          std::to_string(row.unknown),
          fmt::format("{:.2f}", row.longest_stall_s),
          optional_number(row.without_writes_s, 2),
          optional_number(row.without_reads_s, 2),
          row.elections ? std::to_string(*row.elections) : std::string{nothing},
          word_of(row.linearizable)};
}

void append_heads(std::string& text, std::size_t first_width) {
  std::string groups;
  std::string titles = fmt::format("{:<{}}", columns[0].title, first_width);
  for (std::size_t i = 1; i < columns.size(); ++i) {
    if (!columns[i].group.empty()) {
      groups.resize(titles.size() + columns[i].width - columns[i].title.size(), ' ');
      groups += columns[i].group;
    }
    titles += fmt::format("{:>{}}", columns[i].title, columns[i].width);
  }
  text += groups + "\n" + titles + "\n";
}

std::string_view legend() {
  return "per write: what the replicas sent each other and forced to disk, for each acknowledged "
         "write, idle traffic included\n"
         "not done: aborted and unavailable are certainly not done; unknown may or may not be\n"
         "stood still: the longest time without any answer, and the sum of all gaps of 0.25 s or "
         "more without a write, without a read\n";
}

}  // namespace

Row row_of(const Group& group) {
  const OperationStats& operations = group.operations();
  const auto micros = [&operations](double share) {
    return static_cast<double>(operations.latency().quantile(share).count()) * 1e-3;
  };
  const auto seconds = [](const std::optional<Micros>& time) {
    return time ? std::optional{static_cast<double>(*time) * 1e-6} : std::nullopt;
  };
  Row row{.name = group.name(),
          .seen_by_clients = group.seen_by_clients(),
          .operations = operations.asked(),
          .per_second = operations.per_second(),
          .p50_us = micros(0.5),
          .p99_us = micros(0.99),
          .p999_us = micros(0.999),
          .aborted = operations.of(Status::aborted),
          .unavailable = operations.of(Status::unavailable),
          .unknown = operations.of(Status::unknown),
          .refused = operations.of(Status::bad_request),
          .longest_stall_s = static_cast<double>(operations.longest_stall()) * 1e-6,
          .without_writes_s = seconds(operations.without_writes()),
          .without_reads_s = seconds(operations.without_reads()),
          .troubled_s = troubled_seconds(group),
          .went_down = std::ranges::any_of(
              group.marks(), [](const Mark& mark) { return mark.kind == Mark::Kind::down; }),
          .linearizable = group.judgement(),
          .not_understood = group.lines_not_understood()};
  if (group.has_totals() && operations.writes_answered() > 0) {
    const Totals totals = group.totals();
    const auto per_write = [&operations](std::uint64_t count) {
      return static_cast<double>(count) / static_cast<double>(operations.writes_answered());
    };
    row.messages_per_write = per_write(totals.messages);
    row.bytes_per_write = per_write(totals.bytes);
    row.syncs_per_write = per_write(totals.syncs);
  }
  if (group.has_replicas()) {
    row.elections = group.elections();
  }
  return row;
}

std::string to_text(const std::vector<Row>& rows) {
  std::size_t first_width = 16;
  bool starred = false;
  for (const Row& row : rows) {
    first_width = std::max(first_width, row.name.size() + 2);
    starred |= !row.seen_by_clients;
  }
  std::string text;
  append_heads(text, first_width);
  for (const Row& row : rows) {
    const auto cells = cells_of(row);
    text += fmt::format("{:<{}}", cells[0], first_width);
    for (std::size_t i = 1; i < columns.size(); ++i) {
      text += fmt::format("{:>{}}", cells[i], columns[i].width);
    }
    text += "\n";
  }
  text += legend();
  text += starred ? "*: no client left a log there; these are the servers' own counts\n" : "";
  text += "what to trust it with, from this run alone:\n";
  for (const Row& row : rows) {
    const Advice advice = advice_of(row);
    text += fmt::format("{:<{}}{}\n{:<{}}  {}\n", row.name, first_width, advice.trust, "",
                        first_width, advice.because);
  }
  for (const Row& row : rows) {
    if (row.not_understood > 0) {
      text += fmt::format("{}: {} lines are no log lines of ours\n", row.name, row.not_understood);
    }
    if (row.linearizable.one_key_in > 1) {
      text += fmt::format(
          "{}: too many operations to hold; one key in {} was judged, with all of its own\n",
          row.name, row.linearizable.one_key_in);
    }
    if (row.linearizable.verdict == Verdict::no) {
      text += row.name + " is not linearizable; nothing explains these:\n" + row.linearizable.why;
    } else if (row.linearizable.verdict == Verdict::cannot_tell) {
      text +=
          row.name + ": whether it is linearizable cannot be told: " + row.linearizable.why + "\n";
    }
  }
  return text;
}

}  // namespace kv::logs
