// A process of its own that outlives this one by a moment: if this one dies without a word, even
// of SIGKILL, it ends every child that it was told of, and removes what would be left lying about.
//
// The kernel ends children with their parent too (PR_SET_PDEATHSIG), but a program may have
// cleared that; and nobody else would remove the control socket.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>

#include "common/host/descriptor.h"

namespace kv::cluster {

class ProcessGuard {
 public:
  /// Forks: call it before any thread starts. `leftover` is the path of a file that the guard
  /// removes if this process dies first. Nothing, and a reason in `why`, if it cannot be.
  static std::unique_ptr<ProcessGuard> start(const std::string& leftover, std::string& why);

  ProcessGuard(const ProcessGuard&) = delete;
  ProcessGuard& operator=(const ProcessGuard&) = delete;
  ~ProcessGuard();  // releases the guard, which then ends nobody, and waits for it

  /// From now on `pid` ends with us.
  void watch(pid_t pid);
  /// It has ended, and its number may soon be another's.
  void forget(pid_t pid);

  pid_t pid() const { return pid_; }

 private:
  struct Word {
    enum class Kind : int { watch, forget, release } kind;
    pid_t pid;
  };

  ProcessGuard(pid_t pid, host::Descriptor words);
  void say(Word::Kind kind, pid_t pid);
  [[noreturn]] static void stand_guard(int words, const std::string& leftover);

  pid_t pid_;
  host::Descriptor words_;  // a pipe; its end without a release is what the guard waits for
};

}  // namespace kv::cluster
