#include "common/client/standard_terminal.h"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <termios.h>
#include <unistd.h>

#include <atomic>
#include <clocale>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <boost/test/unit_test.hpp>

#include "common/core/check.h"

using kv::client::input_line_bytes_max;
using kv::client::StandardTerminal;

namespace {

struct Pipe {
  Pipe() { BOOST_REQUIRE(pipe2(ends, O_CLOEXEC) == 0); }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  ~Pipe() {
    close_read();
    close_write();
  }
  void fill(std::string_view text) const {
    kv::check(write(ends[1], text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  }
  void close_read() { close_end(0); }
  void close_write() { close_end(1); }
  void close_end(int end) {
    if (ends[end] >= 0) {
      close(ends[end]);
      ends[end] = -1;
    }
  }
  int ends[2] = {-1, -1};
};

std::string read_all(int descriptor) {
  std::string text;
  pollfd entry{.fd = descriptor, .events = POLLIN, .revents = 0};
  while (poll(&entry, 1, 0) > 0) {
    char chunk[4096];
    const ssize_t count = read(descriptor, chunk, sizeof chunk);
    if (count <= 0) {
      break;
    }
    text.append(chunk, static_cast<std::size_t>(count));
  }
  return text;
}

/// Where lines are edited, for as long as it lives.
struct Utf8 {
  Utf8() { BOOST_REQUIRE(std::setlocale(LC_CTYPE, "C.UTF-8") != nullptr); }
  Utf8(const Utf8&) = delete;
  Utf8& operator=(const Utf8&) = delete;
  ~Utf8() { std::setlocale(LC_CTYPE, "C"); }
};

/// A pseudo-terminal with a person before it, who types when the program listens. What is typed
/// before, the kernel edits in its own way: a Ctrl-D between libedit's prompt and its change of the
/// terminal's mode is lost.
class Pty {
 public:
  struct Turn {
    std::string prompt;
    std::string typed;
    std::function<void()> then = [] {};
  };

  Pty() { BOOST_REQUIRE(openpty(&person_, &program, nullptr, nullptr, nullptr) == 0); }
  Pty(const Pty&) = delete;
  Pty& operator=(const Pty&) = delete;
  ~Pty() {
    over_ = true;
    close(program);  // ends a wait for a prompt that never came
    if (thread_.joinable()) {
      thread_.join();
    }
    close(person_);
  }

  void play(std::vector<Turn> turns) {
    thread_ = std::thread{[this, turns = std::move(turns)] {
      std::string shown;
      for (const Turn& turn : turns) {
        char byte = 0;
        while (shown.find(turn.prompt) == std::string::npos && read(person_, &byte, 1) == 1) {
          shown += byte;
        }
        await_listener();
        kv::check(write(person_, turn.typed.data(), turn.typed.size()) > 0);
        turn.then();
      }
    }};
  }

  int program = -1;

 private:
  /// An edited line is read in a mode of its own; a plain one waits in the kernel.
  void await_listener() const {
    termios mode{};
    do {
      kv::check(tcgetattr(person_, &mode) == 0);
    } while (edited_ && (mode.c_lflag & ICANON) != 0 && !over_);
  }

  const bool edited_ = MB_CUR_MAX > 1;
  int person_ = -1;
  std::atomic<bool> over_ = false;
  std::thread thread_;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(client_standard_terminal)

BOOST_AUTO_TEST_CASE(a_pipe_gives_its_lines_without_a_prompt) {
  Pipe input;
  Pipe output;
  StandardTerminal terminal{input.ends[0], output.ends[1], -1};
  input.fill("one\n\ntwo\r\nthree");
  input.close_write();
  BOOST_TEST(terminal.read_line("prompt> ").value() == "one");
  BOOST_TEST(terminal.read_line("prompt> ").value().empty());
  BOOST_TEST(terminal.read_line("prompt> ").value() == "two\r");
  BOOST_TEST(terminal.read_line("prompt> ").value() == "three");
  BOOST_TEST(!terminal.read_line("prompt> ").has_value());
  BOOST_TEST(!terminal.read_line("prompt> ").has_value());
  BOOST_TEST(read_all(output.ends[0]).empty());
}

BOOST_AUTO_TEST_CASE(an_endless_line_is_cut_and_the_next_one_is_whole) {
  char path[] = "/tmp/quintet_terminal_XXXXXX";
  const int file = mkstemp(path);
  BOOST_REQUIRE(file >= 0);
  unlink(path);
  const std::string text = std::string(input_line_bytes_max * 2, 'x') + "\nnext\n";
  BOOST_REQUIRE(write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  lseek(file, 0, SEEK_SET);
  StandardTerminal terminal{file, file, -1};
  BOOST_TEST(terminal.read_line("").value().size() == input_line_bytes_max + 1);
  BOOST_TEST(terminal.read_line("").value() == "next");
  close(file);
}

BOOST_AUTO_TEST_CASE(a_signal_ends_the_wait_for_input) {
  Pipe input;
  Pipe output;
  Pipe stop;
  StandardTerminal terminal{input.ends[0], output.ends[1], stop.ends[0]};
  BOOST_TEST(terminal.ended().empty());
  stop.fill("x");
  BOOST_TEST(!terminal.read_line("").has_value());
  BOOST_TEST(terminal.ended() == "signal");
}

BOOST_AUTO_TEST_CASE(a_closed_output_ends_it) {
  Pipe input;
  Pipe output;
  StandardTerminal terminal{input.ends[0], output.ends[1], -1};
  output.close_read();
  const auto before = signal(SIGPIPE, SIG_IGN);
  terminal.print("lost\n");
  signal(SIGPIPE, before);
  BOOST_TEST(terminal.ended() == "output_closed");
  BOOST_TEST(!terminal.read_line("").has_value());
}

BOOST_AUTO_TEST_CASE(a_terminal_shows_the_prompt_and_gives_what_is_typed) {
  Pty pty;
  pty.play({{"Enter command: ", "GET a\n"}});
  StandardTerminal terminal{pty.program, pty.program, -1};
  BOOST_TEST(terminal.read_line("Enter command: ").value() == "GET a");
}

BOOST_AUTO_TEST_CASE(a_terminal_without_a_terminal_for_its_output_shows_the_prompt_too) {
  Pty pty;
  Pipe output;
  pty.play({{"", "GET a\n"}});
  StandardTerminal terminal{pty.program, output.ends[1], -1};
  BOOST_TEST(terminal.read_line("Enter command: ").value() == "GET a");
  BOOST_TEST(read_all(output.ends[0]) == "Enter command: ");
}

BOOST_AUTO_TEST_CASE(a_line_can_be_edited_and_an_earlier_one_recalled) {
  const Utf8 locale;
  Pty pty;
  pty.play({{"first> ", "GET aX\177b\n"},  // backspace over X
            {"second> ", "PUT c d\n"},
            {"third> ", "\020\020\n"}});  // twice Ctrl-P, as the arrow up
  StandardTerminal terminal{pty.program, pty.program, -1};
  BOOST_TEST(terminal.read_line("first> ").value() == "GET ab");
  BOOST_TEST(terminal.read_line("second> ").value() == "PUT c d");
  BOOST_TEST(terminal.read_line("third> ").value() == "GET ab");
}

BOOST_AUTO_TEST_CASE(ctrl_d_on_an_empty_line_is_the_end_of_the_input) {
  const Utf8 locale;
  Pty pty;
  pty.play({{"prompt> ", "\004"}});
  StandardTerminal terminal{pty.program, pty.program, -1};
  BOOST_TEST(!terminal.read_line("prompt> ").has_value());
}

BOOST_AUTO_TEST_CASE(text_beyond_ascii_is_taken_whole_with_and_without_editing) {
  const std::string line = "PUT k gr\303\274n \342\202\254";
  for (const bool edited : {false, true}) {
    std::optional<Utf8> locale;
    if (edited) {
      locale.emplace();
    }
    Pty pty;
    pty.play({{"prompt> ", line + "\n"}});
    StandardTerminal terminal{pty.program, pty.program, -1};
    BOOST_TEST(terminal.read_line("prompt> ").value() == line);
  }
}

BOOST_AUTO_TEST_CASE(a_signal_ends_a_half_typed_line) {
  const Utf8 locale;
  Pipe stop;  // outlives the person who fills it
  Pty pty;
  pty.play({{"prompt> ", "GET half", [&] { stop.fill("x"); }}});
  StandardTerminal terminal{pty.program, pty.program, stop.ends[0]};
  BOOST_TEST(!terminal.read_line("prompt> ").has_value());
}

BOOST_AUTO_TEST_SUITE_END()
