// A client's way to a server over UDP: one request a datagram, one answer a datagram.
//
// Datagrams get lost. Until the time-out the same request, with the same ID, is sent again at
// growing intervals; the server knows it by the ID, does it once and repeats its answer. A refusal
// (ICMP: nobody listens there) is logged and waited out, for the server may be starting.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/client/transport.h"
#include "common/core/bytes.h"
#include "common/host/address.h"
#include "phase1_sockets/answer_filter.h"
#include "phase1_sockets/client_socket.h"

namespace kv::sockets {

class UdpTransport final : public client::Transport {
 public:
  /// `addresses`, at least one, are tried in this order until one has answered: the next one at
  /// once when nobody listens at one, and at the next operation when one is silent. So no two
  /// servers behind one name are ever asked to do the same operation.
  UdpTransport(std::vector<host::SocketAddress> addresses, std::string server,
               client::EventSink& events);

  client::CallResult call(const Command& command, Duration timeout) override;
  std::string server() const override { return "udp " + server_; }

  /// A request is sent again after a fifteenth of the time-out, but this at the latest, then after
  /// twice as long as before, and so on: four datagrams within two seconds.
  static constexpr Duration resend_interval_max_at_first = std::chrono::milliseconds{200};

 private:
  struct Attempts;

  client::CallResult exchange(const Command& command, Duration timeout);
  void send_if_due(Attempts& attempts);
  int send_once();
  std::optional<Reply> receive(Attempts& attempts);
  void receive_stale();
  std::optional<Reply> take_datagram(std::size_t length);

  void on_refused(Attempts& attempts);
  void try_next_address(Attempts& attempts);
  void next_address();
  client::CallResult give_up(const Attempts& attempts) const;

  std::vector<host::SocketAddress> addresses_;
  std::string server_;
  client::EventSink& events_;
  AnswerFilter filter_;

  std::size_t address_ = 0;  // in use
  bool heard_ = false;       // an answer came from it
  Descriptor socket_;
  std::string peer_;
  Bytes request_;
  Bytes datagram_;
};

}  // namespace kv::sockets
