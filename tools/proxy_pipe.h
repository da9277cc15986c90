// One connection through the fault proxy: two sockets, and the two directions between them.
#pragma once

#include <deque>
#include <memory>

#include "common/core/bytes.h"
#include "common/core/time.h"
#include "common/host/descriptor.h"
#include "tools/fault_proxy.h"

namespace kv::cluster {

class ProxyPipe {
 public:
  /// What may wait in one direction; then its sender is left unread, and waits too.
  static constexpr std::size_t held_bytes_max = std::size_t{4} * 1024 * 1024;

  /// `near` was accepted on the port of `link`.
  ProxyPipe(FaultProxy& proxy, Link link, host::Descriptor near);
  ProxyPipe(const ProxyPipe&) = delete;
  ProxyPipe& operator=(const ProxyPipe&) = delete;
  ~ProxyPipe();

  /// Does what the links allow by now.
  void advance();

  bool uses(Link link) const;
  bool over() const { return over_; }

 private:
  struct Piece {
    Bytes bytes;
    Instant due;
  };
  /// One direction: from the socket of one end to that of the other.
  struct Way {
    Link link;
    host::Descriptor* from = nullptr;
    host::Descriptor* to = nullptr;
    sockets::EventPointer readable;
    sockets::EventPointer writable;
    sockets::EventPointer due;
    std::deque<Piece> held;
    std::size_t sent = 0;  // of the first piece
    std::size_t held_bytes = 0;
    Instant last_due{};
    bool source_ended = false;
    bool ended = false;  // and the other side was told
  };

  void connect();
  void watch(Way& way);
  void pump(Way& way);
  bool pass_held(Way& way, Instant now);
  bool read_some(Way& way, Instant now);
  void hold(Way& way, ByteView bytes, Instant due);
  void wait_until(Way& way, Instant now);
  void break_off();
  static void on_event(evutil_socket_t, short, void* self);

  FaultProxy& proxy_;
  host::Descriptor near_;
  host::Descriptor far_;
  Way there_;
  Way back_;
  bool connected_ = false;  // far_ is, or is being
  bool over_ = false;
};

}  // namespace kv::cluster
