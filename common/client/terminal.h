// Where a person sits, or a pipe: lines in, text out.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace kv::client {

/// A longer input line is cut after one byte more, so that it can be told from one that fits.
inline constexpr std::size_t input_line_bytes_max = 2 * 1024 * 1024;

class Terminal {
 public:
  Terminal() = default;
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;
  virtual ~Terminal() = default;

  /// The next line, without its line end; nothing at the end of input or once ended(). The prompt
  /// is shown to people only: not when the input is a pipe or a file.
  virtual std::optional<std::string> read_line(std::string_view prompt) = 0;

  virtual void print(std::string_view text) = 0;

  /// Why to stop before the input does, in one word ("signal", "output_closed"); empty to go on.
  virtual std::string_view ended() const = 0;
};

}  // namespace kv::client
