#include "tools/run_words.h"

#include <fmt/format.h>

namespace kv::logs {
namespace {

/// A service that did not write for this share of the time of trouble waits for it to be over.
constexpr double waits_share = 0.5;

Advice advice_of_right_answers(const Row& row) {
  const double stopped = row.without_writes_s.value_or(0);
  if (row.troubled_s == 0) {
    return {"nothing yet", "No fault struck in this run: it tells of speed and cost alone."};
  }
  if (!row.elections) {
    return {"what one process may hold",
            fmt::format("Every answer was right, but there is no copy that could go on: nobody "
                        "could write for {:.1f} s.",
                        stopped)};
  }
  const std::string seen = fmt::format(
      "Every answer was right. A replica or a link was down for {:.1f} s: ", row.troubled_s);
  if (stopped >= waits_share * row.troubled_s) {
    return {"data that must not be lost, if writing may wait",
            seen + fmt::format("one could not write for {:.1f} s, until it was back.", stopped)};
  }
  return {"data that must not be lost, and must stay writable",
          seen + fmt::format("one could write all but {:.1f} s of that time.", stopped)};
}

}  // namespace

Advice advice_of(const Row& row) {
  switch (row.linearizable.verdict) {
    case Verdict::yes:
      return advice_of_right_answers(row);
    case Verdict::no:
      if (row.went_down && !row.elections) {
        return {"caches, and what can be made again",
                "When its process was killed, it forgot what it had acknowledged."};
      }
      return {"nothing",
              "Its answers contradict each other, which no fault excuses: quintet compare prints "
              "those that prove it."};
    case Verdict::cannot_tell:
    case Verdict::nothing_to_judge:
      break;
  }
  return {"nothing yet", "Whether its answers were right cannot be told from these logs."};
}

std::string figures_of(const Row& row) {
  std::string text = fmt::format("{:.0f} answers a second, 99 % within {:.1f} ms", row.per_second,
                                 row.p99_us * 1e-3);
  if (row.messages_per_write) {
    text += fmt::format(" · {:.1f} messages and {:.1f} forced writes a write",
                        *row.messages_per_write, row.syncs_per_write.value_or(0));
  }
  text += fmt::format(" · stood still: writes {:.1f} s, reads {:.1f} s",
                      row.without_writes_s.value_or(0), row.without_reads_s.value_or(0));
  const std::uint64_t refused = row.aborted + row.unavailable;
  if (refused + row.unknown > 0) {
    text += fmt::format(" · {} refused, {} ended unknown", refused, row.unknown);
  }
  return text;
}

}  // namespace kv::logs
