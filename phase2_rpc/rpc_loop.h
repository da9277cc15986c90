// The loop that RPC clients run on, with a thread of its own or on its caller's.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "common/core/time.h"
#include "phase2_rpc/spin.h"

namespace boost::asio {
class io_context;
}

namespace kv::rpc {

class LoopTurns;

/// An event loop that several clients may share, and its thread, if it has one. Outlives them.
class RpcLoop {
 public:
  enum class Drive : std::uint8_t {
    own_thread,  // calls from any thread
    caller,      // only call_and_wait() and run_until(), from one thread at a time
  };

  /// `spin`: how long it looks for its next event before it sleeps, at most; see spin.h.
  explicit RpcLoop(Drive drive, Duration spin = SpinHabit::spin_default);
  RpcLoop(const RpcLoop&) = delete;
  RpcLoop& operator=(const RpcLoop&) = delete;
  ~RpcLoop();

  Drive drive() const;

  /// Drive::caller: runs until `until()` is true; it is asked after each event.
  void run_until(const std::function<bool()>& until);
  /// Drive::caller: waits for an event, `longest` at most, and runs all that are there then.
  void run_some(Duration longest);

  boost::asio::io_context& io();
  LoopTurns& turns();

 private:
  struct Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace kv::rpc
