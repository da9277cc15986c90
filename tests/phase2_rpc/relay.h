// Stands between a client and a server, and lets nothing of what the server says come back but its
// hello.
#pragma once

#include <array>
#include <functional>
#include <string>

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <boost/test/unit_test.hpp>

#include "common/host/address.h"
#include "phase2_rpc/rpc_frame.h"

namespace kv::rpc {

class Relay {
 public:
  explicit Relay(const host::Endpoint& server)
      : server_(server), acceptor_(loop_, {boost::asio::ip::make_address("127.0.0.1"), 0}) {}

  host::Endpoint address() const {
    return {.host = "127.0.0.1", .port = acceptor_.local_endpoint().port()};
  }

  /// Carries the first client's bytes to the server until `enough()`, and then cuts it off.
  void carry_until(const std::function<bool()>& enough) {
    tcp::socket from_client = acceptor_.accept();
    tcp::socket to_server{loop_};
    to_server.connect({boost::asio::ip::make_address(server_.host), server_.port});
    carry_hello(to_server, from_client);
    from_client.non_blocking(true);
    std::array<char, 4096> bytes{};
    while (!enough()) {
      boost::system::error_code error;
      const std::size_t count = from_client.read_some(boost::asio::buffer(bytes), error);
      boost::asio::write(to_server, boost::asio::buffer(bytes, count));
    }
    from_client.close();
  }

 private:
  using tcp = boost::asio::ip::tcp;

  static void carry_hello(tcp::socket& from, tcp::socket& to) {
    Bytes frame(header_bytes, '\0');
    boost::asio::read(from, boost::asio::buffer(frame));
    std::string why;
    const auto header = read_header(frame, why);
    BOOST_REQUIRE(header && header->type == FrameType::hello);
    frame.resize(header_bytes + header->payload_bytes);
    boost::asio::read(from, boost::asio::buffer(frame) + header_bytes);
    boost::asio::write(to, boost::asio::buffer(frame));
  }

  host::Endpoint server_;
  boost::asio::io_context loop_;
  tcp::acceptor acceptor_;
};

}  // namespace kv::rpc
