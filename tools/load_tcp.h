// Clients over TCP: each has one connection and at most one batch under way on it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tools/load_driver.h"

namespace kv::load {

class TcpLoad final : public Driver {
 public:
  TcpLoad(const Plan& plan, Descriptor epoll, std::vector<host::SocketAddress> addresses);

  bool connect_all(std::string& why);

 private:
  enum class Link : std::uint8_t { down, connecting, up };

  struct Client {
    Descriptor socket;
    Link link = Link::down;
    bool playing = false;  // a batch is under way
    Moment reconnect_at;
    ClientState state;
    Batch batch;
    Pacer::Leave leave;
    ByteView unsent;   // the rest of the batch's requests
    ByteView awaited;  // the rest of the batch's answers, as long as all was right
    // After the first byte that was not right: all that came for the batch, and how far into it
    // answers were told apart.
    Bytes received;
    std::size_t examined_bytes = 0;
    std::size_t examined_answers = 0;
  };

  void start(ClientIndex index, const Batch& batch, const Pacer::Leave& leave, Moment now) override;
  void on_ready(ClientIndex index, std::uint32_t events) override;
  void on_tick(Moment now) override;
  void abandon() override;
  ClientState& state_of(ClientIndex client) override { return clients_[client].state; }
  std::uint32_t fill_depth() const override;

  const host::SocketAddress& address_of(ClientIndex index) const;
  void on_connected(ClientIndex index);
  void send_rest(ClientIndex index);
  void receive(ClientIndex index, std::uint32_t events);
  void accept(ClientIndex index, ByteView bytes);
  void examine(ClientIndex index, ByteView bytes);
  void complete(ClientIndex index);
  Moment settle(Client& client);
  static void forget_batch(Client& client);
  void lose(ClientIndex index, const std::string& why);
  void give_up_batch(Client& client, const std::string& why);
  void reconnect(ClientIndex index, Moment now);

  std::vector<host::SocketAddress> addresses_;
  std::vector<Client> clients_;
  Bytes buffer_;
};

}  // namespace kv::load
