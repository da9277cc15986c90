#include "common/sim/linearizability.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <iterator>
#include <map>
#include <span>
#include <string_view>

#include "common/sim/key_events.h"
#include "common/wire/logfmt.h"

namespace kv::sim {
namespace {

bool changes_nothing(const Operation& operation) {
  return operation.verb == Verb::get || operation.result == Status::not_found ||
         operation.result == Status::conflict;
}

void forget_outcome(Operation& operation) {
  operation.result = Status::unknown;
  operation.returned = never_returned;
}

/// What the operations of a piece can have noticed of unknown ones.
struct Noticed {
  explicit Noticed(const std::vector<Operation>& piece) {
    for (const Operation& operation : piece) {
      const bool compares = operation.verb == Verb::compare_and_set;
      if (compares && operation.result != Status::not_found) {
        values.push_back(operation.expected);
      }
      if (operation.verb == Verb::get && operation.result == Status::ok) {
        values.push_back(operation.value);
      }
      absence |= operation.result == Status::not_found;
      presence |= operation.result == Status::conflict ||
                  (operation.verb == Verb::erase && operation.result == Status::ok);
    }
    std::ranges::sort(values);
  }

  /// key_search.h, 2: an unknown operation is used only right before one that needs what it
  /// leaves, or in a chain to such a one.
  bool can_have_noticed(const Operation& unknown) const {
    if (unknown.verb == Verb::erase) {
      return absence;
    }
    return presence || std::ranges::binary_search(values, std::string_view{unknown.value});
  }

  std::vector<std::string_view> values;
  bool absence = false;
  bool presence = false;
};

void leave_out_unnoticed(std::vector<Operation>& piece) {
  std::size_t before = 0;
  do {
    before = piece.size();
    std::vector<bool> noticed;
    const Noticed who{piece};
    noticed.reserve(piece.size());
    for (const Operation& operation : piece) {
      noticed.push_back(!is_unknown(operation) ||
                        (operation.verb != Verb::get && who.can_have_noticed(operation)));
    }
    std::size_t at = 0;
    std::erase_if(piece, [&](const Operation&) { return !noticed[at++]; });
  } while (piece.size() < before);
}

/// What was known up to the return at `at`: it alone cannot be explained. What was under way then
/// had perhaps been done, and what was called later only follows.
std::vector<Operation> up_to(const std::vector<Operation>& operations, HistoryTime at) {
  std::vector<Operation> piece;
  for (const Operation& operation : operations) {
    const bool returned = !is_unknown(operation) && operation.returned <= at;
    if (operation.call <= at && (returned || !changes_nothing(operation))) {
      piece.push_back(operation);
      if (!returned) {
        forget_outcome(piece.back());
      }
    }
  }
  std::ranges::stable_sort(piece, {}, &Operation::call);
  leave_out_unnoticed(piece);
  return piece;
}

enum class Ease : std::uint8_t { reads, conditional_writes, puts };

bool can_be_eased(const Operation& operation, Ease what) {
  if (changes_nothing(operation) || is_unknown(operation)) {
    return what == Ease::reads && changes_nothing(operation);
  }
  return what == (operation.verb == Verb::put ? Ease::puts : Ease::conditional_writes);
}

/// The piece without operations [begin, end) as far as that can only make it easier to explain:
/// what changes nothing goes, or a write becomes one that perhaps was not done.
std::vector<Operation> eased(const std::vector<Operation>& piece, std::size_t begin,
                             std::size_t end, Ease what) {
  std::vector<Operation> easier;
  for (std::size_t at = 0; at < piece.size(); ++at) {
    const bool ease = at >= begin && at < end && can_be_eased(piece[at], what);
    if (ease && changes_nothing(piece[at])) {
      continue;
    }
    easier.push_back(piece[at]);
    if (ease) {
      forget_outcome(easier.back());
    }
  }
  leave_out_unnoticed(easier);
  return easier;
}

/// The last of the puts that were over before `time` for each value that `rest` noticed and does
/// not write: whoever reads the piece wants to see where the value came from.
std::vector<Operation> sources_of(const std::vector<Operation>& rest,
                                  const std::vector<Operation>& piece, HistoryTime time) {
  std::map<std::string_view, const Operation*> last;
  for (const std::string_view value : Noticed{rest}.values) {
    last.emplace(value, nullptr);
  }
  for (const Operation& operation : rest) {
    if (operation.verb == Verb::put) {
      last.erase(operation.value);
    }
  }
  for (const Operation& operation : piece) {
    const auto found = last.find(operation.value);
    if (operation.verb == Verb::put && operation.returned < time && found != last.end() &&
        (found->second == nullptr || found->second->returned < operation.returned)) {
      found->second = &operation;
    }
  }
  std::vector<Operation> sources;
  for (const auto& [value, operation] : last) {
    if (operation != nullptr) {
      sources.push_back(*operation);
    }
  }
  return sources;
}

/// The piece from `put` on, which is known: only easier to explain. Who may have found something
/// before it, and is not surely after it, goes or becomes unknown; then nobody in an explanation
/// notices what comes before `put`, and so of all that had returned by then any can be left out of
/// it. Unknown operations stay: they may come later.
std::vector<Operation> since(const std::vector<Operation>& piece, const Operation& put) {
  std::vector<Operation> rest;
  for (const Operation& operation : piece) {
    const bool known = !is_unknown(operation);
    const bool over = known && operation.returned < put.call;
    const bool surely_after = operation.call > put.returned;
    if (over || (known && !surely_after && changes_nothing(operation))) {
      continue;
    }
    rest.push_back(operation);
    if (known && !surely_after && operation.verb != Verb::put) {
      forget_outcome(rest.back());
    }
  }
  std::ranges::move(sources_of(rest, piece, put.call), std::back_inserter(rest));
  std::ranges::stable_sort(rest, {}, &Operation::call);
  leave_out_unnoticed(rest);
  return rest;
}

/// Cuts a piece down for as long as its budget lasts.
class Cutter {
 public:
  Cutter(std::vector<Operation> piece, const CheckLimits& limits)
      : piece_(std::move(piece)),
        left_{limits.steps_max / 10, limits.configurations_max},
        trial_steps_max_(left_.steps) {
    const std::uint64_t before = left_.steps;
    offends_ = still_offends(piece_);
    trial_steps_max_ = 4 * (before - left_.steps) + 10'000;
  }

