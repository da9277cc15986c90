#include "common/sim/linearizability.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <span>
#include <string_view>

#include "common/sim/key_events.h"
#include "common/wire/logfmt.h"

namespace kv::sim {
namespace {

bool is_unknown(const Operation& operation) {
  return operation.result == Status::unknown || operation.returned == never_returned;
}

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

enum class Ease : std::uint8_t { reads, writes };

bool can_be_eased(const Operation& operation, Ease what) {
  return what == Ease::reads ? changes_nothing(operation)
                             : !changes_nothing(operation) && !is_unknown(operation);
}

/// The piece without operations [begin, end) as far as that can only make it easier to explain:
/// what changes nothing goes, or a write becomes one that perhaps was not done.
std::vector<Operation> eased(const std::vector<Operation>& piece, std::size_t begin,
                             std::size_t end, Ease what) {
  std::vector<Operation> easier;
  for (std::size_t at = 0; at < piece.size(); ++at) {
    const bool inside = at >= begin && at < end;
    if (inside && what == Ease::reads && can_be_eased(piece[at], what)) {
      continue;
    }
    easier.push_back(piece[at]);
    if (inside && what == Ease::writes && can_be_eased(piece[at], what)) {
      forget_outcome(easier.back());
    }
  }
  leave_out_unnoticed(easier);
  return easier;
}

/// Eases runs of `size` operations wherever the rest still cannot be explained; true if anywhere.
bool cut_down(std::vector<Operation>& piece, std::size_t size, Ease what, SearchBudget& budget) {
  bool any = false;
  for (std::size_t begin = 0; begin < piece.size();) {
    const std::size_t end = std::min(begin + size, piece.size());
    const auto run = std::span{piece}.subspan(begin, end - begin);
    if (std::ranges::any_of(run, [what](const auto& one) { return can_be_eased(one, what); })) {
      std::vector<Operation> trial = eased(piece, begin, end, what);
      if (search_key(trial, budget).verdict == Verdict::not_linearizable) {
        piece = std::move(trial);
        any = true;
        continue;  // what follows has moved up, or cannot be eased again
      }
    }
    begin = end;
  }
  return any;
}

std::vector<Operation> least_of(const std::vector<Operation>& operations, HistoryTime at,
                                const CheckLimits& limits) {
  SearchBudget budget{limits.steps_max, limits.configurations_max};
  std::vector<Operation> piece = up_to(operations, at);
  if (search_key(piece, budget).verdict != Verdict::not_linearizable) {
    piece = up_to(operations, HistoryTime::max());  // what came later was foreseen: key_search.h, 5
  }
  // Reads first: a write that is taken as unknown must stay for as long as somebody read it.
  for (const Ease what : {Ease::reads, Ease::writes}) {
    for (std::size_t size = piece.size() / 2; size > 1; size /= 2) {
      cut_down(piece, size, what, budget);
    }
  }
  while (cut_down(piece, 1, Ease::reads, budget) || cut_down(piece, 1, Ease::writes, budget)) {
  }
  return piece;
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
