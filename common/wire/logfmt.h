// Log fields: key=value, separated by blanks, a value quoted where a reader could mistake its end.
#pragma once

#include <charconv>
#include <concepts>
#include <string>
#include <string_view>
#include <utility>

namespace kv::wire {

/// Whether `value` stands in a log line as it is.
bool is_bare_in_logfmt(std::string_view value);

/// Appends `value` as logfmt has it: bare if it is not empty and holds no blank, quote, backslash,
/// equals sign, control byte or byte above 0x7e; else in double quotes, with \" \\ \n \r \t and
/// \xNN for the rest that is not printable ASCII. One line stays one line, whatever is in it.
void append_logfmt_value(std::string& line, std::string_view value);

/// Collects one line's fields: LogFields{}.add("event", "vote").add("term", 3).
class LogFields {
 public:
  LogFields& add(std::string_view key, std::string_view value) {
    begin(key);
    append_logfmt_value(text_, value);
    return *this;
  }

  template <std::integral T>
  LogFields& add(std::string_view key, T value) {
    begin(key);
    char digits[24];
    const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
    text_.append(digits, end);
    return *this;
  }

  LogFields& add(std::string_view key, const char* value) {
    return add(key, std::string_view{value});
  }

  const std::string& text() const& { return text_; }
  std::string text() && { return std::move(text_); }
  void clear() { text_.clear(); }

 private:
  void begin(std::string_view key) {
    if (!text_.empty()) {
      text_ += ' ';
    }
    text_ += key;
    text_ += '=';
  }

  std::string text_;
};

}  // namespace kv::wire
