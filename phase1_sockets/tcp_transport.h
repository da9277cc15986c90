// A client's way to a server over TCP: the line protocol, one connection, one operation at a time.
//
// The connection outlives a time-out: an answer that then comes late is recognised by its ID and
// ignored. A connection that has ended is replaced at the next operation, never within one: whether
// the server had done it is not known, and it is not for the transport to do it twice.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/client/transport.h"
#include "common/core/bytes.h"
#include "common/host/address.h"
#include "common/wire/line.h"
#include "phase1_sockets/answer_filter.h"
#include "phase1_sockets/client_socket.h"

namespace kv::sockets {

class TcpTransport final : public client::Transport {
 public:
  /// `addresses`, at least one, are tried in this order; `server` is what people call them.
  TcpTransport(std::vector<host::SocketAddress> addresses, std::string server,
               client::EventSink& events);

  client::CallResult call(const Command& command, Duration timeout) override;
  std::string server() const override { return "tcp " + server_; }

  /// A server that sends more without a line end is taken for no server of ours.
  static constexpr std::size_t answer_bytes_max = wire::line_bytes_max;

  /// After so many operations in a row during which not a byte came, the connection is replaced.
  static constexpr int silent_calls_max = 2;

 private:
  client::CallResult exchange(const Command& command, Instant deadline);
  std::string connect(Instant deadline);
  std::string connect_to(const host::SocketAddress& address, Instant deadline);
  std::optional<client::CallResult> send_request(Instant deadline);
  client::CallResult sending_failed(client::Outcome outcome, const std::string& why);
  client::CallResult await_answer(Instant deadline);
  client::CallResult give_up();

  std::string receive();
  std::optional<Reply> take_answer();
  void disconnect(std::string_view why);
  std::string with_complaint(const std::string& why) const;

  std::vector<host::SocketAddress> addresses_;
  std::string server_;
  client::EventSink& events_;
  AnswerFilter filter_;

  Descriptor socket_;
  std::string peer_;
  Bytes request_;
  Bytes chunk_;         // what one read may fill
  Bytes incoming_;      // received and not yet taken as lines
  bool heard_ = false;  // a byte came during this call
  int silent_calls_ = 0;
};

}  // namespace kv::sockets
