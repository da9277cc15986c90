#include "tools/process_guard.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

extern "C" {
#include <sys/pidfd.h>  // glibc 2.36 forgot that C++ may include it
}

#include <cerrno>
#include <csignal>
#include <cstring>
#include <map>
#include <utility>

namespace kv::cluster {

std::unique_ptr<ProcessGuard> ProcessGuard::start(const std::string& leftover, std::string& why) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) {
    why = std::string{"cannot make a pipe: "} + std::strerror(errno);
    return nullptr;
  }
  host::Descriptor reading{ends[0]};
  host::Descriptor writing{ends[1]};
  const pid_t pid = ::fork();
  if (pid < 0) {
    why = std::string{"cannot fork: "} + std::strerror(errno);
    return nullptr;
  }
  if (pid == 0) {
    writing.close();
    stand_guard(reading.number(), leftover);
  }
  return std::unique_ptr<ProcessGuard>{new ProcessGuard{pid, std::move(writing)}};
}

ProcessGuard::ProcessGuard(pid_t pid, host::Descriptor words)
    : pid_(pid), words_(std::move(words)) {}

ProcessGuard::~ProcessGuard() {
  say(Word::Kind::release, 0);
  words_.close();
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

void ProcessGuard::watch(pid_t pid) {
  say(Word::Kind::watch, pid);
}

void ProcessGuard::forget(pid_t pid) {
  say(Word::Kind::forget, pid);
}

/// A guard that somebody killed is no reason to end: the kernel's own means is left then.
void ProcessGuard::say(Word::Kind kind, pid_t pid) {
  const Word word{kind, pid};
  while (::write(words_.number(), &word, sizeof word) < 0 && errno == EINTR) {
  }
}

void ProcessGuard::stand_guard(int words, const std::string& leftover) {
  ::setsid();  // a Ctrl-C is not for the guard
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) {
    std::signal(signal, SIG_IGN);
  }
  // Whoever waits for the end of our outputs must not wait for the guard.
  const int nowhere = ::open("/dev/null", O_RDWR);
  for (int stream = 0; stream < 3; ++stream) {
    ::dup2(nowhere, stream);
  }
  std::map<pid_t, host::Descriptor> watched;  // by descriptor: a number may be used again
  bool released = false;
  Word word{};
  while (true) {
    const ssize_t got = ::read(words, &word, sizeof word);
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got != sizeof word) {  // words are short enough to come whole: this is the end
      break;
    }
    switch (word.kind) {
      case Word::Kind::watch:
        watched[word.pid] = host::Descriptor{::pidfd_open(word.pid, 0)};
        break;
      case Word::Kind::forget:
        watched.erase(word.pid);
        break;
      case Word::Kind::release:
        released = true;
        break;
    }
  }
  if (!released) {
    for (const auto& [pid, process] : watched) {
      ::pidfd_send_signal(process.number(), SIGKILL, nullptr, 0);
    }
    ::unlink(leftover.c_str());
  }
  ::_exit(0);
}

}  // namespace kv::cluster
