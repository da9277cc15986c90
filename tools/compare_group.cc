#include "tools/compare_group.h"

#include <algorithm>
#include <charconv>
#include <functional>
#include <optional>
#include <utility>

#include "common/kv/names.h"
#include "common/sim/plain_history.h"

namespace kv::logs {
namespace {

/// Whether somebody begins to campaign: an election of Raft, a ballot of Paxos.
bool is_campaign(std::string_view event, std::string_view fields) {
  return event == "candidate" ||
         (event == "prepare" && find_field(fields, "role").value_or("") == "proposer");
}

Micros micros_of(sim::HistoryTime time) {
  return std::chrono::floor<std::chrono::microseconds>(time.time_since_epoch()).count();
}

/// Whether a line of a request or an answer is of the front door: a replica's own word of it, and
/// what is no operation of the store, are not.
bool is_at_door(std::string_view fields) {
  bool transport = false;
  bool verb = false;
  Field field;
  while (!(transport && verb) && next_field(fields, field)) {
    transport |= field.name == "transport";
    verb |= field.name == "verb";
  }
  return transport && verb;
}

std::uint64_t number_in(std::string_view fields, std::string_view name) {
  const auto value = find_field(fields, name);
  return value ? number_of(*value).value_or(0) : 0;
}

std::string text_in(std::string_view fields, std::string_view name) {
  const auto value = find_field(fields, name);
  return value ? unquoted(*value) : std::string{};
}

/// What stands behind `name` in a history's line of any form: names are quoted, and no text can
/// hold a quote without a backslash.
std::string_view json_behind(std::string_view text, std::string_view name) {
  const std::size_t at = text.find(name);
  if (at == std::string_view::npos) {
    return {};
  }
  text.remove_prefix(at + name.size());
  text.remove_prefix(std::min(text.find_first_not_of(" :"), text.size()));
  return text;
}

}  // namespace

bool Group::read(const std::string& path, std::string& why) {
  clients_.begin_source();
  const bool history = path.ends_with(".jsonl");
  wall_ns_ = 0;
  const bool read = read_lines(
      path, [&](std::string_view text) { history ? history_line(text) : line(text); }, tally_, why);
  end_file();
  return read;
}

/// Requests that the file leaves without an answer: nobody knows.
void Group::end_file() {
  client_log_.end_file([&](const std::string& op, ClientOperation& open) {
    const sim::Operation& operation = open.operation;
    const Micros call = micros_of(operation.call);
    add_clients({.verb = operation.verb, .call = call, .end = std::nullopt}, operation, op);
    hold_logged(open);
  });
}

void Group::finish() {
  std::ranges::stable_sort(marks_, {}, &Mark::at);
  // Requests whose answer no server logged: it died, or was cut off from its log.
  const std::vector<Interval> spans = servers_.spans();
  for (std::uint64_t i = servers_.asked(); i < server_requests_ && !spans.empty(); ++i) {
    servers_.add({.call = spans.back().end});
  }
  judgement_ = judge();
  judged_ = {};
  parsed_ = {};
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
  std::string_view client;
  bool cluster = false;
  std::uint32_t node = 1;  // phase 1's only one does not say so
  Field field;
  while (next_field(fields, field)) {
    if (field.name == "event") {
      if (!client.empty()) {
        return client_line(*at, client, field.value, fields);
      }
      return cluster ? cluster_line(*at, field.value, fields)
                     : server_line(*at, node, field.value, all);
    }
    if (field.name == "client") {
      client = field.value;
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

void Group::client_line(Micros at, std::string_view client, std::string_view event,
                        std::string_view fields) {
  switch (client_log_.line(at, client, event, fields)) {
    case ClientLog::Heard::nothing:
      return;
    case ClientLog::Heard::not_understood:
      ++not_understood_;
      return;
    case ClientLog::Heard::too_many_open:
      judge_obstacle_ = "more than " + std::to_string(ClientLog::open_max) +
                        " requests of a client's log have no answer";
      return;
    case ClientLog::Heard::an_end:
      break;
  }
  const sim::Operation& operation = client_log_.ended().operation;
  add_clients({.verb = operation.verb,
               .status = operation.result,
               .call = micros_of(operation.call),
               .end = at,
               .latency_ns = client_log_.latency_ns()},
              operation, client_log_.ended_op());
  hold_logged(client_log_.ended());
}

// --- a server's ----------------------------------------------------------------------------------

void Group::server_line(Micros at, std::uint32_t node, std::string_view event,
                        std::string_view fields) {
  if (event == "answer") {
    return server_answer(at, fields);
  }
  if (event == "request") {
    server_requests_ += is_at_door(fields) ? 1 : 0;
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
  if (!read_operation(text, id_)) {
    ++not_understood_;
    return;
  }
  const std::chrono::nanoseconds wall{wall_ns_};
  operation_.call += wall;
  if (operation_.returned != sim::never_returned) {
    operation_.returned += wall;
  }
  add_history(operation_, id_);
  hold(operation_);
}

/// Into operation_. In the form of our own load without a JSON parser.
bool Group::read_operation(std::string_view text, std::string& id) {
  if (const auto plain = sim::read_plain(text); plain && sim::take(*plain, operation_)) {
    id.assign(plain->id);
    wall_ns_ = plain->wall_ns.value_or(wall_ns_);
    return true;
  }
  std::string why;
  parsed_.clear();
  if (!sim::read_history(text, parsed_, why) || parsed_.empty()) {
    return false;
  }
  operation_ = std::move(parsed_.front());
  std::string_view quoted = json_behind(text, "\"id\"");
  quoted.remove_prefix(std::min<std::size_t>(1, quoted.size()));
  id.assign(quoted.substr(0, quoted.find('"')));
  const std::string_view wall = json_behind(text, "\"wall_ns\"");
  std::from_chars(wall.data(), wall.data() + wall.size(), wall_ns_);
  return true;
}

void Group::add_history(const sim::Operation& operation, std::string_view id) {
  Finished finished{
      .verb = operation.verb, .status = operation.result, .call = micros_of(operation.call)};
  if (operation.returned != sim::never_returned) {
    finished.end = micros_of(operation.returned);
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

// --- the verdict ---------------------------------------------------------------------------------

void Group::hold_logged(ClientOperation& logged) {
  if (logged.operation.verb == Verb::ping || logged.operation.verb == Verb::batch) {
    return;
  }
  if (!logged.known) {
    judge_obstacle_ = "a client's log holds values by their length alone";
  }
  widen_to_clock_grain(logged.operation);
  hold(logged.operation);
}

void Group::hold(const sim::Operation& operation) {
  while (judged_.size() >= held_max_) {
    one_key_in_ *= 2;
    std::erase_if(judged_, [this](const sim::Operation& held) { return !is_judged(held); });
  }
  if (is_judged(operation)) {
    judged_.push_back(operation);
  }
}

bool Group::is_judged(const sim::Operation& operation) const {
  return one_key_in_ == 1 || std::hash<std::string_view>{}(operation.key) % one_key_in_ == 0;
}

Judgement Group::judge() const {
  if (!judge_obstacle_.empty()) {
    return {Verdict::cannot_tell, judge_obstacle_};
  }
  if (judged_.empty() && one_key_in_ > 1) {
    return {Verdict::cannot_tell, "a key alone has more than " + std::to_string(held_max_) +
                                      " operations, and other keys too few to be judged for all"};
  }
  if (judged_.empty()) {
    return {};
  }
  const sim::CheckResult result = sim::check_history(judged_);
  switch (result.verdict) {
    case sim::Verdict::linearizable:
      return {Verdict::yes, {}, one_key_in_};
    case sim::Verdict::not_linearizable:
      return {Verdict::no, sim::describe(result.piece), one_key_in_};
    case sim::Verdict::cannot_tell:
      break;
  }
  return {Verdict::cannot_tell, result.why, one_key_in_};
}

}  // namespace kv::logs
