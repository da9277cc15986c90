// One TCP connection: its socket, its session, and what could not be sent yet.
//
// In each turn of the loop it reads once, submits what it read, and sends all answers with one
// call. One edge-triggered event, registered once, tells of bytes, of room to send and of the
// client's end; a read that fills less than the buffer has drained the socket, and the event with
// the FIN says that the end itself is still to be read. While output is stuck beyond the limit
// nothing is read, so a client that does not take its answers stops itself.
#pragma once

#include <event2/event.h>
#include <event2/event_struct.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <boost/intrusive/list.hpp>

#include "phase1_sockets/lane.h"
#include "phase1_sockets/session.h"

namespace kv::sockets {

struct TcpLimits {
  /// Output that waits for a client before its requests are no longer read. Of the answers of a
  /// late service, those that wait for their turn or are on their way count too: what has no room
  /// is dropped when it comes, and asked again. On top may come one answer, of a late service two,
  /// and the short ones of requests in flight. What the service itself has of answers before it
  /// hands them over is limited by the number of requests in flight alone (Session).
  std::size_t output_bytes_max = 1024 * 1024;
  /// Requests of one connection before the others get their turn.
  std::size_t requests_per_turn = 512;
  /// Values up to this always have room: to ask for them again would save nothing.
  static constexpr std::size_t short_value_bytes = 1024;
};

class TcpShare;

/// Made and ended by its TcpShare, on the lane's thread.
class Connection final : private Again,
                         private Waiter,
                         public boost::intrusive::list_base_hook<boost::intrusive::tag<TcpShare>> {
 public:
  Connection(TcpShare& home, Descriptor socket, std::string peer, std::uint64_t id);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection();

  /// Takes up the conversation. May end it at once: the connection may be gone after the call, as
  /// after every call below.
  void open();
  /// Says why there will be no conversation, and takes leave.
  void refuse(std::string_view line);
  /// Answers what has arrived whole, then closes.
  void drain();
  /// Closes now, whatever is unsent or unanswered.
  void abandon();

  enum class Room : std::uint8_t { none, some, reserved };
  /// A reply that did not come during its submit; without room it is an empty one.
  void answer_late(std::uint64_t number, const Reply& reply, Room room);
  /// The same, of one that came from another thread.
  void deliver(std::uint64_t number, const Reply& reply, Room room);

  bool refused() const { return refused_; }
  std::size_t unanswered() const { return session_.unanswered(); }

 private:
  friend class Session;
  bool may_go_on();
  Store* near_store() const { return lane_.near_store; }
  Session::Shortcut shortcut() const;
  void served(const Session::Served& served);
  void submit(std::uint64_t number, Command& command);
  void submit_again(std::uint64_t number, Command& command, Session::Place place);
  void malformed(std::size_t bytes);

  static void on_event(evutil_socket_t, short what, void* self);
  void again() override;
  void on_deadline(Wait wait) override;

  void serve();
  void end(std::string_view why);
  ByteView receive();
  bool send_output(Bytes& out);
  void keep_unsent(Bytes& out, std::size_t sent);
  void go_on();
  void take_leave();
  void discard_input();
  void set_deadline();
  void wait_for(Wait wait, bool anew);
  void on_reply(std::uint64_t number, const Reply& reply);
  void on_late_reply(std::uint64_t number, const Reply& reply, Room room);
  Room room_for(const Reply& reply) const;
  void publish_held();
  void answer(std::uint64_t number, const ReplyView& reply, Bytes& out);
  bool backlogged() const;
  std::string_view ending() const;
  Speaker speaker() const;

  TcpShare& home_;
  Lane& lane_;
  Descriptor socket_;
  event event_{};
  Session session_;
  Bytes unsent_;
  Bytes* output_ = nullptr;  // while the session is fed: where answers go
  const std::string peer_;
  const std::uint64_t id_;
  std::size_t requests_left_ = 0;  // of this turn
  std::size_t requests_done_ = 0;  // in this turn
  Session::State state_ = Session::State::hungry;
  Wait wait_ = Wait::idle;
  /// Bytes of values that other threads have left for this one, and of answers that it holds.
  std::atomic<std::size_t> coming_{0};
  std::atomic<std::size_t> held_{0};
  bool waits_ = false;
  bool readable_ = false;       // a read may find something
  bool fin_announced_ = false;  // read on until it is found
  bool blocked_ = false;        // the kernel took less than it was given
  bool progressed_ = false;     // it took something in this turn
  bool leaving_ = false;        // our last byte is sent
  bool input_over_ = false;
  bool draining_ = false;
  bool refused_ = false;
  const char* broken_ = nullptr;  // the socket failed: why
};

}  // namespace kv::sockets
