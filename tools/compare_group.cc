#include "tools/compare_group.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

namespace kv::logs {
namespace {

/// Whether somebody begins to campaign: an election of Raft, a ballot of Paxos.
bool is_campaign(std::string_view event, std::string_view fields) {
  return event == "candidate" ||
         (event == "prepare" && find_field(fields, "role").value_or("") == "proposer");
}

/// What one clock's microsecond may hide, in either direction.
constexpr std::chrono::microseconds clock_grain{2};

template <typename Enum>
std::optional<Enum> named(std::string_view name) {
  for (int number = 0; number <= static_cast<int>(last_of(Enum{})); ++number) {
    if (name_of(static_cast<Enum>(number)) == name) {
      return static_cast<Enum>(number);
    }
  }
  return std::nullopt;
}

sim::HistoryTime history_time(Micros at) {
  return sim::HistoryTime{std::chrono::microseconds{at}};
}

std::uint64_t number_in(std::string_view fields, std::string_view name) {
  const auto value = find_field(fields, name);
  return value ? number_of(*value).value_or(0) : 0;
}

std::string text_in(std::string_view fields, std::string_view name) {
  const auto value = find_field(fields, name);
  return value ? unquoted(*value) : std::string{};
}

/// The number that stands behind `name` in one of our own histories' lines.
std::optional<std::int64_t> json_number(std::string_view text, std::string_view name) {
  const std::size_t at = text.rfind(name);
  std::int64_t number = 0;
  if (at == std::string_view::npos) {
    return std::nullopt;
  }
  const char* const begin = text.data() + at + name.size();
  const auto [end, failure] = std::from_chars(begin, text.data() + text.size(), number);
  return failure == std::errc{} ? std::optional{number} : std::nullopt;
}

std::string_view json_word(std::string_view text, std::string_view name, bool last) {
  const std::size_t at = last ? text.rfind(name) : text.find(name);
  if (at == std::string_view::npos) {
    return {};
  }
  text.remove_prefix(at + name.size());
  return text.substr(0, std::min(text.find('"'), text.size()));
}

}  // namespace

bool Group::read(const std::string& path, std::string& why) {
  clients_.begin_source();
  const bool history = path.ends_with(".jsonl");
  judge_sources_ += history ? 1 : 0;
  wall_ns_ = 0;
  const bool read = read_lines(
      path, [&](std::string_view text) { history ? history_line(text) : line(text); }, tally_, why);
  end_file();
  return read;
}

/// Requests that the file leaves without an answer: nobody knows.
void Group::end_file() {
  if (!open_.empty()) {
    ++judge_sources_;
  }
  for (auto& [op, open] : open_) {
    const sim::Operation& operation = open.operation;
    const auto call =
        std::chrono::duration_cast<std::chrono::microseconds>(operation.call.time_since_epoch());
    add_clients({.verb = operation.verb, .call = call.count(), .end = std::nullopt}, operation, op);
    hold(std::move(open.operation), open.known);
  }
  open_.clear();
}

void Group::finish() {
  std::ranges::stable_sort(marks_, {}, &Mark::at);
  // Requests whose answer no server logged: it died, or was cut off from its log.
  const std::vector<Interval> spans = servers_.spans();
  for (std::uint64_t i = servers_.asked(); i < server_requests_ && !spans.empty(); ++i) {
    servers_.add({.call = spans.back().end});
  }
}

// --- logs ----------------------------------------------------------------------------------------

void Group::line(std::string_view text) {
  const auto at = time_.read(text);
  if (!at) {
    not_understood_ += text.empty() ? 0 : 1;
    return;
  }
  std::string_view fields = split(text).fields;
  const std::string_view all = fields;
  bool client = false;
  bool cluster = false;
  std::uint32_t node = 1;  // phase 1's only one does not say so
  Field field;
  while (next_field(fields, field)) {
    if (field.name == "event") {
      if (client) {
        return client_line(*at, field.value, fields);
      }
      return cluster ? cluster_line(*at, field.value, fields)
                     : server_line(*at, node, field.value, all);
    }
    if (field.name == "client") {
      client = true;
    } else if (field.name == "node") {
      node = static_cast<std::uint32_t>(number_of(field.value).value_or(0));
      nodes_ = std::max(nodes_, node);
    } else if (field.name == "process") {
      cluster = field.value == "cluster";
    }
  }
  ++not_understood_;
}

// --- a client's ----------------------------------------------------------------------------------

void Group::client_line(Micros at, std::string_view event, std::string_view fields) {
  if (event == "request") {
    client_request(at, fields);
  } else if (event == "answer" || event == "timeout" || event == "lost" || event == "not_sent") {
    client_answer(at, fields);
  }
}

void Group::client_request(Micros at, std::string_view fields) {
  Open open;
  std::string op;
  Field field;
  while (next_field(fields, field)) {
    if (field.name == "op") {
      op = unquoted(field.value);
    } else if (field.name == "verb") {
      open.operation.verb = named<Verb>(field.value).value_or(Verb::ping);
    } else if (field.name == "key") {
      open.operation.key = unquoted(field.value);
    } else if (field.name == "value") {
      open.operation.value = unquoted(field.value);
    } else if (field.name == "old") {
      open.operation.expected = unquoted(field.value);
    } else if (field.name == "value_bytes" || field.name == "old_bytes") {
      open.known = false;  // too long for the log
    }
  }
  open.operation.call = history_time(at);
  if (open_.size() < open_max) {
    open_.insert_or_assign(std::move(op), std::move(open));
  } else {
    judge_obstacle_ = "more than " + std::to_string(open_max) + " requests without an answer";
  }
}

void Group::client_answer(Micros at, std::string_view fields) {
  std::string op;
  std::string value;
  std::optional<Status> status;
  std::uint64_t us = 0;
  bool known = true;
  Field field;
  while (next_field(fields, field)) {
    if (field.name == "op") {
      op = unquoted(field.value);
    } else if (field.name == "result") {
      status = named<Status>(field.value);
    } else if (field.name == "us") {
      us = number_of(field.value).value_or(0);
    } else if (field.name == "value") {
      value = unquoted(field.value);
    } else if (field.name == "value_bytes") {
      known = false;
    }
  }
  const auto found = open_.find(op);
  if (found == open_.end() || !status) {
    ++not_understood_;
    return;
  }
  sim::Operation operation = std::move(found->second.operation);
  known &= found->second.known;
  open_.erase(found);
  operation.result = *status;
  if (*status != Status::unknown) {
    operation.returned = history_time(at);
  }
  if (operation.verb == Verb::get && *status == Status::ok) {
    operation.value = value;
  }
  const auto call =
      std::chrono::duration_cast<std::chrono::microseconds>(operation.call.time_since_epoch());
  add_clients({.verb = operation.verb,
               .status = *status,
               .call = call.count(),
               .end = at,
               .latency_ns = us * 1000},
              operation, op);
  if (judge_sources_ == 0) {
    judge_sources_ = 1;
  }
  hold(std::move(operation), known);
}

// --- a server's ----------------------------------------------------------------------------------

void Group::server_line(Micros at, std::uint32_t node, std::string_view event,
                        std::string_view fields) {
  if (event == "answer") {
    return server_answer(at, fields);
  }
  if (event == "request") {
    server_requests_ += find_field(fields, "transport") && find_field(fields, "verb") ? 1 : 0;
  } else if (event == "totals") {
    totals_line(node, fields);
  } else if (event == "leader") {
    mark({.at = at, .kind = Mark::Kind::leader, .node = node, .what = "leads"});
  } else if (is_campaign(event, fields)) {
    ++elections_;
  }
}

void Group::server_answer(Micros at, std::string_view fields) {
  std::optional<Status> status;
  std::optional<Verb> verb;
  bool at_door = false;
  std::uint64_t us = 0;
  Field field;
  while (next_field(fields, field)) {
    if (field.name == "transport") {
      at_door = true;
    } else if (field.name == "verb") {
      verb = named<Verb>(field.value);
    } else if (field.name == "result") {
      status = named<Status>(field.value);
    } else if (field.name == "us") {
      us = number_of(field.value).value_or(0);
    }
  }
  if (!at_door || !verb || !status) {  // a replica's own word of it, or no operation of the store
    return;
  }
  servers_.add({.verb = *verb,
                .status = *status,
                .call = at - static_cast<Micros>(us),
                .end = at,
                .latency_ns = us * 1000});
}

void Group::totals_line(std::uint32_t node, std::string_view fields) {
  Totals now;
  Field field;
  while (next_field(fields, field)) {
    const std::uint64_t number = number_of(field.value).value_or(0);
    if (field.name == "messages_sent") {
      now.messages = number;
    } else if (field.name == "bytes_sent") {
      now.bytes = number;
    } else if (field.name == "records") {
      now.records = number;
    } else if (field.name == "syncs") {
      now.syncs = number;
    }
  }
  Life& life = lives_[node];
  const bool reborn = now.messages < life.now.messages || now.records < life.now.records ||
                      now.syncs < life.now.syncs;
  if (reborn) {
    life.before.messages += life.now.messages;
    life.before.bytes += life.now.bytes;
    life.before.records += life.now.records;
    life.before.syncs += life.now.syncs;
  }
  life.now = now;
}

Totals Group::totals() const {
  Totals sum;
  for (const auto& [node, life] : lives_) {
    sum.messages += life.before.messages + life.now.messages;
    sum.bytes += life.before.bytes + life.now.bytes;
    sum.records += life.before.records + life.now.records;
    sum.syncs += life.before.syncs + life.now.syncs;
  }
  return sum;
}

// --- the cluster's -------------------------------------------------------------------------------

void Group::cluster_line(Micros at, std::string_view event, std::string_view fields) {
  const auto node = static_cast<std::uint32_t>(number_in(fields, "on"));
  if (event == "cluster_started") {
    nodes_ = std::max(nodes_, static_cast<std::uint32_t>(number_in(fields, "replicas")));
  } else if (event == "fault_begins" || event == "fault_ends") {
    mark({.at = at,
          .kind = event == "fault_ends" ? Mark::Kind::fault_ends : Mark::Kind::fault_begins,
          .node = node,
          .what = text_in(fields, "what")});
  } else if (event == "replica_ended" || event == "replica_ready") {
    mark({.at = at,
          .kind = event == "replica_ready" ? Mark::Kind::up : Mark::Kind::down,
          .node = node,
          .what = text_in(fields, "how")});
  } else if (event == "healed") {
    mark({.at = at, .kind = Mark::Kind::healed, .node = 0, .what = "all links are whole"});
  }
}

void Group::mark(Mark mark) {
  if (marks_.size() < marks_max) {
    marks_.push_back(std::move(mark));
  }
}

// --- histories -----------------------------------------------------------------------------------

void Group::history_line(std::string_view text) {
  if (text.empty()) {
    return;
  }
  if (const auto wall = json_number(text, "\"wall_ns\":")) {
    wall_ns_ = *wall;
  }
  if (judged_.size() >= judged_max) {
    judge_obstacle_ = "more than " + std::to_string(judged_max) + " operations";
    not_understood_ += quick_operation(text) ? 0 : 1;
    return;
  }
  std::string why;
  const std::size_t before = judged_.size();
  if (!sim::read_history(text, judged_, why)) {
    judged_.resize(before);
    ++not_understood_;
    return;
  }
  sim::Operation& operation = judged_.back();
  const std::chrono::nanoseconds wall{wall_ns_};
  operation.call += wall;
  if (operation.returned != sim::never_returned) {
    operation.returned += wall;
  }
  add_history(operation, json_word(text, "\"id\":\"", true));
}

void Group::add_history(const sim::Operation& operation, std::string_view id) {
  const auto micros = [](sim::HistoryTime time) {
    return std::chrono::floor<std::chrono::microseconds>(time.time_since_epoch()).count();
  };
  Finished finished{
      .verb = operation.verb, .status = operation.result, .call = micros(operation.call)};
  if (operation.returned != sim::never_returned) {
    finished.end = micros(operation.returned);
    finished.latency_ns = static_cast<std::uint64_t>((operation.returned - operation.call).count());
  }
  add_clients(finished, operation, id);
}

void Group::add_clients(const Finished& finished, const sim::Operation& operation,
                        std::string_view id) {
  clients_.add(finished);
  if (slow_.wants(finished)) {
    slow_.show(finished, std::string{name_of(operation.verb)} + " " + operation.key,
               std::string{id}, operation.client);
  }
}

/// What the figures need of a line that is too much to be held; as append_json() writes it.
bool Group::quick_operation(std::string_view text) {
  const auto verb = named<Verb>(json_word(text, "\"op\":\"", false));
  const auto status = named<Status>(json_word(text, "\"result\":\"", true));
  const auto call = json_number(text, "\"call\":");
  if (!verb || !status || !call) {
    return false;
  }
  sim::Operation operation;
  operation.verb = *verb;
  operation.result = *status;
  operation.call = sim::HistoryTime{std::chrono::nanoseconds{*call + wall_ns_}};
  if (const auto returned = json_number(text, "\"return\":")) {
    operation.returned = sim::HistoryTime{std::chrono::nanoseconds{*returned + wall_ns_}};
  }
  add_history(operation, json_word(text, "\"id\":\"", true));
  return true;
}

// --- the verdict ---------------------------------------------------------------------------------

void Group::hold(sim::Operation operation, bool known) {
  if (operation.verb == Verb::ping || operation.verb == Verb::batch) {
    return;
  }
  if (!known) {
    judge_obstacle_ = "a client's log holds values by their length alone";
  }
  if (judged_.size() >= judged_max) {
    judge_obstacle_ = "more than " + std::to_string(judged_max) + " operations";
    return;
  }
  // A log's microseconds hide the order within one: it may only be judged as wider than it was.
  operation.call -= clock_grain;
  if (operation.returned != sim::never_returned) {
    operation.returned += clock_grain;
  }
  judged_.push_back(std::move(operation));
}

Judgement Group::judge() const {
  if (!judge_obstacle_.empty()) {
    return {Verdict::cannot_tell, judge_obstacle_};
  }
  if (judged_.empty()) {
    return {};
  }
  const sim::CheckResult result = sim::check_history(judged_);
  switch (result.verdict) {
    case sim::Verdict::linearizable:
      return {Verdict::yes, {}};
    case sim::Verdict::not_linearizable:
      return {Verdict::no, sim::describe(result.piece)};
    case sim::Verdict::cannot_tell:
      break;
  }
  return {Verdict::cannot_tell, result.why};
}

}  // namespace kv::logs
