// The client that people and scripts use: it fills the store, runs a few of each operation, then
// does what is typed. The same over every transport of every phase.
//
// Each operation has an ID of its own, `NAME-RUN.N`, which stands in the client's log, on the wire
// and in the server's log. NAME says whose it is; RUN differs from run to run, so that a server
// which still remembers the answers of an earlier run under the same name never takes a new
// operation for an old one. An operation without an answer does not stop the rest.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "common/client/terminal.h"
#include "common/client/transport.h"
#include "common/core/time.h"
#include "common/kv/command.h"
#include "common/wire/line.h"

namespace kv::client {

inline constexpr std::size_t name_bytes_max = 40;
inline constexpr std::size_t run_bytes_max = origin_part_bytes_max - name_bytes_max - 1;

inline constexpr std::string_view prompt =
    "Enter command (PUT key value / GET key / DELETE key / EXIT): ";

/// Whether `name` is 1 to name_bytes_max of A-Z a-z 0-9 _ -.
bool is_client_name(std::string_view name);

class Console {
 public:
  struct Options {
    std::string name;                            // as is_client_name() has it
    std::string run;                             // of the same letters, 1 to run_bytes_max
    Duration timeout = std::chrono::seconds{2};  // for each operation
    bool demo = true;                            // whether run() begins with operations of its own
  };

  /// `now` is asked before and after each operation.
  Console(Options options, Transport& transport, Terminal& terminal, EventSink& events,
          std::function<Instant()> now);

  /// Runs to EXIT, the end of input or the terminal's end. True if every operation was answered,
  /// with whatever answer; a line that is no operation was none.
  bool run();

  /// One PING instead. True if it was answered with ok.
  bool ping();

 private:
  void log_start();
  void log_stop(std::string_view reason);
  void run_demo();
  void run_group(std::string_view title, std::string_view group);
  std::string_view run_typed();
  bool run_line(std::string_view line);
  std::string_view why_no_command(std::string_view line, wire::LineRequest& request);
  void refuse_line(std::string_view line, std::string_view why);

  Reply perform(Command command);
  void log_request(const Command& command);
  void log_result(const Command& command, const CallResult& result, Duration took);
  void print_result(const Command& command, const CallResult& result, Duration took);
  void print_totals();

  Options options_;
  Transport& transport_;
  Terminal& terminal_;
  EventSink& events_;
  std::function<Instant()> now_;
  std::uint64_t operations_ = 0;
  std::uint64_t answered_ = 0;
  std::uint64_t not_sent_ = 0;  // lines
  bool in_batch_ = false;       // a MULTI was refused, and so is what belongs to it
};

}  // namespace kv::client
