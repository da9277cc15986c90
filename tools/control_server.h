// The door by which `quintet ctl` reaches a running cluster: a Unix socket in the cluster's folder.
//
// A caller sends a line of words, then perhaps a text, and ends its side. It is answered by lines;
// the last is `ok`, or `error WHY`. An answer without such an end means that the cluster died.
#pragma once

#include <event2/bufferevent.h>

#include <functional>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "phase1_sockets/event_loop.h"

namespace kv::cluster {

inline constexpr std::string_view control_socket_name = "control.sock";

struct ControlRequest {
  std::vector<std::string> words;
  std::string text;  // after the first line
};

/// One caller, until it is answered. Calls after the end, or after the caller has gone, do nothing.
class ControlCall {
 public:
  virtual ~ControlCall() = default;
  virtual void say(std::string_view line) = 0;
  /// `why` is empty if all is well.
  virtual void end(std::string_view why) = 0;
};

class ControlServer {
 public:
  static constexpr std::size_t request_bytes_max = std::size_t{1024} * 1024;
  static constexpr std::size_t calls_max = 64;

  using Handle = std::function<void(const std::shared_ptr<ControlCall>&, const ControlRequest&)>;

  /// Listens in `dir`. Nothing, and a reason in `why`, if another cluster does so already.
  static std::unique_ptr<ControlServer> open(sockets::EventLoop& loop, const std::string& dir,
                                             Handle handle, std::string& why);
  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;
  ~ControlServer();  // removes the socket

 private:
  class Caller;

  ControlServer(sockets::EventLoop& loop, std::string path, Handle handle)
      : loop_(loop), path_(std::move(path)), handle_(std::move(handle)) {}
  void accept();
  void forget(const Caller* caller);

  sockets::EventLoop& loop_;
  std::string path_;
  Handle handle_;
  sockets::Descriptor socket_;
  sockets::EventPointer event_;
  std::list<std::shared_ptr<Caller>> callers_;
};

/// A connection to the cluster that runs in `dir`; not open, and a reason in `why`, if none does.
sockets::Descriptor connect_control(const std::string& dir, std::string& why);

}  // namespace kv::cluster
