#include "tools/log_lines.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <ctime>
#include <vector>

#include "common/host/descriptor.h"

namespace kv::logs {
namespace {

constexpr std::size_t piece_bytes = std::size_t{1024} * 1024;

int digit_of(char hex) {
  return hex >= 'a' ? hex - 'a' + 10 : hex - '0';
}

/// What follows the first of `mark` in `text`; nothing if there is none.
std::string_view after_first(char mark, std::string_view text) {
  const std::size_t at = text.find(mark);
  return at == std::string_view::npos ? std::string_view{} : text.substr(at + 1);
}

}  // namespace

bool read_lines(const std::string& path, const std::function<void(std::string_view)>& take,
                FileTally& tally, std::string& why) {
  const host::Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (!file.open()) {
    why = path + ": " + std::strerror(errno);
    return false;
  }
  ::posix_fadvise(file.number(), 0, 0, POSIX_FADV_SEQUENTIAL);
  std::vector<char> buffer(piece_bytes);
  std::size_t kept = 0;  // of an unfinished line, at the buffer's beginning
  bool skipping = false;
  while (true) {
    if (kept == buffer.size()) {
      if (buffer.size() >= line_bytes_max) {
        tally.overlong += skipping ? 0 : 1;
        skipping = true;
        kept = 0;
      } else {
        buffer.resize(buffer.size() * 2);
      }
    }
    const ssize_t got = ::read(file.number(), buffer.data() + kept, buffer.size() - kept);
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got < 0) {
      why = path + ": " + std::strerror(errno);
      return false;
    }
    if (got == 0) {
      break;
    }
    tally.bytes += static_cast<std::uint64_t>(got);
    const char* begin = buffer.data();
    const char* const end = buffer.data() + kept + got;
    const char* searched = buffer.data() + kept;
    while (const void* const found =
               std::memchr(searched, '\n', static_cast<std::size_t>(end - searched))) {
      const char* const line_end = static_cast<const char*>(found);
      if (!std::exchange(skipping, false)) {
        ++tally.lines;
        take({begin, static_cast<std::size_t>(line_end - begin)});
      }
      begin = searched = line_end + 1;
    }
    kept = static_cast<std::size_t>(end - begin);
    std::memmove(buffer.data(), begin, kept);
  }
  if (kept > 0 && !skipping) {
    ++tally.lines;
    take({buffer.data(), kept});
  }
  return true;
}

std::optional<std::int64_t> TimeReader::read(std::string_view line) {
  constexpr std::size_t stamp_bytes = 27;   // 2026-11-20T12:00:00.123456Z
  constexpr std::size_t second_bytes = 19;  // without the fraction
  if (line.size() < stamp_bytes || line[second_bytes] != '.' || line[stamp_bytes - 1] != 'Z') {
    return std::nullopt;
  }
  if (second_ < 0 || std::memcmp(line.data(), second_text_, second_bytes) != 0) {
    std::tm time{};
    std::memcpy(second_text_, line.data(), second_bytes);
    const char* const end = ::strptime(second_text_, "%Y-%m-%dT%H:%M:%S", &time);
    second_ = end == second_text_ + second_bytes ? ::timegm(&time) : -1;
    if (second_ < 0) {
      return std::nullopt;
    }
  }
  std::int64_t fraction = 0;
  for (std::size_t i = second_bytes + 1; i < stamp_bytes - 1; ++i) {
    if (line[i] < '0' || line[i] > '9') {
      return std::nullopt;
    }
    fraction = fraction * 10 + (line[i] - '0');
  }
  return second_ * 1'000'000 + fraction;
}

LineParts split(std::string_view line) {
  const std::string_view after_time = after_first(' ', line);
  return {.level = after_time.substr(0, after_time.find(' ')),
          .fields = after_first(' ', after_time)};
}

std::optional<std::string_view> find_field(std::string_view fields, std::string_view name) {
  Field field;
  while (next_field(fields, field)) {
    if (field.name == name) {
      return field.value;
    }
  }
  return std::nullopt;
}

std::string unquoted(std::string_view value) {
  if (value.size() < 2 || value.front() != '"') {
    return std::string{value};
  }
  value = value.substr(1, value.size() - 2);
  std::string text;
  for (std::size_t i = 0; i < value.size(); ++i) {
    if (value[i] != '\\' || i + 1 == value.size()) {
      text += value[i];
      continue;
    }
    switch (value[++i]) {
      case 'n':
        text += '\n';
        break;
      case 'r':
        text += '\r';
        break;
      case 't':
        text += '\t';
        break;
      case 'x':
        if (i + 2 < value.size()) {
          text += static_cast<char>(digit_of(value[i + 1]) * 16 + digit_of(value[i + 2]));
          i += 2;
        }
        break;
      default:
        text += value[i];
    }
  }
  return text;
}

std::optional<std::uint64_t> number_of(std::string_view value) {
  std::uint64_t number = 0;
  const auto [end, failure] = std::from_chars(value.data(), value.data() + value.size(), number);
  return failure == std::errc{} && end == value.data() + value.size() ? std::optional{number}
                                                                      : std::nullopt;
}

}  // namespace kv::logs
