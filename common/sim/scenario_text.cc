#include "common/sim/scenario_text.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "common/sim/scenario_values.h"

namespace kv::sim {
namespace {

using text::format;
using text::read;
using text::read_node;

constexpr std::size_t line_bytes_max = 1000;

// --- settings: `name=value`, from each struct's one list of fields -------------------------------

class SettingReader {
 public:
  SettingReader(std::string_view name, std::string_view value) : name_(name), value_(value) {}

  template <typename T>
  void operator()(std::string_view name, T& field) {
    known_ += (known_.empty() ? "" : ", ") + std::string{name};
    if (name == name_) {
      found_ = true;
      good_ = text::read(value_, field);
    }
  }

  bool found() const { return found_; }
  bool good() const { return good_; }
  const std::string& known() const { return known_; }

 private:
  std::string_view name_;
  std::string_view value_;
  std::string known_;
  bool found_ = false;
  bool good_ = false;
};

class SettingWriter {
 public:
  explicit SettingWriter(std::string& out) : out_(out) {}

  template <typename Field>
  void operator()(std::string_view name, const Field& field) {
    out_ += ' ';
    out_ += name;
    out_ += '=';
    out_ += text::format(field);
  }

 private:
  std::string& out_;
};

/// The settings of a fault, beyond its positional words; which there are depends on its kind.
struct FaultSettings {
  static void fields(auto& fault, auto& visit) {
    switch (fault.kind) {
      case FaultKind::crash:
        visit("point", fault.point);
        visit("disk", fault.damage);
        return;
      case FaultKind::clock:
        visit("rate", fault.rate);
        visit("jump", fault.jump);
        return;
      case FaultKind::partition:
        visit("healing", fault.healing);
        return;
      case FaultKind::slow:
        visit("delay", fault.delay);
        return;
      case FaultKind::storm:
        Weather::fields(fault.weather, visit);
        return;
      case FaultKind::disk:
        visit("factor", fault.factor);
        return;
      case FaultKind::pause:
      case FaultKind::cut:
      case FaultKind::kill:
        return;
    }
  }
};

struct ExpectSettings {
  static void fields(auto& expect, auto& visit) {
    visit("within", *expect.answers_within);
    visit("from", expect.answers_from);
  }
};

// --- the parser ----------------------------------------------------------------------------------

class Parser {
 public:
  std::variant<Scenario, ScenarioError> parse(std::string_view text);

 private:
  void parse_line(std::string_view text);
  void parse_directive();
  void parse_nodes();
  void parse_fault();
  void parse_fault_words(Fault& fault);
  void parse_partition(Fault& fault);
  void parse_expect();
  void check_whole();
  void check_fault(const Fault& fault);
  void check_weather(const Weather& weather);
  void check_who(const std::string& who);

  template <typename Settings, typename T>
  void parse_settings(T& target);

  void split(std::string_view text);
  bool at_end() const { return next_ == words_.size(); }
  std::string_view peek() const { return at_end() ? std::string_view{} : words_[next_]; }
  std::string_view take(std::string_view what);
  bool accept(std::string_view word);
  void fail(std::string why);
  bool failed() const { return error_.has_value(); }

