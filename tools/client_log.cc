#include "tools/client_log.h"

#include <utility>

#include "common/kv/names.h"

namespace kv::logs {
namespace {

/// What one clock's microsecond may hide, in either direction.
constexpr std::chrono::microseconds clock_grain{2};

sim::HistoryTime history_time(Micros at) {
  return sim::HistoryTime{std::chrono::microseconds{at}};
}

/// The value as it was before it was written, in a string that keeps its capacity.
void assign_unquoted(std::string& text, std::string_view value) {
  if (value.empty() || value.front() != '"') {
    text.assign(value);
  } else {
    text = unquoted(value);
  }
}

}  // namespace

std::optional<ClientLine> client_line(std::string_view text, TimeReader& time) {
  const auto at = time.read(text);
  ClientLine line{.at = at.value_or(0), .client = {}, .event = {}, .fields = split(text).fields};
  Field field;
  while (at && line.event.empty() && next_field(line.fields, field)) {
    if (field.name == "client") {
      line.client = field.value;
    } else if (field.name == "event") {
      line.event = field.value;
    }
  }
  return line.client.empty() || line.event.empty() ? std::nullopt : std::optional{line};
}

void widen_to_clock_grain(sim::Operation& operation) {
  operation.call -= clock_grain;
  if (operation.returned != sim::never_returned) {
    operation.returned += clock_grain;
  }
}

ClientLog::Heard ClientLog::line(Micros at, std::string_view client, std::string_view event,
                                 std::string_view fields) {
  if (event == "request") {
    return request(at, client, fields);
  }
  if (event == "answer" || event == "timeout" || event == "lost" || event == "not_sent") {
    return end(at, fields);
  }
  return Heard::nothing;
}

ClientLog::Heard ClientLog::request(Micros at, std::string_view client, std::string_view fields) {
  if (open_.size() >= open_max) {
    return Heard::too_many_open;
  }
  if (ended_.empty()) {
    Open one;
    one.try_emplace(std::string{});
    ended_ = one.extract(one.begin());
  }
  ClientOperation& open = ended_.mapped();
  open.known = true;
  open.operation.verb = Verb::ping;
  open.operation.key.clear();
  open.operation.value.clear();
  open.operation.expected.clear();
  open.operation.client = number_of_client(client);
  open.operation.call = history_time(at);
  open.operation.returned = sim::never_returned;
  open.operation.result = Status::unknown;
  Field field;
  while (next_field(fields, field)) {
    if (field.name == "op") {
      assign_unquoted(ended_.key(), field.value);
    } else if (field.name == "verb") {
      open.operation.verb = named<Verb>(field.value).value_or(Verb::ping);
    } else if (field.name == "key") {
      assign_unquoted(open.operation.key, field.value);
    } else if (field.name == "value") {
      assign_unquoted(open.operation.value, field.value);
    } else if (field.name == "old") {
      assign_unquoted(open.operation.expected, field.value);
    } else if (field.name == "value_bytes" || field.name == "old_bytes") {
      open.known = false;  // too long for the log
    }
  }
  auto placed = open_.insert(std::move(ended_));
  if (!placed.inserted) {  // asked again under the same ID: the later line counts
    std::swap(placed.position->second, placed.node.mapped());
    ended_ = std::move(placed.node);
  }
  return Heard::nothing;
}

ClientLog::Heard ClientLog::end(Micros at, std::string_view fields) {
  std::optional<Status> status;
  std::string_view value;
  bool known = true;
  latency_ns_ = 0;
  op_.clear();
  Field field;
  while (next_field(fields, field)) {
    if (field.name == "op") {
      assign_unquoted(op_, field.value);
    } else if (field.name == "result") {
      status = named<Status>(field.value);
    } else if (field.name == "us") {
      latency_ns_ = number_of(field.value).value_or(0) * 1000;
    } else if (field.name == "value") {
      value = field.value;
    } else if (field.name == "value_bytes") {
      known = false;
    }
  }
  const auto found = open_.find(op_);
  if (found == open_.end() || !status) {
    return Heard::not_understood;
  }
  ended_ = open_.extract(found);
  ClientOperation& ended = ended_.mapped();
  ended.known &= known;
  ended.operation.result = *status;
  if (*status != Status::unknown) {
    ended.operation.returned = history_time(at);
  }
  if (ended.operation.verb == Verb::get && *status == Status::ok) {
    assign_unquoted(ended.operation.value, value);
  }
  return Heard::an_end;
}

void ClientLog::end_file(
    const std::function<void(const std::string& op, ClientOperation& open)>& take) {
  for (auto& [op, open] : open_) {
    take(op, open);
  }
  open_.clear();
}

std::uint64_t ClientLog::number_of_client(std::string_view name) {
  if (last_number_ == 0 || name != last_client_) {
    last_client_.assign(name);
    const auto found = clients_.find(name);
    if (found != clients_.end()) {
      last_number_ = found->second;
    } else if (clients_.size() < names_max) {
      last_number_ = clients_.size() + 1;
      clients_.emplace(name, last_number_);
    } else {
      last_number_ = names_max + 1;  // all that are too many are one
    }
  }
  return last_number_;
}

}  // namespace kv::logs