  /// Whether the piece proves anything; else it has nothing to be cut down to.
  bool offends() const { return offends_; }

  std::vector<Operation> cut_down() {
    cut_beginning();
    // A write that is taken as unknown stays for as long as somebody may have noticed it: so those
    // who notice go first.
    constexpr Ease order[] = {Ease::reads, Ease::conditional_writes, Ease::puts};
    for (const Ease what : order) {
      for (std::size_t size = piece_.size(); size > 1; size /= 2) {
        cut_runs(size, what);
      }
    }
    while (cut_runs(1, Ease::reads) || cut_runs(1, Ease::conditional_writes) ||
           cut_runs(1, Ease::puts)) {
    }
    return std::move(piece_);
  }

 private:
  /// A trial may take several times as long as the piece did at first, and no longer: many unknown
  /// writes can be explained in too many ways.
  bool still_offends(const std::vector<Operation>& trial) {
    const std::uint64_t granted = std::min(left_.steps, trial_steps_max_);
    SearchBudget budget{granted, left_.configurations_max};
    const bool offends = search_key(trial, budget).verdict == Verdict::not_linearizable;
    left_.steps -= std::min(left_.steps, granted - budget.steps + trial.size());
    return offends;
  }

  /// What offends is most often near the end: tries ever longer ends.
  void cut_beginning() {
    std::vector<Operation> puts;
    std::ranges::copy_if(piece_, std::back_inserter(puts), [](const Operation& operation) {
      return operation.verb == Verb::put && !is_unknown(operation);
    });
    std::ranges::sort(puts, std::ranges::greater{}, &Operation::returned);
    for (std::size_t back = 1; back <= puts.size(); back *= 2) {
      std::vector<Operation> trial = since(piece_, puts[back - 1]);
      if (still_offends(trial)) {
        piece_ = std::move(trial);
        return;
      }
    }
  }

