#include "common/client/wording.h"

#include <algorithm>
#include <cstdio>

namespace kv::client {
namespace {

void append_shown(std::string& text, std::string_view bytes) {
  static constexpr char digits[] = "0123456789abcdef";
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const auto code = static_cast<unsigned char>(bytes[i]);
    const auto next = i + 1 < bytes.size() ? static_cast<unsigned char>(bytes[i + 1]) : 0U;
    const bool control_in_utf8 = code == 0xc2 && next >= 0x80 && next < 0xa0;  // U+0080 to U+009f
    if (code >= 0x20 && code != 0x7f && !control_in_utf8) {
      text += bytes[i];
    } else {
      text += "\\x";
      text += digits[code >> 4];
      text += digits[code & 15];
    }
  }
}

void append_word(std::string& text, std::string_view bytes) {
  text += ' ';
  append_shown(text, bytes.substr(0, shown_request_bytes_max));
  if (bytes.size() > shown_request_bytes_max) {
    text += "... (" + std::to_string(bytes.size()) + " bytes)";
  }
}

void append_reason(std::string& text, std::string_view word, std::string_view why) {
  text += word;
  if (!why.empty()) {
    text += ' ';
    append_shown(text, why);
  }
}

constexpr std::string_view blanks = " \t";

bool is_put(std::string_view line) {
  constexpr std::string_view put = "put ";
  return std::ranges::equal(line.substr(0, put.size()), put, [](char typed, char letter) {
    return typed == letter || (letter != ' ' && typed == letter - 'a' + 'A');
  });
}

}  // namespace

std::string request_text(const Command& command) {
  std::string text;
  switch (command.verb) {
    case Verb::get:
      append_word(text = "GET", command.key);
      break;
    case Verb::put:
      append_word(text = "PUT", command.key);
      append_word(text, command.value);
      break;
    case Verb::erase:
      append_word(text = "DELETE", command.key);
      break;
    case Verb::compare_and_set:
      append_word(text = "CAS", command.key);
      append_word(text, command.expected);
      append_word(text, command.value);
      break;
    case Verb::ping:
      text = "PING";
      break;
    case Verb::batch:
      text = "BATCH of " + std::to_string(command.writes.size());
      break;
  }
  return text;
}

std::string answer_text(Verb verb, const Reply& reply) {
  std::string text;
  switch (reply.status) {
    case Status::ok:
      if (verb != Verb::get) {
        return "OK";
      }
      append_shown(text = "VALUE ", reply.value);
      return text;
    case Status::not_found:
      return "NOT_FOUND";
    case Status::conflict:
      return "CONFLICT";
    case Status::bad_request:
      append_reason(text, "ERROR", reply.why);
      return text;
    case Status::aborted:
      append_reason(text, "ABORTED", reply.why);
      return text;
    case Status::unavailable:
      append_reason(text, "UNAVAILABLE", reply.why);
      return text;
    case Status::unknown:
      append_reason(text, "UNKNOWN", reply.why);
      return text;
  }
  return "?";
}

std::string duration_text(Duration duration) {
  const auto us = static_cast<double>(duration.count());
  char text[48];
  if (us < 1000) {
    std::snprintf(text, sizeof text, "%.0f us", us);
  } else if (us < 1e6) {
    std::snprintf(text, sizeof text, "%.2f ms", us / 1e3);
  } else {
    std::snprintf(text, sizeof text, "%.2f s", us / 1e6);
  }
  return text;
}

std::string_view without_stray_blanks(std::string_view line) {
  if (line.ends_with('\r')) {
    line.remove_suffix(1);
  }
  const std::size_t begin = std::min(line.find_first_not_of(blanks), line.size());
  line.remove_prefix(begin);
  if (is_put(line)) {
    return line;
  }
  return line.substr(0, line.find_last_not_of(blanks) + 1);  // npos + 1 is 0: nothing but blanks
}

}  // namespace kv::client
