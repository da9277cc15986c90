// A part of a protocol on a thread of its own, which may die at any time and be born again: its
// memory is lost, what it made durable is not.
//
// Its mailbox is bounded and dies with it. A death falls between two steps of the role; what it
// had said by then is said.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "common/core/bytes.h"
#include "common/core/ids.h"
#include "common/core/random.h"
#include "common/core/time.h"
#include "common/host/flags.h"

namespace kv::host {

/// One life of a role. Used from its thread alone.
class Role {
 public:
  Role() = default;
  Role(const Role&) = delete;
  Role& operator=(const Role&) = delete;
  virtual ~Role() = default;

  virtual void receive(Instant now, NodeId from, ByteView message) = 0;
  virtual void tick(Instant now) = 0;
  /// When tick() is next worth calling.
  virtual Instant wake_at() const = 0;
};

/// post() and alive() from any thread, the rest from one.
class RoleThread {
 public:
  /// Makes a new life out of what is durable. Runs on the role's thread, so that a long recovery
  /// holds up nobody.
  using Birth = std::function<std::unique_ptr<Role>()>;

  RoleThread(std::size_t mailbox_bytes_max, Birth birth);
  RoleThread(const RoleThread&) = delete;
  RoleThread& operator=(const RoleThread&) = delete;
  ~RoleThread();  // as kill()

  /// A new life, if it is dead.
  void start();
  /// When it returns, the role and all that waited for it are gone.
  void kill();
  bool alive() const;

  /// False, and the message is lost, if the role is dead or its mailbox full.
  bool post(NodeId from, Bytes message);

 private:
  struct Letter {
    NodeId from;
    Bytes message;
  };

  void live();
  bool wait_for_letters(std::deque<Letter>& letters, Instant until);
  bool dying() const;

  const std::size_t mailbox_bytes_max_;
  const Birth birth_;
  mutable std::mutex mutex_;  // guards all that follows but the thread
  std::condition_variable wakes_;
  std::deque<Letter> mailbox_;
  std::size_t mailbox_bytes_ = 0;
  bool alive_ = false;
  std::thread thread_;
};

/// When which role dies and is born again: exponential times with the means of --fail, drawn from
/// one seed, so that a schedule can be repeated. Pure.
class RoleFailures {
 public:
  struct Event {
    Instant at;
    std::string role;
    bool dies = false;  // else: is born again

    bool operator==(const Event&) const = default;
  };

  /// All roles are alive at `start`. Each has draws of its own: another role more or less shifts
  /// none of the others' times.
  RoleFailures(const std::vector<RoleFailure>& failures, std::uint64_t seed, Instant start);

  /// The events in their order, without end. Nothing if there are no failures.
  std::optional<Event> next();

 private:
  struct Course {
    RoleFailure failure;
    Random random;
    Event next;
  };

  static void plan(Course& course, bool dies);

  std::vector<Course> courses_;
};

/// Carries a RoleFailures out in real time, on a thread of its own.
class RoleFailureClock {
 public:
  /// `on_event` runs on the clock's thread. It ends when this object does.
  RoleFailureClock(RoleFailures failures, std::function<void(const RoleFailures::Event&)> on_event);
  RoleFailureClock(const RoleFailureClock&) = delete;
  RoleFailureClock& operator=(const RoleFailureClock&) = delete;
  ~RoleFailureClock();

 private:
  void run(RoleFailures failures, const std::function<void(const RoleFailures::Event&)>& on_event);

  std::mutex mutex_;  // guards stopping_
  std::condition_variable wakes_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace kv::host
