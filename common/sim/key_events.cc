#include "common/sim/key_events.h"

#include <algorithm>
#include <string_view>
#include <tuple>
#include <unordered_map>

namespace kv::sim {
namespace {

class Builder {
 public:
  explicit Builder(const std::vector<Operation>& operations) : operations_(operations) {
    for (const Operation& operation : operations_) {
      if (says_something(operation)) {
        name_values(operation);
      }
    }
    result_.writers.resize(first_named + named_.size());
  }

  KeyEvents build() {
    for (const Operation& operation : operations_) {
      if (says_something(operation)) {
        add(operation);
      }
    }
    // What ends and what begins in the same nanosecond overlaps: calls come first.
    std::ranges::sort(result_.events, {}, [](const KeyEvent& event) {
      return std::tuple{event.at, event.what, event.which};
    });
    return std::move(result_);
  }

 private:
  /// The values that outcomes name; key_search.h, 4.
  void name_values(const Operation& operation) {
    if (operation.verb == Verb::compare_and_set &&
        (is_unknown(operation) || operation.result != Status::not_found)) {
      named_.try_emplace(operation.expected, static_cast<Held>(first_named + named_.size()));
    }
    if (operation.verb == Verb::get && operation.result == Status::ok) {
      named_.try_emplace(operation.value, static_cast<Held>(first_named + named_.size()));
    }
  }

  Held held(std::string_view value) const {
    const auto found = named_.find(value);
    return found == named_.end() ? unnamed : found->second;
  }

  /// What it does if it is done and ends with `result`.
  Step step_of(const Operation& operation, Status result) const {
    if (result == Status::not_found) {
      return {.need = {Need::Kind::exactly, nothing}};
    }
    switch (operation.verb) {
      case Verb::get:
        return {.need = {Need::Kind::exactly, held(operation.value)}};
      case Verb::erase:
        return {.need = {Need::Kind::something, nothing}, .writes = true, .leaves = nothing};
      case Verb::compare_and_set: {
        const Held old = held(operation.expected);
        if (result == Status::conflict) {
          return {.need = {Need::Kind::something_but, old}};
        }
        const Held leaves = held(operation.value);
        return {.need = {Need::Kind::exactly, old}, .writes = leaves != old, .leaves = leaves};
      }
      default:
        return {.need = {}, .writes = true, .leaves = held(operation.value)};
    }
  }

  void add(const Operation& operation) {
    const bool unknown = is_unknown(operation);
    const Step step = step_of(operation, unknown ? Status::ok : operation.result);
    if (step.writes) {
      ++result_.writers[step.leaves];
    }
    if (unknown) {
      if (step.writes) {
        result_.events.push_back({operation.call, KeyEvent::What::may_happen, kind_of(step)});
      }
      return;
    }
    const auto which = static_cast<std::uint32_t>(result_.steps.size());
    result_.steps.push_back(step);
    result_.events.push_back({operation.call, KeyEvent::What::call, which});
    result_.events.push_back({operation.returned, KeyEvent::What::returned, which});
  }

  Kind kind_of(const Step& step) {
    const std::uint64_t name = (static_cast<std::uint64_t>(step.need.kind) << 62) ^
                               (static_cast<std::uint64_t>(step.need.held) << 31) ^ step.leaves;
    const auto [found, added] = kinds_.try_emplace(name, static_cast<Kind>(result_.kinds.size()));
    if (added) {
      result_.kinds.push_back(step);
    }
    return found->second;
  }

  const std::vector<Operation>& operations_;
  std::unordered_map<std::string_view, Held> named_;
  std::unordered_map<std::uint64_t, Kind> kinds_;
  KeyEvents result_;
};

}  // namespace

bool says_something(const Operation& operation) {
  switch (operation.result) {
    case Status::aborted:
    case Status::unavailable:
    case Status::bad_request:
      return false;
    default:
      return operation.verb != Verb::get || !is_unknown(operation);
  }
}

KeyEvents key_events(const std::vector<Operation>& operations) {
  return Builder{operations}.build();
}

}  // namespace kv::sim
