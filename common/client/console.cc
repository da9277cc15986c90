#include "common/client/console.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>

#include "common/client/wording.h"
#include "common/core/check.h"
#include "common/wire/line.h"
#include "common/wire/logfmt.h"

namespace kv::client {
namespace {

/// Longer values are told by their length: a log line is for reading.
constexpr std::size_t logged_value_bytes_max = 256;

struct DemoStep {
  std::string_view group;
  Verb verb;
  std::string_view key;
  std::string_view value;
};

// The keys carry the client's name (see run_group), so that two clients at once see the answers
// that each expects. Some keys are overwritten, and some are not there.
constexpr std::array demo_steps{
    DemoStep{"fill", Verb::put, "apple", "red"},
    DemoStep{"fill", Verb::put, "banana", "yellow"},
    DemoStep{"fill", Verb::put, "cherry", "dark red"},
    DemoStep{"fill", Verb::put, "date", "brown"},
    DemoStep{"fill", Verb::put, "elderberry", "black"},
    DemoStep{"put", Verb::put, "fig", "violet"},
    DemoStep{"put", Verb::put, "grape", "green"},
    DemoStep{"put", Verb::put, "honeydew", "pale green"},
    DemoStep{"put", Verb::put, "apple", "green"},
    DemoStep{"put", Verb::put, "banana", "still a little green"},
    DemoStep{"get", Verb::get, "apple", ""},
    DemoStep{"get", Verb::get, "banana", ""},
    DemoStep{"get", Verb::get, "cherry", ""},
    DemoStep{"get", Verb::get, "fig", ""},
    DemoStep{"get", Verb::get, "no-such-fruit", ""},
    DemoStep{"delete", Verb::erase, "apple", ""},
    DemoStep{"delete", Verb::erase, "banana", ""},
    DemoStep{"delete", Verb::erase, "fig", ""},
    DemoStep{"delete", Verb::erase, "grape", ""},
    DemoStep{"delete", Verb::erase, "no-such-fruit", ""},
};

bool is_id_text(std::string_view text) {
  // By the codec's own rule, so that there is one.
  Origin origin;
  return wire::parse_origin(std::string{text} + ".1", origin);
}

std::string id_of(const Command& command) {
  std::string id;
  wire::append_origin(id, command.origin);
  return id;
}

void add_value(wire::LogFields& fields, std::string_view name, std::string_view value) {
  if (value.size() <= logged_value_bytes_max) {
    fields.add(name, value);
  } else {
    fields.add(std::string{name} + "_bytes", value.size());
  }
}

std::string_view event_of(Outcome outcome) {
  switch (outcome) {
    case Outcome::answered:
      return "answer";
    case Outcome::timed_out:
      return "timeout";
    case Outcome::lost:
      return "lost";
    case Outcome::not_sent:
      return "not_sent";
  }
  return "?";
}

/// What the client itself concludes, in the words that servers use.
Status status_of(const CallResult& result) {
  switch (result.outcome) {
    case Outcome::answered:
      return result.reply.status;
    case Outcome::timed_out:
    case Outcome::lost:
      return Status::unknown;
    case Outcome::not_sent:
      return Status::unavailable;
  }
  return Status::unknown;
}

}  // namespace

bool is_client_name(std::string_view name) {
  return name.size() <= name_bytes_max && is_id_text(name);
}

Console::Console(Options options, Transport& transport, Terminal& terminal, EventSink& events,
                 std::function<Instant()> now)
    : options_(std::move(options)),
      transport_(transport),
      terminal_(terminal),
      events_(events),
      now_(std::move(now)) {
  check(is_client_name(options_.name));
  check(options_.run.size() <= run_bytes_max && is_id_text(options_.run));
  check(options_.timeout > Duration::zero());
}

bool Console::run() {
  log_start();
  if (options_.demo) {
    run_demo();
  }
  const std::string_view reason = run_typed();
  print_totals();
  log_stop(reason);
  return answered_ == operations_;
}

bool Console::ping() {
  log_start();
  Command command;
  command.verb = Verb::ping;
  const Reply reply = perform(std::move(command));
  log_stop("ping");
  return answered_ == operations_ && reply.status == Status::ok;
}

// --- what it does --------------------------------------------------------------------------------

void Console::run_demo() {
  run_group("Filling the store:\n", "fill");
  run_group("Five PUT, two of them over an older value:\n", "put");
  run_group("Five GET, one of a key that is not there:\n", "get");
  run_group("Five DELETE, one of a key that is not there:\n", "delete");
}

void Console::run_group(std::string_view title, std::string_view group) {
  if (terminal_.ended().empty()) {
    terminal_.print(title);
  }
  for (const DemoStep& step : demo_steps) {
    if (step.group != group || !terminal_.ended().empty()) {
      continue;
    }
    Command command;
    command.verb = step.verb;
    command.key = options_.name + ":" + std::string{step.key};
    command.value = step.value;
    perform(std::move(command));
  }
}

/// The reason why it ended, in one word.
std::string_view Console::run_typed() {
  while (terminal_.ended().empty()) {
    const auto line = terminal_.read_line(prompt);
    if (!line) {
      break;
    }
    if (!run_line(*line)) {
      return "exit";
    }
  }
  return terminal_.ended().empty() ? "end_of_input" : terminal_.ended();
}

/// False if the line was EXIT.
bool Console::run_line(std::string_view line) {
  line = without_stray_blanks(line);
  if (line.empty()) {
    return true;
  }
  wire::LineRequest request;
  const std::string_view why = why_no_command(line, request);
  if (request.kind == wire::LineRequest::Kind::exit) {
    return false;
  }
  if (why.empty()) {
    perform(std::move(request.command));
  } else {
    refuse_line(line, why);
  }
  return true;
}

/// Empty if `request` is a command, or EXIT. Half a batch would be worse than none: of one that is
/// refused nothing is done, up to its end.
std::string_view Console::why_no_command(std::string_view line, wire::LineRequest& request) {
  using Kind = wire::LineRequest::Kind;
  if (line.size() > input_line_bytes_max) {
    return "the line is too long";
  }
  if (line.starts_with('@')) {
    return "an ID is not yours to choose here: each operation gets its own";
  }
  wire::parse_line(line, request);
  if (request.kind == Kind::exit) {
    return {};
  }
  const bool was_in_batch = in_batch_;
  in_batch_ = request.kind == Kind::multi ||
              (in_batch_ && request.kind != Kind::exec && request.kind != Kind::discard);
  if (request.kind == Kind::malformed) {
    return request.why == wire::unknown_verb_why
               ? "an unknown verb: PUT, GET, DELETE, CAS, PING or EXIT"  // MULTI is not for here
               : request.why;
  }
  if (was_in_batch || request.kind != Kind::command) {
    return "a batch is not for this prompt: MULTI and what follows it go over a plain connection";
  }
  return {};
}

void Console::refuse_line(std::string_view line, std::string_view why) {
  ++not_sent_;
  terminal_.print("  not sent: " + std::string{why} + "\n");
  events_.event(Level::warn, wire::LogFields{}
                                 .add("event", "wrong_line")
                                 .add("bytes", line.size())
                                 .add("why", why)
                                 .text());
}

Reply Console::perform(Command command) {
  ++operations_;
  command.origin = {.client = options_.name + "-" + options_.run,
                    .sequence = operations_,
                    .first_outstanding = operations_};  // one at a time: older ones are settled
  log_request(command);
  const Instant begin = now_();
  CallResult result = transport_.call(command, options_.timeout);
  const Duration took = now_() - begin;
  if (result.outcome == Outcome::answered) {
    ++answered_;
  }
  log_result(command, result, took);
  print_result(command, result, took);
  return std::move(result.reply);
}

// --- what it says --------------------------------------------------------------------------------

void Console::log_start() {
  events_.event(Level::info, wire::LogFields{}
                                 .add("event", "start")
                                 .add("name", options_.name)
                                 .add("run", options_.run)
                                 .add("server", transport_.server())
                                 .add("timeout_us", options_.timeout.count())
                                 .text());
}

void Console::log_stop(std::string_view reason) {
  events_.event(Level::info, wire::LogFields{}
                                 .add("event", "stop")
                                 .add("reason", reason)
                                 .add("operations", operations_)
                                 .add("answered", answered_)
                                 .text());
}

void Console::log_request(const Command& command) {
  wire::LogFields fields;
  fields.add("event", "request").add("op", id_of(command)).add("verb", name_of(command.verb));
  if (command.verb != Verb::ping) {
    fields.add("key", command.key);
  }
  if (command.verb == Verb::compare_and_set) {
    add_value(fields, "old", command.expected);
  }
  if (command.verb == Verb::put || command.verb == Verb::compare_and_set) {
    add_value(fields, "value", command.value);
  }
  events_.event(Level::info, fields.text());
}

void Console::log_result(const Command& command, const CallResult& result, Duration took) {
  const bool answered = result.outcome == Outcome::answered;
  wire::LogFields fields;
  fields.add("event", event_of(result.outcome))
      .add("op", id_of(command))
      .add("result", name_of(status_of(result)))
      .add("us", took.count());
  if (answered && command.verb == Verb::get && result.reply.status == Status::ok) {
    add_value(fields, "value", result.reply.value);
  }
  const std::string& why = answered ? result.reply.why : result.why;
  if (!why.empty()) {
    fields.add("why", why);
  }
  events_.event(answered ? Level::info : Level::warn, fields.text());
}

void Console::print_result(const Command& command, const CallResult& result, Duration took) {
  std::string line = "  " + request_text(command) + " -> ";
  switch (result.outcome) {
    case Outcome::answered:
      line += answer_text(command.verb, result.reply);
      break;
    case Outcome::timed_out:
    case Outcome::lost:
      line += result.why;
      line += changes_something(command.verb) ? ": unknown, it may or may not have been done" : "";
      break;
    case Outcome::not_sent:
      line += "not done: " + result.why;
      break;
  }
  terminal_.print(line + "  (" + duration_text(took) + ")\n");
}

void Console::print_totals() {
  terminal_.print(std::to_string(operations_) +
                  (operations_ == 1 ? " operation, " : " operations, ") +
                  std::to_string(answered_) + " answered" +
                  (not_sent_ == 0 ? "" : "; lines refused: " + std::to_string(not_sent_)) + "\n");
}

}  // namespace kv::client
