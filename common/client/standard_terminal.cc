#include "common/client/standard_terminal.h"

#include <fcntl.h>
#include <histedit.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cwchar>

#include "common/core/check.h"

namespace kv::client {
namespace {

bool readable_now(int descriptor) {
  pollfd entry{.fd = descriptor, .events = POLLIN, .revents = 0};
  return descriptor >= 0 && poll(&entry, 1, 0) > 0;
}

std::FILE* stream_of(int descriptor, const char* mode) {
  std::FILE* stream = fdopen(fcntl(descriptor, F_DUPFD_CLOEXEC, 0), mode);
  check(stream != nullptr);
  return stream;
}

}  // namespace

// --- libedit -------------------------------------------------------------------------------------

// Its own interface and not its imitation of readline: that one has no place for `this`.
struct StandardTerminal::Editor {
  explicit Editor(StandardTerminal& owner)
      : terminal(owner),
        input(stream_of(owner.input_, "r")),
        output(stream_of(owner.output_, "w")) {
    line = el_init("quintet", input, output, output);
    past = history_init();
    check(line != nullptr && past != nullptr);
    HistEvent event;
    history(past, &event, H_SETSIZE, history_lines_max);
    history(past, &event, H_SETUNIQUE, 1);
    el_set(line, EL_CLIENTDATA, this);
    el_set(line, EL_PROMPT, &Editor::prompt_of);
    el_set(line, EL_EDITOR, "emacs");
    el_set(line, EL_BIND, "^R", "em-inc-search-prev", nullptr);
    el_set(line, EL_HIST, history, past);
    el_set(line, EL_SIGNAL, 1);  // after Ctrl-Z, and when the window changes
    el_set(line, EL_GETCFN, &Editor::read_character);
  }
  Editor(const Editor&) = delete;
  Editor& operator=(const Editor&) = delete;

  ~Editor() {
    el_end(line);
    history_end(past);
    std::fclose(input);
    std::fclose(output);
  }

  std::optional<std::string> read_line(std::string_view shown) {
    shown_prompt = shown;
    int count = 0;
    const char* typed = el_gets(line, &count);
    if (typed == nullptr || count <= 0) {
      return std::nullopt;
    }
    HistEvent event;
    if (typed[0] != '\n') {
      history(past, &event, H_ENTER, typed);
    }
    std::string text{typed, static_cast<std::size_t>(count)};
    if (text.ends_with('\n')) {
      text.pop_back();
    }
    return text;
  }

  static Editor& of(EditLine* line) {
    void* self = nullptr;
    el_get(line, EL_CLIENTDATA, &self);
    return *static_cast<Editor*>(self);
  }

  static char* prompt_of(EditLine* line) { return of(line).shown_prompt.data(); }

  /// libedit's hook: 1 and a character, 0 at the end, -1 on failure. The built-in one would wait
  /// for the input alone.
  static int read_character(EditLine* line, wchar_t* character) {
    Editor& self = of(line);
    std::mbstate_t state{};
    for (;;) {
      char byte = 0;
      if (!self.terminal.wait_for_input()) {
        return 0;
      }
      const ssize_t count = read(self.terminal.input_, &byte, 1);
      if (count < 0 && (errno == EINTR || errno == EAGAIN)) {
        continue;
      }
      if (count <= 0) {
        return 0;
      }
      const std::size_t result = std::mbrtowc(character, &byte, 1, &state);
      if (result == static_cast<std::size_t>(-1)) {
        state = {};  // no character: the person hears that nothing was taken
        self.terminal.print("\a");
      } else if (result != static_cast<std::size_t>(-2)) {
        return 1;
      }
    }
  }

  StandardTerminal& terminal;
  std::FILE* input;
  std::FILE* output;
  EditLine* line = nullptr;
  History* past = nullptr;
  std::string shown_prompt;
};

// --- the terminal --------------------------------------------------------------------------------

StandardTerminal::StandardTerminal(int input, int output, int stop)
    : input_(input), output_(output), stop_(stop) {
  // Where every byte is a character, libedit would drop those above 0x7e: a plain line keeps them.
  const bool edits_any_text = MB_CUR_MAX > 1;
  if (isatty(input_) != 0 && isatty(output_) != 0 && edits_any_text) {
    editor_ = std::make_unique<Editor>(*this);
  }
}

StandardTerminal::~StandardTerminal() = default;

std::optional<std::string> StandardTerminal::read_line(std::string_view shown) {
  if (!ended().empty()) {
    return std::nullopt;
  }
  if (editor_) {
    auto line = editor_->read_line(shown);
    if (!line) {
      print("\n");  // the shell's prompt belongs on a line of its own
    }
    return line;
  }
  if (isatty(input_) != 0) {
    print(shown);
  }
  return read_plain_line();
}

void StandardTerminal::print(std::string_view text) {
  while (!text.empty() && output_error_ == 0) {
    const ssize_t count = write(output_, text.data(), text.size());
    if (count >= 0) {
      text.remove_prefix(static_cast<std::size_t>(count));
    } else if (errno == EAGAIN) {
      pollfd entry{.fd = output_, .events = POLLOUT, .revents = 0};
      poll(&entry, 1, -1);
    } else if (errno != EINTR) {
      output_error_ = errno;
    }
  }
}

std::string_view StandardTerminal::ended() const {
  if (output_error_ != 0) {
    return "output_closed";
  }
  return readable_now(stop_) ? "signal" : "";
}

/// False once the client is to stop.
bool StandardTerminal::wait_for_input() const {
  for (;;) {
    pollfd entries[] = {{.fd = input_, .events = POLLIN, .revents = 0},
                        {.fd = stop_, .events = POLLIN, .revents = 0}};
    const int count = poll(entries, 2, -1);
    if (count < 0 && errno == EINTR) {
      continue;
    }
    return count > 0 && entries[1].revents == 0;
  }
}

std::optional<std::string> StandardTerminal::read_plain_line() {
  std::string line;
  bool any = false;
  for (;;) {
    if (buffer_.empty() && !fill_buffer()) {
      return any && ended().empty() ? std::optional{line} : std::nullopt;
    }
    any = true;
    const std::size_t length = std::min(buffer_.find('\n'), buffer_.size());
    const std::size_t room = input_line_bytes_max + 1 - line.size();
    line.append(buffer_, 0, std::min(length, room));
    const bool whole = length < buffer_.size();
    buffer_.erase(0, whole ? length + 1 : length);
    if (whole) {
      return line;
    }
  }
}

/// False at the end of the input, or once the client is to stop.
bool StandardTerminal::fill_buffer() {
  while (!input_ended_ && wait_for_input()) {
    char chunk[16 * 1024];
    const ssize_t count = read(input_, chunk, sizeof chunk);
    if (count > 0) {
      buffer_.assign(chunk, static_cast<std::size_t>(count));
      return true;
    }
    input_ended_ = count == 0 || (errno != EINTR && errno != EAGAIN);
  }
  return false;
}

}  // namespace kv::client
