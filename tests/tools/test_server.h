// A small server with a map behind it, in every dialect that the load speaks, that counts what it
// was asked and misbehaves as it is told: whatever the load reports can be compared with it.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "common/core/bytes.h"
#include "tools/load_socket.h"
#include "tools/load_target.h"

namespace kv::load {

class TestServer {
 public:
  /// 0: never. The first that is meant is the N-th request, then every N-th after it.
  struct Manners {
    std::uint64_t wrong_every = 0;   // answers with an error
    std::uint64_t silent_every = 0;  // takes no notice (TCP: and so answers the next one instead)
    std::uint64_t close_every = 0;   // TCP: closes the connection instead of answering
    std::uint64_t twice_every = 0;   // answers twice
    bool in_single_bytes = false;    // TCP: one write for each byte of an answer
    std::string_view refusal = "ERROR";  // the line protocol's word for an error
  };

  TestServer(Dialect dialect, Transport transport, Manners manners);
  TestServer(const TestServer&) = delete;
  TestServer& operator=(const TestServer&) = delete;
  ~TestServer();

  Target target() const;

  // Requests by what became of them. A request stands in one of these only.
  std::uint64_t served() const { return served_; }
  std::uint64_t refused() const { return refused_; }
  std::uint64_t ignored() const { return ignored_; }
  std::uint64_t cut_off() const { return cut_off_; }

  std::uint64_t puts() const { return puts_; }
  std::uint64_t gets() const { return gets_; }
  std::uint64_t connections() const { return connections_; }

 private:
  struct Connection {
    Descriptor socket;
    Bytes input;
  };

  void serve();
  void on_connection();
  void on_datagram();
  bool on_input(Connection& connection);
  bool answer_all(Connection& connection);
  Bytes answer(ByteView request, bool& close);
  Bytes right_answer(ByteView request);
  std::size_t request_bytes(ByteView stream) const;
  bool write(int socket, ByteView bytes) const;

  const Dialect dialect_;
  const Transport transport_;
  const Manners manners_;
  Descriptor socket_;
  Descriptor stop_;
  std::uint16_t port_ = 0;

  // the thread's own
  std::map<std::string, std::string, std::less<>> store_;
  std::vector<Connection> open_;
  std::uint64_t requests_ = 0;

  std::atomic<std::uint64_t> served_ = 0;
  std::atomic<std::uint64_t> refused_ = 0;
  std::atomic<std::uint64_t> ignored_ = 0;
  std::atomic<std::uint64_t> cut_off_ = 0;
  std::atomic<std::uint64_t> puts_ = 0;
  std::atomic<std::uint64_t> gets_ = 0;
  std::atomic<std::uint64_t> connections_ = 0;

  std::thread thread_;  // last: it uses all of the above
};

}  // namespace kv::load
