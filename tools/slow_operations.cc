#include "tools/slow_operations.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace kv::logs {
namespace {

// What struck the moment before may well be why.
constexpr Micros shortly_before = 20'000;

bool faster(const Notable& one, const Notable& other) {
  return one.latency_ns > other.latency_ns;  // a heap has its greatest first
}

bool has_good_end(const Finished& finished) {
  return finished.status <= Status::conflict;
}

std::string at_text(Micros at, Micros zero) {
  return fmt::format("{:.2f} s", static_cast<double>(at - zero) * 1e-6);
}

std::string length_text(double micros) {
  return micros < 10'000 ? fmt::format("{:.2f} ms", micros * 1e-3)
                         : fmt::format("{:.0f} ms", micros * 1e-3);
}

std::string node_text(std::uint32_t node) {
  return node == 0 ? std::string{"the network"} : "node " + std::to_string(node);
}

std::string event_text(const Mark& mark) {
  switch (mark.kind) {
    case Mark::Kind::fault_begins:
      return "fault: " + mark.what;
    case Mark::Kind::fault_ends:
      return "fault ended: " + mark.what;
    case Mark::Kind::down:
      return node_text(mark.node) + " went down (" + mark.what + ")";
    case Mark::Kind::up:
      return node_text(mark.node) + " was back";
    case Mark::Kind::healed:
      return "all links were made whole";
    case Mark::Kind::leader:
      return node_text(mark.node) + " began to lead";
  }
  return {};
}

std::string end_text(const Notable& operation) {
  switch (operation.status) {
    case Status::ok:
    case Status::not_found:
    case Status::conflict:
      return "answered " + std::string{name_of(operation.status)};
    case Status::aborted:
    case Status::unavailable:
    case Status::bad_request:
      return std::string{name_of(operation.status)} + ": certainly not done";
    case Status::unknown:
      break;
  }
  return "unknown: it may or may not have been done, and nobody said";
}

}  // namespace

bool SlowOperations::wants(const Finished& finished) const {
  if (!has_good_end(finished)) {
    return failed_.size() < failed_max;
  }
  return slowest_.size() < slowest_max || finished.latency_ns > slowest_.front().latency_ns;
}

void SlowOperations::show(const Finished& finished, std::string what, std::string op,
                          std::uint64_t client) {
  Notable notable{.what = std::move(what),
                  .op = std::move(op),
                  .client = client,
                  .status = finished.status,
                  .call = finished.call,
                  .end = finished.end.value_or(finished.call),
                  .latency_ns = finished.latency_ns};
  if (!has_good_end(finished)) {
    failed_.push_back(std::move(notable));
    return;
  }
  if (slowest_.size() == slowest_max) {
    std::ranges::pop_heap(slowest_, faster);
    slowest_.pop_back();
  }
  slowest_.push_back(std::move(notable));
  std::ranges::push_heap(slowest_, faster);
}

std::vector<Notable> SlowOperations::all() const {
  std::vector<Notable> all = slowest_;
  all.insert(all.end(), failed_.begin(), failed_.end());
  std::ranges::stable_sort(all, {}, &Notable::call);
  return all;
}

std::vector<Trouble> troubles_of(const std::vector<Mark>& marks, Micros end) {
  std::vector<Trouble> troubles;
  std::map<std::pair<std::uint32_t, std::string>, std::size_t> open;
  const auto begin = [&](const Mark& mark, const std::string& what) {
    open[{mark.node, what}] = troubles.size();
    troubles.push_back({.when = {mark.at, end}, .node = mark.node, .what = what});
  };
  const auto close = [&](std::uint32_t node, const std::string& what, Micros at) {
    if (const auto found = open.find({node, what}); found != open.end()) {
      troubles[found->second].when.end = std::min(at, end);
      open.erase(found);
    }
  };
  for (const Mark& mark : marks) {
    const bool of_process = mark.what.starts_with("crash");  // told by down and up themselves
    if (mark.kind == Mark::Kind::down) {
      begin(mark, "down");
    } else if (mark.kind == Mark::Kind::up) {
      close(mark.node, "down", mark.at);
    } else if (mark.kind == Mark::Kind::fault_begins && !of_process) {
      begin(mark, mark.what);
    } else if (mark.kind == Mark::Kind::fault_ends && !of_process) {
      close(mark.node, mark.what, mark.at);
    } else if (mark.kind == Mark::Kind::healed) {
      for (auto& trouble : troubles) {
        if (trouble.what != "down" && !trouble.what.starts_with("pause")) {
          trouble.when.end = std::min(trouble.when.end, mark.at);
        }
      }
    }
  }
  return troubles;
}

std::string explain(const Notable& operation, const std::vector<Mark>& marks, Micros zero) {
  std::string text = fmt::format("{} of client {}, asked at {}", operation.what, operation.client,
                                 at_text(operation.call, zero));
  const bool ended = operation.status != Status::unknown;
  text += ended ? fmt::format(", took {}: {}.",
                              length_text(static_cast<double>(operation.latency_ns) * 1e-3),
                              end_text(operation))
                : ": " + end_text(operation) + ".";
  const Micros until = ended ? operation.end : INT64_MAX;
  for (const Trouble& trouble : troubles_of(marks, INT64_MAX)) {
    if (trouble.when.begin < operation.call - shortly_before && trouble.when.end > operation.call) {
      text += fmt::format(" When it was asked, {} since {}.",
                          trouble.what == "down" ? node_text(trouble.node) + " was down"
                                                 : "there was " + trouble.what,
                          at_text(trouble.when.begin, zero));
    }
  }
  const Mark* last = nullptr;
  bool any = false;
  for (const Mark& mark : marks) {
    if (mark.at >= operation.call - shortly_before && mark.at <= until) {
      text +=
          (any ? "; " : " While it waited: ") + event_text(mark) + " at " + at_text(mark.at, zero);
      any = true;
      last = &mark;
    }
  }
  text += any ? "." : "";
  if (last != nullptr && ended && operation.end > last->at) {
    text += fmt::format(" The answer came {} after the last of these.",
                        length_text(static_cast<double>(operation.end - last->at)));
  }
  if (!any && ended && operation.latency_ns > 50'000'000) {
    text += " The logs tell of no fault in that time: look for a slow disk or a busy machine.";
  }
  if (!operation.op.empty()) {
    text += " Its ID is " + operation.op + ".";
  }
  return text;
}

}  // namespace kv::logs
