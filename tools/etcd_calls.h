// etcd's Put and Range over one HTTP/2 connection, as bytes in and bytes out: what the benchmark
// needs to ask etcd at the least cost for both sides.
//
// gRPC is HTTP/2 with a five-byte prefix before each message. Requests are a HEADERS and a DATA
// frame on a stream of their own; the header fields that all calls share are sent once and then
// referred to (HPACK's dynamic table), as gRPC libraries do. Of an answer only its message is
// looked at: gRPC sends none when a call fails, so that its trailers need no decoding.
#pragma once

#include <cstdint>
#include <deque>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "common/core/bytes.h"

namespace kv::load {

class EtcdCalls {
 public:
  using Stream = std::uint32_t;

  struct Answer {
    Stream stream = 0;
    bool answered = false;  // false: the call failed, done or not
    Bytes value;            // of the key that was asked for; empty if there is none
  };

  /// `authority` is HOST:PORT; a connection begins with bytes to send.
  explicit EtcdCalls(std::string_view authority);

  Stream put(ByteView key, ByteView value);
  /// A linearizable read, which is Range's default.
  Stream get(ByteView key);

  /// Takes in what the server sent, in any pieces, and appends the answers that it completes.
  /// False if the connection is of no more use; the calls under way then never end.
  bool receive(ByteView bytes, std::vector<Answer>& answers);

  /// What is to be sent; whoever has sent a part of it erases that.
  Bytes& output() { return output_; }

 private:
  struct Frame;

  Stream call(std::string_view path, const Bytes& message);
  void append_headers(Stream stream, std::string_view path);
  void send_held();
  bool on_frame(const Frame& frame, std::vector<Answer>& answers);
  bool on_data(const Frame& frame, std::vector<Answer>& answers);
  void end(Stream stream, std::vector<Answer>& answers);
  void give_credit(std::size_t bytes);

  struct Held {
    Stream stream;
    Bytes data;
  };

  Bytes authority_;
  Bytes output_;
  Bytes input_;  // a frame that is not whole yet
  Stream next_stream_ = 1;
  std::unordered_map<Stream, Bytes> under_way_;  // with what came of the answer
  std::int64_t window_ = 65'535;                 // bytes of DATA that the server still takes
  std::deque<Held> held_;                        // DATA that it does not take yet
  std::size_t uncredited_ = 0;                   // bytes of DATA taken in, not yet acknowledged
};

/// The value of the first pair in an etcdserverpb.RangeResponse; empty if there is none, or if the
/// message is damaged.
ByteView range_value(ByteView message);

}  // namespace kv::load
