#include "common/sim/history.h"

#include <algorithm>
#include <concepts>
#include <optional>
#include <string_view>

#include <boost/json.hpp>

#include "common/kv/names.h"
#include "common/sim/plain_history.h"

namespace kv::sim {
namespace {

namespace json = boost::json;

/// One line's fields; the first thing that is wrong stays in `why`.
class Fields {
 public:
  explicit Fields(const json::object& object) : object_(object) {}

  bool good() const { return why_.empty(); }
  const std::string& why() const { return why_; }
  void wrong(std::string_view name, std::string_view what) {
    if (why_.empty()) {
      why_.append(1, '"').append(name).append("\" ").append(what);
    }
  }

  const json::value* find(std::string_view name) const {
    const json::value* const found = object_.if_contains(name);
    return found == nullptr || found->is_null() ? nullptr : found;
  }

  void read(std::string_view name, std::string& text) {
    const json::value* const found = find(name);
    if (found == nullptr || !found->is_string()) {
      return wrong(name, "must be a text");
    }
    text = std::string_view{found->get_string()};
  }

  void read(std::string_view name, HistoryTime& time) {
    std::int64_t count = 0;
    read(name, count);
    time = HistoryTime{std::chrono::nanoseconds{count}};
  }

  template <std::integral Number>
  void read(std::string_view name, Number& number) {
    const json::value* const found = find(name);
    json::error_code error;
    if (found != nullptr) {
      number = found->to_number<Number>(error);
    }
    if (found == nullptr || error || found->is_double()) {
      wrong(name, "must be a whole number in its range");
    }
  }

 private:
  const json::object& object_;
  std::string why_;
};

void read_result(Fields& fields, Operation& operation) {
  if (fields.find("return") != nullptr) {
    fields.read("return", operation.returned);
  }
  if (fields.find("result") != nullptr) {
    std::string name;
    fields.read("result", name);
    const std::optional<Status> status = named<Status>(name);
    if (!status || !can_end(operation.verb, *status)) {
      return fields.wrong("result", "is none that this op can have");
    }
    operation.result = *status;
  }
  if (operation.returned < operation.call) {
    fields.wrong("return", "is before \"call\"");
  }
  if (operation.returned == never_returned || operation.result == Status::unknown) {
    operation.result = Status::unknown;
    operation.returned = never_returned;
  }
}

void read_operation(Fields& fields, Operation& operation) {
  std::string op;
  fields.read("op", op);
  const std::optional<Verb> verb = named<Verb>(op);
  if (!verb || *verb == Verb::batch || *verb == Verb::ping) {
    return fields.wrong("op", "must be get, put, delete or cas");
  }
  operation.verb = *verb;
  fields.read("client", operation.client);
  fields.read("key", operation.key);
  fields.read("call", operation.call);
  read_result(fields, operation);
  const bool reads = operation.verb == Verb::get && operation.result == Status::ok;
  if (operation.verb == Verb::put || operation.verb == Verb::compare_and_set || reads) {
    fields.read("value", operation.value);
  }
  if (operation.verb == Verb::compare_and_set) {
    fields.read("old", operation.expected);
  }
}

bool read_line(ByteView line, std::vector<Operation>& history, std::string& why) {
  Operation& operation = history.emplace_back();
  if (const auto plain = read_plain(line); plain && take(*plain, operation)) {
    return true;
  }
  unsigned char buffer[4096];
  json::monotonic_resource memory{buffer, sizeof buffer};
  json::error_code error;
  const json::value read = json::parse({line.data(), line.size()}, error, &memory);
  if (error || !read.is_object()) {
    why = error ? "no JSON: " + error.message() : "no JSON object";
    return false;
  }
  Fields fields{read.get_object()};
  read_operation(fields, operation);
  why = fields.why();
  return fields.good();
}

}  // namespace

void append_json(Bytes& out, const Operation& operation) {
  json::object object;
  object["client"] = operation.client;
  object["op"] = name_of(operation.verb);
  object["key"] = operation.key;
  const bool reads = operation.verb == Verb::get && operation.result == Status::ok;
  if (operation.verb == Verb::compare_and_set) {
    object["old"] = operation.expected;
  }
  if (operation.verb == Verb::put || operation.verb == Verb::compare_and_set || reads) {
    object["value"] = operation.value;
  }
  object["call"] = operation.call.time_since_epoch().count();
  if (operation.returned == never_returned) {
    object["return"] = nullptr;
  } else {
    object["return"] = operation.returned.time_since_epoch().count();
  }
  object["result"] = name_of(operation.result);
  out += json::serialize(object);
  out += '\n';
}

bool read_history(ByteView text, std::vector<Operation>& history, std::string& why) {
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const ByteView line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const bool blank = line.find_first_not_of(" \t\r") == ByteView::npos;
    if (!blank && !read_line(line, history, why)) {
      why.insert(0, "line " + std::to_string(number) + ": ");
      return false;
    }
  }
  return true;
}

}  // namespace kv::sim
