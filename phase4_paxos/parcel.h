// What a slot holds: the time of the log, and parcels, each a row of commands of one replica's
// clients.
//
// A parcel is made once, by the desk where its commands came in, and travels unchanged: to the
// leader, into a slot's value, onto every disk. Nobody decodes it but the learners. Its id says
// whose it is, so that the replica whose clients wait answers them when it applies it; and a
// parcel takes effect once, however often it was forwarded or proposed.
//
// A value: time (varint), then each parcel with its length before it. No bytes at all: a no-op
// (Paxos Made Simple, 3). A parcel: node, boot, number (varints), then each command, as its fields,
// with its length before it. One of node 0 is a change of members instead: 0, then its fields.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "common/core/bytes.h"
#include "common/core/ids.h"
#include "common/core/time.h"
#include "common/kv/command.h"
#include "phase4_paxos/configuration.h"

namespace kv::paxos {

struct ParcelId {
  NodeId node;
  std::uint64_t boot = 0;    // of that replica's process
  std::uint64_t number = 0;  // 1, 2, 3 … in that life

  bool operator==(const ParcelId&) const = default;
};

/// A parcel without commands, to append to.
Bytes begin_parcel(const ParcelId& id);
/// `scratch` is kept by the caller for its capacity.
void append_command(Bytes& parcel, const Command& command, Bytes& scratch);
/// Takes the id off the front of `parcel`; commands are left. Nothing if it is none.
std::optional<ParcelId> read_parcel_id(ByteView& parcel);
/// Takes one command off; false at the end, and if the rest is no command. Every field of
/// `command` is set anew.
bool read_command(ByteView& parcel, Command& command);
/// How many are left, as far as their lengths tell.
std::uint64_t count_commands(ByteView parcel);

Bytes pack_change(const Reconfigure& change);
/// Nothing if it is a parcel of commands, or nothing at all.
std::optional<Reconfigure> unpack_change(ByteView parcel);

Bytes begin_value(LogTime time);
void append_parcel(Bytes& value, ByteView parcel);
/// Takes the time off the front of a value that is no no-op.
std::optional<LogTime> read_time(ByteView& value);

/// Which parcels have taken effect, of each replica's newest life that is known. What is older
/// than the window, or of an earlier life, counts as having done so: nobody waits for it. (Its
/// sender keeps fewer than `window` open, so nothing of use is lost.)
class ParcelWindows {
 public:
  static constexpr std::uint64_t window = 1024;

  /// Whether this parcel is to take effect now; from then on it has.
  bool take(const ParcelId& id);
  bool taken(const ParcelId& id) const;
  /// Of those that were taken, the one of that node's newest life with the highest number; boot 0
  /// if there is none.
  ParcelId newest(NodeId node) const;

  void encode_to(Bytes& out) const;
  /// False if the bytes are damaged; then it is empty.
  bool decode(ByteView bytes);

  bool operator==(const ParcelWindows&) const = default;

 private:
  struct Life {
    NodeId node;
    std::uint64_t boot = 0;
    std::uint64_t highest = 0;
    std::array<std::uint64_t, window / 64> bits{};  // by number modulo the window

    bool operator==(const Life&) const = default;
    bool bit(std::uint64_t number) const {
      return (bits[number % window / 64] >> (number % 64) & 1) != 0;
    }
    void set(std::uint64_t number, bool to) {
      const std::uint64_t mask = std::uint64_t{1} << (number % 64);
      std::uint64_t& word = bits[number % window / 64];
      word = to ? word | mask : word & ~mask;
    }
  };

  const Life* find(NodeId node) const;

  std::vector<Life> lives_;  // by node; a cluster has a few
};

}  // namespace kv::paxos
