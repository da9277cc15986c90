// Reads logs of any size line by line, in large pieces and bounded memory; and what one line says.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace kv::logs {

/// A longer line is passed over, and counted.
inline constexpr std::size_t line_bytes_max = std::size_t{4} * 1024 * 1024;

struct FileTally {
  std::uint64_t bytes = 0;
  std::uint64_t lines = 0;
  std::uint64_t overlong = 0;
};

/// Hands every line of the file to `take`, without its line end; the view lasts for that call. A
/// last line without an end is a line. False, and a reason in `why`, if it cannot be read.
bool read_lines(const std::string& path, const std::function<void(std::string_view)>& take,
                FileTally& tally, std::string& why);

/// Microseconds since 1970 from the 27 bytes at a line's beginning. Remembers the last second, for
/// the next line's is mostly the same.
class TimeReader {
 public:
  std::optional<std::int64_t> read(std::string_view line);

 private:
  char second_text_[20] = {};
  std::int64_t second_ = -1;
};

/// The rest of a log line after its time: the level, and the fields.
struct LineParts {
  std::string_view level;
  std::string_view fields;
};
LineParts split(std::string_view line);

/// The value of `name` among `fields`, as it stands there (quotes and escapes and all); nothing if
/// it is not there. What stands within another field's quotes is not found.
std::optional<std::string_view> find_field(std::string_view fields, std::string_view name);

/// The next field of `fields`, which loses it; false at the end.
struct Field {
  std::string_view name;
  std::string_view value;  // as it stands there
};
inline bool next_field(std::string_view& fields, Field& field);

/// The value that append_logfmt_value() wrote.
std::string unquoted(std::string_view value);

std::optional<std::uint64_t> number_of(std::string_view value);

// Names and values are short: a loop that the compiler sees through is done before a call to
// memchr() has begun.
inline bool next_field(std::string_view& fields, Field& field) {
  const char* at = fields.data();
  const char* const end = at + fields.size();
  while (at != end && *at == ' ') {
    ++at;
  }
  const char* const name = at;
  while (at != end && *at != '=') {
    ++at;
  }
  if (at == end) {
    fields = {};
    return false;
  }
  const char* const value = at + 1;
  field.name = {name, static_cast<std::size_t>(at - name)};
  at = value;
  if (at != end && *at == '"') {
    ++at;
    while (at != end && *at != '"') {
      at += *at == '\\' && at + 1 != end ? 2 : 1;
    }
    at += at != end ? 1 : 0;
  } else {
    while (at != end && *at != ' ') {
      ++at;
    }
  }
  field.value = {value, static_cast<std::size_t>(at - value)};
  fields = {at, static_cast<std::size_t>(end - at)};
  return true;
}

}  // namespace kv::logs
