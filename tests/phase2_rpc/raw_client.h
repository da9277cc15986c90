// A client of frames and sockets, for what no well-behaved client does to a server.
#pragma once

#include <array>
#include <map>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <boost/test/unit_test.hpp>

#include "common/wire/fields.h"
#include "phase2_rpc/rpc_frame.h"
#include "phase2_rpc/rpc_server.h"

namespace kv::rpc {

/// A client that does what it is told, and reads only then.
struct RawClient {
  explicit RawClient(const RpcServer& server) {
    const auto address = server.address();
    socket.connect({boost::asio::ip::make_address(address.host), address.port});
    append_frame(unsent, {.type = FrameType::hello}, {}, wire::encode(Hello{}));
  }

  void ask(std::uint16_t method, std::size_t times = 1) {
    for (std::size_t i = 0; i < times; ++i) {
      append_frame(unsent, {.type = FrameType::request, .method = method, .id = ++last_id}, {}, {});
    }
    boost::asio::write(socket, boost::asio::buffer(unsent));
    unsent.clear();
  }

  /// Until `count` frames of a type have come. Answers pings.
  void hear(FrameType type, std::size_t count) {
    std::vector<char> some(64 * 1024);
    while (count > 0) {
      const std::size_t bytes = socket.read_some(boost::asio::buffer(some));
      BOOST_REQUIRE(stream.feed({some.data(), bytes}, [&](const Frame& frame) {
        count -= frame.header.type == type ? 1 : 0;
        if (frame.header.type == FrameType::answer) {
          ++heard[frame.header.code];
          not_executed += (frame.header.flags & frame_not_executed) != 0 ? 1 : 0;
        } else if (frame.header.type == FrameType::ping) {
          append_frame(unsent, {.type = FrameType::pong}, {}, {});
          ask(0, 0);
        }
      }));
    }
  }
  void hear_answers(std::size_t count) { hear(FrameType::answer, count); }

  /// Takes that much, and does nothing about it.
  void take(std::size_t bytes) {
    std::vector<char> some(bytes);
    boost::asio::read(socket, boost::asio::buffer(some));
    BOOST_REQUIRE(stream.feed({some.data(), bytes}, [](const Frame&) {}));
  }

  /// True if the server ends the connection as it should, after nothing but what was heard.
  bool hears_the_end() {
    std::array<char, 64> some{};
    boost::system::error_code error;
    socket.read_some(boost::asio::buffer(some), error);
    return error == boost::asio::error::eof;
  }

  boost::asio::io_context loop;
  boost::asio::ip::tcp::socket socket{loop};
  FrameStream stream;
  Bytes unsent;
  CallId last_id = 0;
  std::map<Code, std::size_t> heard;
  std::size_t not_executed = 0;  // of them
};

}  // namespace kv::rpc
