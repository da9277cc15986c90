// Clients over UDP: each has one socket and at most one batch of datagrams under way, and asks
// again what was not answered in time.
//
// An answer is matched to its request by its mark where there is one (an ID, memcached's request
// number), else by its content. Without marks a late answer could be taken for another request's;
// so a client that asks again does it from a new socket, and late answers reach nobody.
#pragma once

#include <sys/socket.h>

#include <memory>
#include <string>
#include <vector>

#include "tools/load_driver.h"

namespace kv::load {

inline constexpr std::size_t datagram_bytes_max = 65'507;

class UdpLoad final : public Driver {
 public:
  UdpLoad(const Plan& plan, Descriptor epoll, std::vector<host::SocketAddress> addresses);

  bool connect_all(std::string& why);

 private:
  struct Client {
    Descriptor socket;
    ClientState state;
    Batch batch;
    Pacer::Leave leave;
    std::vector<bool> answered;  // of the batch
    std::size_t open = 0;        // how many of them are not
    Moment retransmit_at;
    Moment give_up_at;
  };

  void start(ClientIndex index, const Batch& batch, const Pacer::Leave& leave, Moment now) override;
  void on_ready(ClientIndex index, std::uint32_t events) override;
  void on_tick(Moment now) override;
  void abandon() override;
  ClientState& state_of(ClientIndex client) override { return clients_[client].state; }
  std::uint32_t fill_depth() const override { return 1; }

  bool open_socket(ClientIndex index, std::string& why);
  void send_open(Client& client);
  std::size_t receive(Client& client);
  bool accept(ClientIndex index, ByteView datagram, Moment now);
  std::size_t request_of(const Client& client, ByteView datagram) const;
  std::size_t mark_bytes(ByteView answer) const;
  void retransmit(ClientIndex index, Moment now);
  void give_up(ClientIndex index, const std::string& why);

  bool marked_;
  std::vector<host::SocketAddress> addresses_;
  std::vector<Client> clients_;
  std::vector<Bytes> buffers_;
  std::vector<iovec> pieces_;
  std::vector<mmsghdr> messages_;
  std::vector<unsigned> lengths_;
};

}  // namespace kv::load
