#include "tools/trace.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace kv::logs {
namespace {

/// What ties lines of several operations' protocol together, within one phase.
constexpr std::array tie_names{std::string_view{"txn"}, std::string_view{"slot"},
                               std::string_view{"index"}};
constexpr std::array context_names{std::string_view{"phase"},  std::string_view{"node"},
                                   std::string_view{"client"}, std::string_view{"process"},
                                   std::string_view{"event"},  std::string_view{"op"}};
constexpr Micros trace_lead = 50'000;

bool is_one_of(std::string_view name, const auto& names) {
  return std::ranges::find(names, name) != names.end();
}

std::string tie_of(const Field& field) {
  return std::string{field.name} + "=" + std::string{field.value};
}

bool is_fault(const Step& step) {
  return step.who == "cluster";
}

/// Whose message a participant takes: its transaction, NODE.LIFE.NUMBER, says so.
std::uint32_t coordinator_of(std::string_view txn) {
  return static_cast<std::uint32_t>(number_of(txn.substr(0, txn.find('.'))).value_or(0));
}

/// Whose message an acceptor takes: its ballot, ROUND.NODE.LIFE, says so.
std::uint32_t proposer_of(std::string_view ballot) {
  ballot.remove_prefix(std::min(ballot.find('.') + 1, ballot.size()));
  return static_cast<std::uint32_t>(number_of(ballot.substr(0, ballot.find('.'))).value_or(0));
}

std::string marker_columns(const Step& step, std::uint32_t nodes) {
  std::string marks = step.node == 0 ? "  o " : "    ";
  for (std::uint32_t node = 1; node <= nodes; ++node) {
    marks += node == step.node ? " o" : node == step.from ? " ." : "  ";
  }
  return marks;
}

}  // namespace

bool Trace::read_own(const std::string& path, std::string& why) {
  FileTally tally;
  return read_lines(
      path, [this](std::string_view text) { own_line(text); }, tally, why);
}

bool Trace::read_tied(const std::string& path, std::string& why) {
  FileTally tally;
  return read_lines(
      path, [this](std::string_view text) { tied_line(text); }, tally, why);
}

void Trace::own_line(std::string_view text) {
  if (text.find(op_) == std::string_view::npos) {
    return;
  }
  std::string_view fields = split(text).fields;
  const auto op = find_field(fields, "op");
  if (!op || unquoted(*op) != op_) {
    return;
  }
  Field field;
  while (next_field(fields, field)) {
    if (is_one_of(field.name, tie_names) && ties_.size() < ties_max) {
      ties_.insert(tie_of(field));
    }
  }
}

void Trace::tied_line(std::string_view text) {
  const bool may_be_own = text.find(op_) != std::string_view::npos;
  const bool cluster = text.find(" process=cluster ") != std::string_view::npos;
  const bool may_be_tied = std::ranges::any_of(
      ties_, [&](const std::string& tie) { return text.find(tie) != std::string_view::npos; });
  if (may_be_own || cluster || may_be_tied) {
    add(text);
  }
}

bool Trace::is_tied(std::string_view fields) const {
  Field field;
  while (next_field(fields, field)) {
    if (field.name == "op" ? unquoted(field.value) == op_
                           : is_one_of(field.name, tie_names) && ties_.contains(tie_of(field))) {
      return true;
    }
  }
  return false;
}

bool Trace::add(std::string_view text) {
  const auto at = time_.read(text);
  std::string_view fields = split(text).fields;
  if (!at) {
    return false;
  }
  Step step{.at = *at, .node = 1, .who = {}, .event = {}, .rest = {}};
  const bool tied = is_tied(fields);
  bool own = false;
  std::string_view role;
  Field field;
  while (next_field(fields, field)) {
    if (field.name == "event") {
      step.event = field.value;
    } else if (field.name == "node") {
      step.node = static_cast<std::uint32_t>(number_of(field.value).value_or(0));
    } else if (field.name == "client" || field.name == "process") {
      step.node = 0;
      step.who =
          field.name == "client" ? "client " + std::string{field.value} : std::string{field.value};
    } else if (field.name == "from") {
      step.from = static_cast<std::uint32_t>(number_of(field.value).value_or(0));
    } else if (field.name == "role") {
      role = field.value;
    } else if (field.name == "ballot" && role == "acceptor" && step.from == 0) {
      step.from = proposer_of(field.value);
    } else if (field.name == "txn" && role == "participant" && step.from == 0) {
      step.from = coordinator_of(field.value);
    } else if (field.name == "op") {
      own = unquoted(field.value) == op_;
    }
    if (!is_one_of(field.name, context_names)) {
      step.rest += (step.rest.empty() ? "" : " ") + tie_of(field);
    }
  }
  if (step.who.empty()) {
    step.who = "node " + std::to_string(step.node);
  }
  std::vector<Step>& into = own ? own_ : is_fault(step) ? faults_ : tied_;
  if ((own || tied || is_fault(step)) && into.size() < steps_max) {
    into.push_back(std::move(step));
  }
  return true;
}

std::vector<Step> Trace::steps() const {
  std::vector<Step> steps = own_;
  steps.insert(steps.end(), tied_.begin(), tied_.end());
  if (steps.empty()) {
    return steps;
  }
  const auto [first, last] = std::ranges::minmax_element(own_, {}, &Step::at);
  const Micros begin = first->at - trace_lead;
  const Micros end = last->at;
  for (const Step& fault : faults_) {
    if (fault.at >= begin && fault.at <= end) {
      steps.push_back(fault);
    }
  }
  std::ranges::stable_sort(steps, {}, &Step::at);
  return steps;
}

std::string longest_wait(const std::vector<Step>& steps) {
  // What happens after its answer no longer keeps anybody waiting.
  const auto answer = std::find_if(steps.rbegin(), steps.rend(),
                                   [](const Step& step) { return step.event == "answer"; });
  const Micros end = answer == steps.rend() ? INT64_MAX : answer->at;
  const Step* before = nullptr;
  const Step* from = nullptr;
  const Step* to = nullptr;
  for (const Step& step : steps) {
    if (is_fault(step) || step.at > end) {
      continue;
    }
    if (before != nullptr && (from == nullptr || step.at - before->at > to->at - from->at)) {
      from = before;
      to = &step;
    }
    before = &step;
  }
  if (from == nullptr) {
    return {};
  }
  std::string text = fmt::format("longest wait: {:.3f} ms, from {} at {} to {} at {}",
                                 static_cast<double>(to->at - from->at) * 1e-3, from->event,
                                 from->who, to->event, to->who);
  for (const Step& step : steps) {
    if (is_fault(step) && step.at >= from->at && step.at <= to->at) {
      text += "; meanwhile " + step.event + " " + step.rest;
    }
  }
  return text + "\n";
}

std::string to_text(const std::vector<Step>& steps, std::uint32_t nodes) {
  std::string text = fmt::format("{:>12}  cl ", "ms");
  for (std::uint32_t node = 1; node <= nodes; ++node) {
    text += " " + std::to_string(node);
  }
  text += "\n";
  const auto own = std::ranges::find_if_not(steps, is_fault);
  const Micros zero = own == steps.end() ? 0 : own->at;
  for (const Step& step : steps) {
    const double ms = static_cast<double>(step.at - zero) * 1e-3;
    text += is_fault(step)
                ? fmt::format("{:>12.3f}  ---- {} {}\n", ms, step.event, step.rest)
                : fmt::format("{:>12.3f}  {}  {} {}\n", ms, marker_columns(step, nodes).substr(1),
                              step.event, step.rest);
  }
  return text + longest_wait(steps);
}

}  // namespace kv::logs
