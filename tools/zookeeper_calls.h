// ZooKeeper's setData and getData over one connection, as bytes in and bytes out: what the
// benchmark needs to ask ZooKeeper at the least cost for both sides. Keys are children of the root.
//
// Requests and answers are records of big-endian numbers with their length before them (Apache
// ZooKeeper's zookeeper.jute); a server answers a session's requests in their order.
#pragma once

#include <cstdint>
#include <deque>
#include <string_view>
#include <vector>

#include "common/core/bytes.h"

namespace kv::load {

class ZookeeperCalls {
 public:
  using Stream = std::uint32_t;

  struct Answer {
    Stream stream = 0;
    bool answered = false;  // false: the call failed
    Bytes value;            // of the key that was asked for; empty if there is none
  };

  /// A connection begins with bytes to send: a new session. Nothing is to be said of `authority`.
  explicit ZookeeperCalls(std::string_view authority);

  /// Makes the node if there is none: that takes two calls, the first time.
  Stream put(ByteView key, ByteView value);
  /// A linearizable read: a sync, then the read. Without the sync it may be old.
  Stream get(ByteView key);

  /// Takes in what the server sent, in any pieces, and appends the answers that it completes.
  /// False if the connection is of no more use; the calls under way then never end.
  bool receive(ByteView bytes, std::vector<Answer>& answers);

  /// What is to be sent; whoever has sent a part of it erases that.
  Bytes& output() { return output_; }

 private:
  enum class Operation : std::int32_t { create = 1, get_data = 4, set_data = 5, sync = 9 };

  struct Call {
    Stream stream;
    Operation operation;
    Bytes path;
    Bytes value;  // of a put
  };

  void send(Call call);
  bool on_record(ByteView record, std::vector<Answer>& answers);
  bool on_answer(Call call, std::int32_t error, ByteView rest, std::vector<Answer>& answers);

  Bytes output_;
  Bytes input_;  // a record that is not whole yet
  bool greeted_ = false;
  Stream next_stream_ = 1;
  std::int32_t next_number_ = 1;
  std::deque<Call> under_way_;
  std::int32_t first_number_ = 1;  // of under_way_
};

}  // namespace kv::load
