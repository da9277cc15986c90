// What clients ask for, and every right answer to it, made before the clock runs.
//
// The value of a key depends on the key alone, so a whole batch of answers is known beforehand:
// the generator compares each with one memcmp, which is both its fastest and its strictest check.
// (It cannot see a stale value, because there is none: that is `quintet check`'s work.)
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/core/bytes.h"
#include "common/core/random.h"
#include "tools/load_dialect.h"
#include "tools/load_keys.h"

namespace kv::load {

/// Requests and their answers, one after the other.
struct Exchange {
  Bytes requests;
  Bytes answers;
  std::vector<std::size_t> request_ends;
  std::vector<std::size_t> answer_ends;

  std::size_t count() const { return request_ends.size(); }
  void clear();
  void end_one();  // what was appended since the last call is one request and its answer
};

/// `count` neighbours of an Exchange.
struct Batch {
  const Exchange* exchange = nullptr;
  std::size_t first = 0;
  std::size_t count = 0;

  ByteView request(std::size_t i) const;
  ByteView answer(std::size_t i) const;
  ByteView requests() const;
  ByteView answers() const;
};

struct Mix {
  Dialect dialect = Dialect::line;
  Transport transport = Transport::tcp;
  std::uint64_t keys = 10'000;
  KeySkew skew = KeySkew::even;
  std::size_t value_bytes = 64;
  unsigned gets_percent = 50;
  unsigned deletes_percent = 0;  // recorded runs only, as are these:
  unsigned swaps_percent = 0;    // compare-and-set
  bool with_ids = false;         // line and udp: each request carries an ID that no other ever had
  std::uint64_t seed = 1;
};

/// One client's place in what is to be asked, and room for batches that are made for it.
struct ClientState {
  std::string id;  // the first half of its requests' IDs
  std::uint64_t sequence = 0;
  std::size_t next = 0;
  Exchange scratch;
};

class Workload {
 public:
  /// With over-long values, memory for a few hundred requests; else some megabytes.
  explicit Workload(const Mix& mix);

  ClientState client(std::uint64_t index);

  /// How many requests the client's next draw() may be asked for; at least one.
  std::size_t drawable(const ClientState& client) const { return script_.count() - client.next; }

  /// `count` requests drawn from the mix. Valid until the client's next batch.
  Batch draw(ClientState& client, std::size_t count) const;

  /// A put of each of the keys [first, first + count). Valid as long.
  Batch fill(ClientState& client, std::uint64_t first, std::size_t count) const;

  const Mix& mix() const { return mix_; }

  static std::string key(std::uint64_t number);  // key_bytes long
  static constexpr std::size_t key_bytes = 16;

 private:
  bool is_made_for_each() const {
    return mix_.with_ids || (mix_.transport == Transport::udp && mix_.dialect == Dialect::memcache);
  }
  ByteView value(std::uint64_t number) const;
  void append(Exchange& out, std::uint64_t number, bool get) const;
  void begin_marked(ClientState& client) const;
  Batch mark(ClientState& client, const Batch& plain) const;

  Mix mix_;
  std::string run_;  // in every ID: no other run's requests are taken for repetitions of ours
  Bytes noise_;      // each value is a piece of it
  Exchange script_;
};

}  // namespace kv::load
