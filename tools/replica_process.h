// One replica as a child process: started with its standard output read until it says `ready`,
// stopped, killed, paused and started again. It ends with us, whatever becomes of us.
#pragma once

#include <sys/types.h>

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/host/descriptor.h"
#include "phase1_sockets/event_loop.h"
#include "tools/process_guard.h"

namespace kv::cluster {

class ReplicaProcess {
 public:
  enum class State : std::uint8_t { down, starting, ready, paused, stopping };

  struct Launch {
    std::string program;
    std::vector<std::string> arguments;
    std::string error_file;  // takes its standard error, appended
  };

  /// How a life ended, for people: "signal 9", "exit status 1".
  struct End {
    bool was_ready = false;
    bool was_asked = false;  // by stop() or kill()
    int exit_status = -1;    // -1: a signal
    std::string how;
    std::string last_words;  // the last line of its standard error in this life
  };

  struct Events {
    std::function<void()> ready;
    std::function<void(const End&)> ended;
  };

  ReplicaProcess(sockets::EventLoop& loop, ProcessGuard& guard, Events events);
  ReplicaProcess(const ReplicaProcess&) = delete;
  ReplicaProcess& operator=(const ReplicaProcess&) = delete;
  ~ReplicaProcess();  // kills it

  /// Only while it is down. False, and a reason in `why`, if there is no such program.
  bool start(const Launch& launch, std::string& why);

  // Each does nothing unless the replica is in a state for it; true if it was.
  bool stop();  // SIGTERM; a paused one goes on first
  bool kill();  // SIGKILL
  bool pause();
  bool resume();

  State state() const { return state_; }
  pid_t pid() const { return pid_; }
  /// What its ready line said: {"tcp", "127.0.0.1:17001"}, ….
  const std::map<std::string, std::string, std::less<>>& addresses() const { return addresses_; }

 private:
  void on_output();
  void on_line(std::string_view line);
  void on_exit();
  void watch(sockets::EventPointer& event, int descriptor, event_callback_fn callback);
  bool signal(int number);
  std::string last_words() const;

  sockets::EventLoop& loop_;
  ProcessGuard& guard_;
  Events events_;
  State state_ = State::down;
  bool was_ready_ = false;
  bool was_asked_ = false;
  pid_t pid_ = 0;
  host::Descriptor process_;  // a pidfd
  host::Descriptor output_;
  sockets::EventPointer process_event_;
  sockets::EventPointer output_event_;
  std::string line_;
  std::string error_file_;
  off_t error_begin_ = 0;  // where this life's errors begin
  std::map<std::string, std::string, std::less<>> addresses_;
};

std::string_view name_of(ReplicaProcess::State state);

}  // namespace kv::cluster