  Scenario scenario_;
  std::optional<ScenarioError> error_;
  std::uint32_t line_ = 0;
  std::vector<std::string_view> words_;
  std::size_t next_ = 0;
  std::vector<std::string> seen_;  // directives that stand once
};

std::variant<Scenario, ScenarioError> Parser::parse(std::string_view text) {
  scenario_.expect = {.linearizable = false, .answers_within = std::nullopt, .answers_from = {}};
  while (!text.empty() && !failed()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    ++line_;
    parse_line(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  if (!failed()) {
    check_whole();
  }
  if (failed()) {
    return *error_;
  }
  return scenario_;
}

void Parser::parse_line(std::string_view text) {
  if (text.size() > line_bytes_max) {
    return fail("a line may have " + std::to_string(line_bytes_max) + " bytes");
  }
  text = text.substr(0, text.find('#'));
  split(text);
  if (words_.empty()) {
    return;
  }
  if (words_.front() == "scenario") {
    const std::size_t begin = text.find("scenario") + std::string_view{"scenario"}.size();
    text.remove_prefix(begin);
    text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
    text = text.substr(0, text.find_last_not_of(" \t\r") + 1);
    scenario_.title = text;
    return;
  }
  parse_directive();
  if (!failed() && !at_end()) {
    fail("'" + std::string{peek()} + "' is too much");
  }
}

void Parser::parse_directive() {
  const std::string word{take("a directive")};
  if (word == "at") {
    return parse_fault();
  }
  if (word == "expect") {
    return parse_expect();
  }
  if (std::ranges::find(seen_, word) != seen_.end()) {
    return fail("'" + word + "' stands twice");
  }
  seen_.push_back(word);
  if (word == "nodes") {
    parse_nodes();
  } else if (word == "load") {
    parse_settings<Load>(scenario_.load);
  } else if (word == "network") {
    parse_settings<Weather>(scenario_.weather);
    check_weather(scenario_.weather);
  } else if (word == "disk") {
    parse_settings<DiskSpec>(scenario_.disk);
  } else {
    fail("'" + word +
         "' is no directive; there are scenario, nodes, load, network, disk, at, expect");
  }
}

void Parser::parse_nodes() {
  const std::string_view word = take("how many nodes");
  if (!failed() &&
      (!read(word, scenario_.nodes) || scenario_.nodes == 0 || scenario_.nodes > nodes_max)) {
    fail("nodes: 1 to " + std::to_string(nodes_max) + ", not '" + std::string{word} + "'");
  }
}

void Parser::parse_fault() {
  if (scenario_.faults.size() == faults_max) {
    return fail("a scenario may have " + std::to_string(faults_max) + " faults");
  }
  Fault fault;
  const std::string_view at = take("a time");
  if (!failed() && !read(at, fault.at)) {
    return fail("'" + std::string{at} + "' is no time; say 250us, 20ms or 1.5s");
  }
  if (accept("for")) {
    const std::string_view lasts = take("a time");
    if (!failed() && !read(lasts, fault.lasts.emplace())) {
      return fail("'" + std::string{lasts} + "' is no time; say 250us, 20ms or 1.5s");
    }
  }
  const std::string_view kind = take("a fault");
  if (!failed() && !read(kind, fault.kind)) {
    return fail("'" + std::string{kind} +
                "' is no fault; there are crash, pause, clock, cut, partition, slow, storm, disk, "
                "kill");
  }
  parse_fault_words(fault);
  parse_settings<FaultSettings>(fault);
  check_fault(fault);
  scenario_.faults.push_back(std::move(fault));
}

void Parser::parse_fault_words(Fault& fault) {
  switch (fault.kind) {
    case FaultKind::crash:
    case FaultKind::pause:
    case FaultKind::clock:
      fault.who = take("a node");
      return;
    case FaultKind::cut:
    case FaultKind::slow:
      fault.who = take("a node");
      fault.one_way = fault.kind == FaultKind::cut && accept("to");
      fault.to = take("a second node");
      return;
    case FaultKind::partition:
      parse_partition(fault);
      return;
    case FaultKind::storm:
      fault.weather = scenario_.weather;  // what follows says what is different
      return;
    case FaultKind::disk: {
      fault.who = take("a node");
      const std::string_view state = take("slow, hung or full");
      if (!failed() && (!read(state, fault.state) || fault.state == DiskState::healthy)) {
        fail("a disk is slow, hung or full, not '" + std::string{state} + "'");
      }
      return;
    }
    case FaultKind::kill:
      fault.role = take("a role");
      if (!accept("of")) {
        fail("say: kill ROLE of NODE");
      }
      fault.who = take("a node");
      return;
  }
}

void Parser::parse_partition(Fault& fault) {
  const std::string_view word = take("groups or a shape");
  if (failed()) {
    return;
  }
  if (word.front() >= '0' && word.front() <= '9') {
    if (!read(word, fault.groups)) {
      fail("'" + std::string{word} + "' are no groups; say 1,2|3,4,5");
    }
    return;
  }
  if (!read(word, fault.shape) || fault.shape == Shape::groups) {
    return fail("'" + std::string{word} +
                "' is no shape; there are alone, halves, ring, bridge, one_way, or groups such as "
                "1,2|3,4,5");
  }
  if (accept("of")) {
    fault.who = take("a node");
  }
}

void Parser::parse_expect() {
  const std::string word{take("linearizable or answers")};
  if (word == "linearizable") {
    scenario_.expect.linearizable = true;
  } else if (word == "answers") {
    scenario_.expect.answers_within = Duration{};
    parse_settings<ExpectSettings>(scenario_.expect);
    if (!failed() && *scenario_.expect.answers_within == Duration{}) {
      fail("say within which time: expect answers within=5s");
    }
  } else if (!failed()) {
    fail("one can expect linearizable or answers, not '" + word + "'");
  }
}

template <typename Settings, typename T>
void Parser::parse_settings(T& target) {
  std::vector<std::string_view> named;
  while (!failed() && !at_end()) {
    const std::string_view word = take("a setting");
    const std::size_t equals = word.find('=');
    const std::string_view name = word.substr(0, equals);
    const std::string_view value =
        equals == std::string_view::npos ? std::string_view{} : word.substr(equals + 1);
    SettingReader reader{name, value};
    Settings::fields(target, reader);
    if (!reader.found()) {
      return fail("'" + std::string{name} + "' is no setting here; there are: " +
                  (reader.known().empty() ? "none" : reader.known()));
    }
    if (!reader.good()) {
      return fail("'" + std::string{value} + "' is no value for " + std::string{name});
    }
    if (std::ranges::find(named, name) != named.end()) {
      return fail("'" + std::string{name} + "' stands twice");
    }
    named.push_back(name);
  }
}

namespace {

/// A node that stands there twice; nobody: none does.
NodeId twice_in(const std::vector<std::vector<NodeId>>& groups) {
  std::vector<NodeId> all;
  for (const auto& group : groups) {
    all.insert(all.end(), group.begin(), group.end());
  }
  std::ranges::sort(all);
  const auto twice = std::ranges::adjacent_find(all);
  return twice == all.end() ? NodeId{} : *twice;
}

}  // namespace

void Parser::check_weather(const Weather& weather) {
  for (const Share share : {weather.loss, weather.repeat, weather.flip, weather.late}) {
    if (!failed() && share > percent(100)) {
      fail("no more than 100% of the messages are lost, repeated, flipped or late");
    }
  }
}

void Parser::check_fault(const Fault& fault) {
  if (!failed() && !fault.who.empty()) {
    check_who(fault.who);
  }
  if (!failed() && !fault.to.empty()) {
    check_who(fault.to);
  }
  if (failed()) {
    return;
  }
  if (const NodeId node = twice_in(fault.groups); node.value != 0) {
    return fail("node " + std::to_string(node.value) + " stands in two groups of the partition");
  }
  check_weather(fault.weather);
  if (fault.kind == FaultKind::clock && (fault.rate < percent(1) || fault.rate > percent(1000))) {
    fail("a clock's rate is 1% to 1000%");
  } else if (fault.kind == FaultKind::disk && (fault.factor < 1 || fault.factor > 100'000)) {
    fail("a disk's factor is 1 to 100000");
  }
}

void Parser::check_who(const std::string& who) {
  NodeId node;
  const bool word =
      std::ranges::all_of(who, [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; });
  if (!word && !read_node(who, node)) {
    fail("'" + who + "' is no node; say its number, a role such as leader, or any");
  }
}

/// What a line alone cannot tell.
void Parser::check_whole() {
  line_ = 0;
  const Load& load = scenario_.load;
  if (load.clients == 0 || load.clients > clients_max) {
    return fail("clients: 1 to " + std::to_string(clients_max));
  }
  if (load.operations > operations_max) {
    return fail("operations: up to " + std::to_string(operations_max));
  }
  if (load.keys == 0 || load.keys > keys_max) {
    return fail("keys: 1 to " + std::to_string(keys_max));
  }
  if (load.gets + load.puts + load.deletes + load.swaps == 0) {
    return fail("load: at least one of gets, puts, deletes, swaps must not be 0");
  }
  if (scenario_.disk.segment_bytes < 4096) {
    return fail("segment_bytes: at least 4096");
  }
  const auto outside = [this](NodeId node) { return node.value > scenario_.nodes; };
  for (const Fault& fault : scenario_.faults) {
    for (const std::string& who : {fault.who, fault.to}) {
      NodeId node;
      if (read_node(who, node) && outside(node)) {
        return fail("node " + who + " is named, but there are " + std::to_string(scenario_.nodes));
      }
    }
    for (const auto& group : fault.groups) {
      if (std::ranges::any_of(group, outside)) {
        return fail("a partition names a node that is not there");
      }
    }
  }
  if (std::ranges::any_of(scenario_.expect.answers_from, outside)) {
    return fail("answers are expected from a node that is not there");
  }
}

void Parser::split(std::string_view text) {
  words_.clear();
  next_ = 0;
  while (true) {
    text.remove_prefix(std::min(text.find_first_not_of(" \t\r"), text.size()));
    if (text.empty()) {
      return;
    }
    const std::size_t end = std::min(text.find_first_of(" \t\r"), text.size());
    words_.push_back(text.substr(0, end));
    text.remove_prefix(end);
  }
}

std::string_view Parser::take(std::string_view what) {
  if (at_end()) {
    fail(std::string{what} + " is missing");
    return {};
  }
  return words_[next_++];
}

bool Parser::accept(std::string_view word) {
  if (peek() != word) {
    return false;
  }
  ++next_;
  return true;
}

void Parser::fail(std::string why) {
  if (!failed()) {
    error_ = ScenarioError{.line = line_, .why = std::move(why)};
  }
}

// --- the writer ----------------------------------------------------------------------------------

template <typename Settings, typename T>
void append_settings(std::string& out, const T& value) {
  SettingWriter writer{out};
  Settings::fields(value, writer);
}

void append_fault(std::string& out, const Fault& fault) {
  out += "at " + format(fault.at);
  if (fault.lasts) {
    out += " for " + format(*fault.lasts);
  }
  out += ' ';
  out += name_of(fault.kind);
  if (fault.kind == FaultKind::kill) {
    out += ' ' + fault.role + " of";
  }
  if (fault.kind == FaultKind::partition) {
    out += ' ' + (fault.shape == Shape::groups ? format(fault.groups) : format(fault.shape));
    out += fault.who.empty() ? "" : " of";
  }
  out += fault.who.empty() ? "" : ' ' + fault.who;
  out += fault.one_way ? " to" : "";
  out += fault.to.empty() ? "" : ' ' + fault.to;
  if (fault.kind == FaultKind::disk) {
    out += ' ' + format(fault.state);
  }
  append_settings<FaultSettings>(out, fault);
  out += '\n';
}

}  // namespace

std::variant<Scenario, ScenarioError> parse_scenario(std::string_view text) {
  return Parser{}.parse(text);
}

std::string format_scenario(const Scenario& scenario) {
  std::string out = "scenario " + scenario.title + "\n";
  out += "nodes " + std::to_string(scenario.nodes) + "\nload";
  append_settings<Load>(out, scenario.load);
  out += "\nnetwork";
  append_settings<Weather>(out, scenario.weather);
  out += "\ndisk";
  append_settings<DiskSpec>(out, scenario.disk);
  out += '\n';
  for (const Fault& fault : scenario.faults) {
    append_fault(out, fault);
  }
  out += scenario.expect.linearizable ? "expect linearizable\n" : "";
  if (scenario.expect.answers_within) {
    out += "expect answers within=" + format(*scenario.expect.answers_within);
    const std::string from = format(scenario.expect.answers_from);
    out += from.empty() ? "\n" : " from=" + from + "\n";
  }
  return out;
}

std::string format_duration(Duration duration) {
  const auto micros = static_cast<std::uint64_t>(duration.count());
  if (micros % 1'000 != 0 && micros < 1'000'000) {
    return micros < 1'000 ? std::to_string(micros) + "us"
                          : text::format_decimal(micros, 1'000) + "ms";
  }
  return micros % 1'000'000 == 0 || micros >= 1'000'000
             ? text::format_decimal(micros, 1'000'000) + "s"
             : text::format_decimal(micros, 1'000) + "ms";
}

}  // namespace kv::sim
