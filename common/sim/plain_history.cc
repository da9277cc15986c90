#include "common/sim/plain_history.h"

#include <charconv>
#include <concepts>

#include "common/kv/names.h"

namespace kv::sim {
namespace {

/// Takes a line apart from its left; whatever is not as expected makes good() false for ever.
class Scanner {
 public:
  explicit Scanner(ByteView line) : at_(line.data()), end_(line.data() + line.size()) {}

  bool good() const { return good_; }
  bool finished() const { return good_ && at_ == end_; }

  /// Whether `text` stands there; then it is behind it.
  bool skip(std::string_view text) {
    const bool there =
        std::string_view{at_, static_cast<std::size_t>(end_ - at_)}.starts_with(text);
    at_ += there ? text.size() : 0;
    return there;
  }

  void expect(std::string_view text) { good_ = skip(text) && good_; }

  template <std::integral Number>
  Number number() {
    Number number = 0;
    const auto [end, failure] = std::from_chars(at_, end_, number);
    // JSON has no leading zeros (RFC 8259, section 6), and whether -0 is whole is not for us.
    const bool negative = at_ != end_ && *at_ == '-';
    const char* const digits = negative ? at_ + 1 : at_;
    const bool odd = digits < end && *digits == '0' && (negative || end - digits > 1);
    good_ = good_ && failure == std::errc{} && !odd;
    at_ = end;
    return number;
  }

  /// Up to the closing quote, which is passed.
  std::string_view text() {
    const char* const begin = at_;
    while (at_ != end_ && *at_ != '"') {
      good_ = good_ && *at_ >= ' ' && *at_ <= '~' && *at_ != '\\';
      ++at_;
    }
    const std::string_view text{begin, static_cast<std::size_t>(at_ - begin)};
    expect("\"");
    return text;
  }

 private:
  const char* at_;
  const char* end_;
  bool good_ = true;
};

}  // namespace

bool can_end(Verb verb, Status status) {
  switch (status) {
    case Status::not_found:
      return verb != Verb::put;
    case Status::conflict:
      return verb == Verb::compare_and_set;
    default:
      return true;
  }
}

bool take(const PlainLine& line, Operation& operation) {
  const bool writes = line.verb == Verb::put || line.verb == Verb::compare_and_set;
  const bool reads = line.verb == Verb::get && line.result == Status::ok && line.return_ns;
  const bool swaps = line.verb == Verb::compare_and_set;
  const HistoryTime call{std::chrono::nanoseconds{line.call_ns}};
  const bool ended = line.return_ns && line.result != Status::unknown;
  if (line.verb == Verb::batch || line.verb == Verb::ping || !can_end(line.verb, line.result) ||
      ((writes || reads) && !line.has_value) || (swaps && !line.has_expected) ||
      (line.return_ns && *line.return_ns < line.call_ns)) {
    return false;
  }
  operation.client = line.client;
  operation.verb = line.verb;
  operation.key.assign(line.key);
  operation.value.assign(writes || reads ? line.value : std::string_view{});
  operation.expected.assign(swaps ? line.expected : std::string_view{});
  operation.call = call;
  operation.returned =
      ended ? HistoryTime{std::chrono::nanoseconds{*line.return_ns}} : never_returned;
  operation.result = ended ? line.result : Status::unknown;
  return true;
}

std::optional<PlainLine> read_plain(ByteView line) {
  Scanner scanner{line};
  PlainLine read;
  scanner.expect("{\"client\":");
  read.client = scanner.number<std::uint64_t>();
  scanner.expect(",\"op\":\"");
  const auto verb = named<Verb>(scanner.text());
  scanner.expect(",\"key\":\"");
  read.key = scanner.text();
  read.has_expected = scanner.skip(",\"old\":\"");
  read.expected = read.has_expected ? scanner.text() : std::string_view{};
  read.has_value = scanner.skip(",\"value\":\"");
  read.value = read.has_value ? scanner.text() : std::string_view{};
  scanner.expect(",\"call\":");
  read.call_ns = scanner.number<std::int64_t>();
  scanner.expect(",\"return\":");
  if (!scanner.skip("null")) {
    read.return_ns = scanner.number<std::int64_t>();
  }
  scanner.expect(",\"result\":\"");
  const auto result = named<Status>(scanner.text());
  if (scanner.skip(",\"id\":\"")) {
    read.id = scanner.text();
  }
  if (scanner.skip(",\"wall_ns\":")) {
    read.wall_ns = scanner.number<std::int64_t>();
  }
  scanner.expect("}");
  if (!scanner.finished() || !verb || !result) {
    return std::nullopt;
  }
  read.verb = *verb;
  read.result = *result;
  return read;
}

}  // namespace kv::sim
