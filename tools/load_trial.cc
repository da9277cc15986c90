#include "tools/load_trial.h"

#include <algorithm>

#include "common/core/check.h"

namespace kv::load {

Trial::Trial(const TrialMix& mix, std::uint64_t client)
    : mix_(mix),
      keys_(mix.keys, mix.skew),
      client_(client),
      random_(mix.seed + 0x9e3779b97f4a7c15 * (client + 1)) {
  check(mix.keys > 0 && mix.gets_percent + mix.deletes_percent + mix.swaps_percent <= 100);
}

void Trial::begin(sim::HistoryTime now) {
  const std::uint64_t key = keys_.draw(random_);
  const std::uint64_t drawn = random_.below(100);
  const unsigned deletes = mix_.gets_percent + mix_.deletes_percent;
  if (drawn < mix_.gets_percent) {
    start(Verb::get, key, now);
  } else if (drawn < deletes) {
    start(Verb::erase, key, now);
  } else if (drawn < deletes + mix_.swaps_percent) {
    start(Verb::compare_and_set, key, now);
  } else {
    start(Verb::put, key, now);
  }
}

void Trial::begin_read(sim::HistoryTime now, std::uint64_t key) {
  start(Verb::get, key, now);
}

void Trial::start(Verb verb, std::uint64_t key, sim::HistoryTime now) {
  ++sequence_;
  open_ = false;
  settled_ = false;
  operation_ = {.client = client_, .verb = verb, .call = now};
  operation_.key = mix_.run + ":" + std::to_string(key);
  Command command;
  command.verb = verb;
  command.key = operation_.key;
  if (verb == Verb::put || verb == Verb::compare_and_set) {
    command.value = operation_.value = unique_value();
  }
  if (verb == Verb::compare_and_set) {
    command.expected = operation_.expected = last_value_.empty() ? "nothing" : last_value_;
  }
  if (mix_.with_ids) {
    command.origin = {.client = mix_.run + "-" + std::to_string(client_), .sequence = sequence_};
  }
  origin_ = command.origin;
  line_.clear();
  wire::append_line_request(line_, command);
}

std::string Trial::unique_value() {
  std::string value = std::to_string(client_) + "." + std::to_string(sequence_);
  value.append(mix_.value_bytes - std::min(mix_.value_bytes, value.size()), 'v');
  return value;
}

bool Trial::is_mine(const wire::LineAnswer& answer) const {
  return answer.origin.client == origin_.client && answer.origin.sequence == origin_.sequence;
}

std::string Trial::id() const {
  std::string id;
  wire::append_origin(id, origin_);
  return id;
}

Trial::Next Trial::answered(const wire::LineAnswer& answer) {
  switch (answer.reply.status) {
    case Status::ok:
    case Status::not_found:
    case Status::conflict:
      if (operation_.verb == Verb::get && answer.has_value) {
        operation_.value = answer.reply.value;
        last_value_ = operation_.value;
      } else if (operation_.verb != Verb::get && answer.reply.status == Status::ok) {
        last_value_ = operation_.value;
      }
      return settle(answer.reply.status);
    case Status::bad_request:
    case Status::aborted:
    case Status::unavailable:
      if (!open_) {
        return settle(answer.reply.status);
      }
      break;
    case Status::unknown:
      open_ = true;
      break;
  }
  return may_repeat() ? Next::again : settle(Status::unknown);
}

Trial::Next Trial::attempt_failed(bool sent) {
  open_ |= sent;
  return open_ && !may_repeat() ? settle(Status::unknown) : Next::again;
}

void Trial::give_up() {
  if (!settled_) {
    settle(open_ ? Status::unknown : Status::unavailable);
  }
}

Trial::Next Trial::settle(Status status) {
  operation_.result = status;
  settled_ = true;
  return Next::over;
}

const sim::Operation& Trial::end(sim::HistoryTime now) {
  check(settled_);
  operation_.returned = operation_.result == Status::unknown ? sim::never_returned : now;
  return operation_;
}

}  // namespace kv::load
