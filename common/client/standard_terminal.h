// The terminal, pipe or file that a program was started with. On a terminal, lines are edited and
// recalled with libedit (arrow keys, Ctrl-R …); the history lives as long as the session.
//
// It also watches a descriptor that says "stop", so that a signal ends even a wait for input.
#pragma once

#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "common/client/terminal.h"

namespace kv::client {

class StandardTerminal final : public Terminal {
 public:
  /// `stop` becomes readable when the client is to end, and is not read here; -1: never. None of
  /// the descriptors is closed. Lines are edited if both input and output are terminals and the
  /// locale (LC_CTYPE) knows UTF-8 or the like; the prompt is shown if the input is a terminal.
  StandardTerminal(int input, int output, int stop);
  ~StandardTerminal() override;

  std::optional<std::string> read_line(std::string_view prompt) override;
  void print(std::string_view text) override;
  std::string_view ended() const override;
  /// Why it ended as "output_closed": an error number; 0 if it did not.
  int output_error() const { return output_error_; }

  static constexpr int history_lines_max = 1000;

 private:
  bool wait_for_input() const;
  std::optional<std::string> read_plain_line();
  bool fill_buffer();

  int input_;
  int output_;
  int stop_;
  int output_error_ = 0;
  bool input_ended_ = false;
  std::string buffer_;  // read from a pipe or file, not yet handed out

  struct Editor;  // libedit
  std::unique_ptr<Editor> editor_;
};

}  // namespace kv::client
