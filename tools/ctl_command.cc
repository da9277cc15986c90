#include "tools/ctl_command.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "common/host/flags.h"
#include "common/host/standard_output.h"
#include "tools/control_server.h"
#include "tools/ctl_words.h"

namespace kv::tools {
namespace {

constexpr int exit_refused = 1;

int fail(const std::string& why) {
  std::fprintf(stderr, "quintet ctl: %s\n", why.c_str());
  return exit_refused;
}

bool send_all(int socket, std::string_view text) {
  while (!text.empty()) {
    const ssize_t sent = ::send(socket, text.data(), text.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno != EINTR) {
      return false;
    }
    text.remove_prefix(static_cast<std::size_t>(sent > 0 ? sent : 0));
  }
  return ::shutdown(socket, SHUT_WR) == 0;
}

/// Prints the answer's lines as they come; the one that says how it went is the last.
int print_answer(int socket) {
  std::string pending;
  char buffer[4096];
  while (true) {
    const ssize_t got = ::recv(socket, buffer, sizeof buffer, 0);
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got <= 0) {
      return fail("the cluster ended meanwhile");
    }
    pending.append(buffer, static_cast<std::size_t>(got));
    for (std::size_t end = 0; (end = pending.find('\n')) != std::string::npos;) {
      const std::string line = pending.substr(0, end);
      pending.erase(0, end + 1);
      if (line == "ok") {
        return 0;
      }
      if (line.starts_with("error ")) {
        return fail(line.substr(std::string_view{"error "}.size()));
      }
      if (std::string why; !host::print_now(line + "\n", why)) {
        return fail(why);
      }
    }
  }
}

bool read_text(const std::string& path, std::string& text) {
  std::ifstream file{path, std::ios::binary};
  text.assign(std::istreambuf_iterator<char>{file}, {});
  return file.is_open() && !file.bad();
}

}  // namespace

int ctl_command(int argc, const char* const* argv) {
  std::string dir = "cluster";
  bool reset = false;
  std::vector<std::string> words;
  host::Flags flags{"quintet ctl",
                    "Faults and members of a running cluster: " + list_of_verbs() +
                        ". NODE is a number; to kill, pause or remove also a role such as leader; "
                        "to kill or pause also any; to restart or resume also all. A fault may "
                        "begin with `for TIME`, and then ends by itself."};
  flags.add("--dir", dir, "the cluster's folder", "DIR");
  flags.add_switch("--reset", reset,
                   "links that are cut break their connections, instead of falling silent");
  flags.add_rest("WORD", words, "what to do");
  flags.finally([&words] { return wrong_with(words); });
  if (const auto exit_code = flags.parse(argc, argv)) {
    return *exit_code;
  }
  std::string request = reset ? "reset" : "";
  std::string text;
  if (words.front() == "play") {
    if (!read_text(words[1], text)) {
      return fail(words[1] + ": cannot be read");
    }
    words.resize(1);
  }
  for (const std::string& word : words) {
    request += (request.empty() ? "" : " ") + word;
  }
  std::string why;
  const sockets::Descriptor socket = cluster::connect_control(dir, why);
  if (!socket.open()) {
    return fail(why);
  }
  if (!send_all(socket.number(), request + "\n" + text)) {
    return fail("the cluster ended meanwhile");
  }
  return print_answer(socket.number());
}

}  // namespace kv::tools