  /// Eases runs of `size` operations wherever the rest still offends; true if anywhere.
  bool cut_runs(std::size_t size, Ease what) {
    bool any = false;
    for (std::size_t begin = 0; begin < piece_.size() && left_.steps > 0;) {
      const std::size_t end = std::min(begin + size, piece_.size());
      const auto run = std::span{piece_}.subspan(begin, end - begin);
      if (std::ranges::any_of(run, [what](const auto& one) { return can_be_eased(one, what); })) {
        std::vector<Operation> trial = eased(piece_, begin, end, what);
        if (still_offends(trial)) {
          piece_ = std::move(trial);
          any = true;
          continue;  // what follows has moved up, or cannot be eased again
        }
      }
      begin = end;
    }
    return any;
  }

  std::vector<Operation> piece_;
  SearchBudget left_;
  std::uint64_t trial_steps_max_;
  bool offends_ = false;
};

std::vector<Operation> least_of(const std::vector<Operation>& operations, HistoryTime at,
                                const CheckLimits& limits) {
  Cutter early{up_to(operations, at), limits};
  if (early.offends()) {
    return early.cut_down();
  }
  // What came later was foreseen: key_search.h, 5.
  return Cutter{up_to(operations, HistoryTime::max()), limits}.cut_down();
}

std::string outcome(const Operation& operation) {
  if (is_unknown(operation)) {
    return "unknown";
  }
  std::string text{name_of(operation.result)};
  if (operation.verb == Verb::get && operation.result == Status::ok) {
    text += ' ';
    wire::append_logfmt_value(text, operation.value);
  }
  return text;
}

std::string question(const Operation& operation) {
  std::string text{name_of(operation.verb)};
  const auto add = [&text](std::string_view value) {
    text += ' ';
    wire::append_logfmt_value(text, value);
  };
  add(operation.key);
  if (operation.verb == Verb::compare_and_set) {
    add(operation.expected);
  }
  if (operation.verb == Verb::put || operation.verb == Verb::compare_and_set) {
    add(operation.value);
  }
  return text;
}

}  // namespace

CheckResult check_history(const std::vector<Operation>& history, const CheckLimits& limits) {
  std::map<std::string_view, std::vector<Operation>> by_key;
  CheckResult result;
  for (const Operation& operation : history) {
    if (says_something(operation)) {
      by_key[operation.key].push_back(operation);
      ++result.operations;
    }
  }
  result.keys = by_key.size();
  SearchBudget budget{limits.steps_max, limits.configurations_max};
  for (const auto& [key, operations] : by_key) {
    const KeyVerdict found = search_key(operations, budget);
    if (found.verdict == Verdict::not_linearizable) {
      result.verdict = found.verdict;
      result.why.clear();
      result.piece = least_of(operations, found.at, limits);
      return result;
    }
    if (found.verdict == Verdict::cannot_tell && result.verdict == Verdict::linearizable) {
      result.verdict = found.verdict;
      result.why = "key ";
      wire::append_logfmt_value(result.why, key);
      result.why.append(": ").append(found.why);
    }
  }
  return result;
}

std::string describe(const std::vector<Operation>& piece) {
  std::string text;
  if (piece.empty()) {
    return text;
  }
  HistoryTime first = piece.front().call;
  std::size_t width = 0;
  for (const Operation& operation : piece) {
    first = std::min(first, operation.call);
    width = std::max(width, question(operation).size());
  }
  const auto microseconds = [first](HistoryTime time) {
    return fmt::format("{:.3f}", static_cast<double>((time - first).count()) / 1000);
  };
  for (const Operation& operation : piece) {
    text += fmt::format("{:>12} .. {:>12} us  client {:<4} {:<{}}  -> {}\n",
                        microseconds(operation.call),
                        is_unknown(operation) ? "?" : microseconds(operation.returned),
                        operation.client, question(operation), width, outcome(operation));
  }
  return text;
}

}  // namespace kv::sim
