#include "tools/replica_process.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern "C" {
#include <sys/pidfd.h>  // glibc 2.36 forgot that C++ may include it
}

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>

#include "common/core/check.h"

namespace kv::cluster {
namespace {

constexpr std::size_t line_bytes_max = 4096;
constexpr int exit_no_program = 127;

host::Descriptor open_for_append(const std::string& path) {
  return host::Descriptor{::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644)};
}

std::vector<char*> argv_of(const ReplicaProcess::Launch& launch) {
  std::vector<char*> argv{const_cast<char*>(launch.program.c_str())};
  for (const std::string& argument : launch.arguments) {
    argv.push_back(const_cast<char*>(argument.c_str()));
  }
  argv.push_back(nullptr);
  return argv;
}

/// In the child, between fork and exec: only what is safe there.
[[noreturn]] void become(char* const* argv, pid_t parent, int output, int errors) {
  // A group of its own: a Ctrl-C in the terminal is ours, and we then stop the replicas.
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) {  // it died before the line above
    ::_exit(exit_no_program);
  }
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGPIPE, SIG_DFL);
  const int nothing = ::open("/dev/null", O_RDONLY);
  ::dup2(nothing, STDIN_FILENO);
  ::dup2(output, STDOUT_FILENO);
  ::dup2(errors, STDERR_FILENO);
  ::execv(argv[0], argv);
  const char* const why = ::strerrordesc_np(errno);
  for (const char* const part : {static_cast<const char*>(argv[0]), ": ", why, "\n"}) {
    [[maybe_unused]] const ssize_t said = ::write(STDERR_FILENO, part, std::strlen(part));
  }
  ::_exit(exit_no_program);
}

}  // namespace

std::string_view name_of(ReplicaProcess::State state) {
  switch (state) {
    case ReplicaProcess::State::down:
      return "down";
    case ReplicaProcess::State::starting:
      return "starting";
    case ReplicaProcess::State::ready:
      return "running";
    case ReplicaProcess::State::paused:
      return "paused";
    case ReplicaProcess::State::stopping:
      return "stopping";
  }
  return "?";
}

ReplicaProcess::ReplicaProcess(sockets::EventLoop& loop, ProcessGuard& guard, Events events)
    : loop_(loop), guard_(guard), events_(std::move(events)) {}

ReplicaProcess::~ReplicaProcess() {
  if (pid_ != 0) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    guard_.forget(pid_);
  }
}

bool ReplicaProcess::start(const Launch& launch, std::string& why) {
  check(state_ == State::down);
  int ends[2];
  host::Descriptor errors = open_for_append(launch.error_file);
  if (!errors.open() || ::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) {
    why = launch.error_file + ": " + std::strerror(errno);
    return false;
  }
  output_ = host::Descriptor{ends[0]};
  host::Descriptor output_end{ends[1]};
  ::fcntl(output_end.number(), F_SETFL, 0);  // the replica may wait for us; we never for it
  error_file_ = launch.error_file;
  error_begin_ = ::lseek(errors.number(), 0, SEEK_END);
  const std::vector<char*> argv = argv_of(launch);
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  if (pid_ == 0) {
    become(argv.data(), parent, output_end.number(), errors.number());
  }
  if (pid_ < 0) {
    why = std::string{"cannot fork: "} + std::strerror(errno);
    pid_ = 0;
    return false;
  }
  guard_.watch(pid_);
  process_ = host::Descriptor{::pidfd_open(pid_, 0)};
  check(process_.open());
  state_ = State::starting;
  was_ready_ = false;
  was_asked_ = false;
  line_.clear();
  watch(process_event_, process_.number(),
        [](evutil_socket_t, short, void* self) { static_cast<ReplicaProcess*>(self)->on_exit(); });
  watch(output_event_, output_.number(), [](evutil_socket_t, short, void* self) {
    static_cast<ReplicaProcess*>(self)->on_output();
  });
  return true;
}

void ReplicaProcess::watch(sockets::EventPointer& event, int descriptor,
                           event_callback_fn callback) {
  event.reset(event_new(loop_.base(), descriptor, EV_READ | EV_PERSIST, callback, this));
  check(event != nullptr && event_add(event.get(), nullptr) == 0);
}

bool ReplicaProcess::signal(int number) {
  return pid_ != 0 && ::kill(pid_, number) == 0;
}

bool ReplicaProcess::stop() {
  if (state_ == State::down) {
    return false;
  }
  was_asked_ = true;
  const bool sent = signal(SIGTERM);
  if (state_ == State::paused) {
    signal(SIGCONT);
  }
  state_ = State::stopping;
  return sent;
}

bool ReplicaProcess::kill() {
  if (state_ == State::down) {
    return false;
  }
  was_asked_ = true;
  state_ = State::stopping;
  return signal(SIGKILL);
}

bool ReplicaProcess::pause() {
  if (state_ != State::ready || !signal(SIGSTOP)) {
    return false;
  }
  state_ = State::paused;
  return true;
}

bool ReplicaProcess::resume() {
  if (state_ != State::paused || !signal(SIGCONT)) {
    return false;
  }
  state_ = State::ready;
  return true;
}

/// What it prints is read to its end, so that it never waits for us; only the ready line counts.
void ReplicaProcess::on_output() {
  char buffer[4096];
  const ssize_t got = ::read(output_.number(), buffer, sizeof buffer);
  if (got <= 0) {
    if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
      output_event_.reset();
    }
    return;
  }
  for (const char byte : std::string_view{buffer, static_cast<std::size_t>(got)}) {
    if (byte == '\n') {
      on_line(line_);
      line_.clear();
    } else if (line_.size() < line_bytes_max) {
      line_ += byte;
    }
  }
}

void ReplicaProcess::on_line(std::string_view line) {
  if (state_ != State::starting || (line != "ready" && !line.starts_with("ready "))) {
    return;
  }
  line.remove_prefix(std::string_view{"ready"}.size());
  addresses_.clear();
  while (!line.empty()) {
    line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
    const std::string_view word = line.substr(0, line.find(' '));
    line.remove_prefix(word.size());
    if (const std::size_t equals = word.find('='); equals != std::string_view::npos) {
      addresses_.emplace(word.substr(0, equals), word.substr(equals + 1));
    }
  }
  state_ = State::ready;
  was_ready_ = true;
  events_.ready();
}

void ReplicaProcess::on_exit() {
  int status = 0;
  check(::waitpid(pid_, &status, 0) == pid_);
  guard_.forget(pid_);
  if (output_event_) {
    on_output();  // a last line may still stand in the pipe
  }
  End end{.was_ready = was_ready_, .was_asked = was_asked_, .last_words = last_words()};
  if (WIFEXITED(status)) {
    end.exit_status = WEXITSTATUS(status);
    end.how = "exit status " + std::to_string(end.exit_status);
  } else {
    end.how = "signal " + std::to_string(WTERMSIG(status));
  }
  process_event_.reset();
  output_event_.reset();
  process_.close();
  output_.close();
  pid_ = 0;
  state_ = State::down;
  events_.ended(end);
}

std::string ReplicaProcess::last_words() const {
  std::ifstream file{error_file_};
  file.seekg(error_begin_);
  std::string last;
  for (std::string line; std::getline(file, line);) {
    if (!line.empty()) {
      last = line;
    }
  }
  return last;
}

}  // namespace kv::cluster
