// UDP: one request a datagram, one answer a datagram, in batches of one system call each.
//
// A datagram that is an answer itself is never answered, so two servers cannot be made to talk to
// each other for ever. An answer too large for one datagram becomes an ERROR that says so. An
// answer comes from the address that was asked, also where the socket is bound to all of them.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "phase1_sockets/datagram_source.h"
#include "phase1_sockets/lane.h"

namespace kv::sockets {

inline constexpr std::size_t datagram_bytes_max = 65507;  // over IPv4

struct UdpLimits {
  bool legacy = false;  // what carries no @ID is read as the original course's text
  std::size_t answer_bytes_max = datagram_bytes_max;
};

/// One lane's UDP socket. Used from the lane's thread.
class UdpServer final : private Again {
 public:
  UdpServer(Lane& lane, Descriptor socket, std::uint64_t id, const UdpLimits& limits);
  UdpServer(const UdpServer&) = delete;
  UdpServer& operator=(const UdpServer&) = delete;
  /// Every submitted request must have been answered: check().
  ~UdpServer();

  /// Requests that may wait for a late service; more are answered UNAVAILABLE.
  static constexpr std::size_t in_flight_max = 4096;
  static constexpr std::size_t batch_max = 64;

  /// Answers what has arrived and reads no more; then calls `done`.
  void drain(std::function<void()> done);

 private:
  struct Address {
    sockaddr_in6 bytes{};  // or a sockaddr_in, which is shorter
    socklen_t length = 0;
    DatagramSource asked;  // ours, to answer from
  };
  struct Asked {  // a request that waits for its answer
    Command command;
    Address from;
    std::uint64_t number = 0;
    Instant at{};
    bool legacy = false;
    bool waits = false;
  };
  struct Outgoing {
    std::size_t begin;  // in output_
    std::size_t bytes;
    Address to;
  };
  struct Late {
    std::uint32_t ticket;
    Reply reply;
  };

  void again() override;
  void offer_room();
  bool receive_batch();
  void serve(ByteView datagram, const Address& from);
  void submit(const Address& from, bool legacy);
  void refuse(ByteView datagram, const Address& from, bool legacy);
  void on_reply(std::uint32_t ticket, const Reply& reply);
  void answer_late(std::uint32_t ticket, const Reply& reply);
  void answer(const Command& command, const ReplyView& reply, std::uint64_t number, Instant at,
              bool legacy, const Address& to);
  void format(const Command& command, const ReplyView& reply, bool legacy);
  void post(std::size_t begin, const Address& to);
  void send_all();
  std::size_t send_some(std::size_t first);
  void settle();
  std::uint32_t take_ticket();
  Speaker speaker(const Address& address);

  Lane& lane_;
  Descriptor socket_;
  EventPointer event_;
  const std::uint64_t id_;
  const UdpLimits limits_;
  std::uint64_t last_number_ = 0;
  bool drained_input_ = true;

  std::unique_ptr<char[]> input_;
  std::array<mmsghdr, batch_max> headers_{};
  std::array<iovec, batch_max> pieces_{};
  std::array<Address, batch_max> senders_{};
  std::vector<ControlRoom> controls_;  // as many if the socket brings destinations, else none

  Bytes output_;
  std::vector<Outgoing> outgoing_;
  std::string address_text_;

  const Address* submitting_from_ = nullptr;  // while submit() runs, until it is answered
  bool submitting_legacy_ = false;
  std::uint32_t submitting_ticket_ = 0;
  Instant turn_began_{};
  std::vector<Asked> asked_;  // by ticket
  std::vector<std::uint32_t> free_tickets_;
  std::size_t unanswered_ = 0;
  Inbox<Late> late_;
  std::function<void()> drained_;
};

}  // namespace kv::sockets
