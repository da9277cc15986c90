#include "phase4_paxos/parcel.h"

#include <algorithm>

#include "common/core/check.h"
#include "common/core/varint.h"
#include "common/wire/fields.h"

namespace kv::paxos {

Bytes begin_parcel(const ParcelId& id) {
  Bytes parcel;
  write_varint(parcel, id.node.value);
  write_varint(parcel, id.boot);
  write_varint(parcel, id.number);
  return parcel;
}

void append_command(Bytes& parcel, const Command& command, Bytes& scratch) {
  scratch.clear();
  wire::encode_to(command, scratch);
  write_string(parcel, scratch);
}

std::optional<ParcelId> read_parcel_id(ByteView& parcel) {
  const auto node = read_varint(parcel);
  const auto boot = node ? read_varint(parcel) : std::nullopt;
  const auto number = boot ? read_varint(parcel) : std::nullopt;
  if (!number || *node == 0 || *node > UINT32_MAX || *number == 0) {
    return std::nullopt;
  }
  return ParcelId{{static_cast<std::uint32_t>(*node)}, *boot, *number};
}

namespace {

/// What a shorter encoding leaves out must not stay from the command before: all replicas would
/// have to have read the same one.
void clear(Command& command) {
  command.verb = Verb::get;
  command.origin.client.clear();
  command.origin.sequence = command.origin.first_outstanding = 0;
  command.key.clear();
  command.value.clear();
  command.expected.clear();
  command.guards.clear();
  command.writes.clear();
}

}  // namespace

bool read_command(ByteView& parcel, Command& command) {
  const std::optional<ByteView> bytes = parcel.empty() ? std::nullopt : read_string(parcel);
  if (!bytes) {
    return false;
  }
  clear(command);
  wire::FieldReader reader{*bytes};
  Command::fields(command, reader);
  return reader.good();
}

std::uint64_t count_commands(ByteView parcel) {
  std::uint64_t count = 0;
  while (!parcel.empty() && read_string(parcel)) {
    ++count;
  }
  return count;
}

Bytes pack_change(const Reconfigure& change) {
  Bytes parcel(1, '\0');
  wire::encode_to(change, parcel);
  return parcel;
}

std::optional<Reconfigure> unpack_change(ByteView parcel) {
  if (parcel.empty() || parcel[0] != '\0') {
    return std::nullopt;
  }
  return wire::decode<Reconfigure>(parcel.substr(1));
}

Bytes begin_value(LogTime time) {
  Bytes value;
  write_varint(value, static_cast<std::uint64_t>(time.time_since_epoch().count()));
  return value;
}

void append_parcel(Bytes& value, ByteView parcel) {
  write_string(value, parcel);
}

std::optional<LogTime> read_time(ByteView& value) {
  const auto time = read_varint(value);
  if (!time || *time > INT64_MAX) {
    return std::nullopt;
  }
  return LogTime{Duration{static_cast<Duration::rep>(*time)}};
}

bool ParcelWindows::take(const ParcelId& id) {
  auto life = std::ranges::find(lives_, id.node, &Life::node);
  if (life == lives_.end()) {
    life = lives_.insert(std::ranges::upper_bound(lives_, id.node, {}, &Life::node),
                         Life{.node = id.node, .boot = id.boot});
  }
  if (id.boot < life->boot) {
    return false;
  }
  if (id.boot > life->boot) {
    *life = Life{.node = id.node, .boot = id.boot};
  }
  if (id.number > life->highest) {
    const std::uint64_t first =
        std::max(life->highest + 1, id.number < window ? 0 : id.number - window + 1);
    for (std::uint64_t number = first; number < id.number; ++number) {
      life->set(number, false);
    }
    life->highest = id.number;
    life->set(id.number, true);
    return true;
  }
  if (id.number + window <= life->highest || life->bit(id.number)) {
    return false;
  }
  life->set(id.number, true);
  return true;
}

const ParcelWindows::Life* ParcelWindows::find(NodeId node) const {
  const auto life = std::ranges::find(lives_, node, &Life::node);
  return life == lives_.end() ? nullptr : &*life;
}

bool ParcelWindows::taken(const ParcelId& id) const {
  const Life* life = find(id.node);
  if (life == nullptr || id.boot > life->boot || id.number > life->highest) {
    return false;
  }
  return id.boot < life->boot || id.number + window <= life->highest || life->bit(id.number);
}

ParcelId ParcelWindows::newest(NodeId node) const {
  const Life* life = find(node);
  return life == nullptr ? ParcelId{.node = node} : ParcelId{node, life->boot, life->highest};
}

void ParcelWindows::encode_to(Bytes& out) const {
  write_varint(out, lives_.size());
  for (const Life& life : lives_) {
    write_varint(out, life.node.value);
    write_varint(out, life.boot);
    write_varint(out, life.highest);
    for (const std::uint64_t word : life.bits) {
      write_fixed(out, word);
    }
  }
}

bool ParcelWindows::decode(ByteView bytes) {
  lives_.clear();
  const auto count = read_varint(bytes);
  for (std::uint64_t i = 0; count && i < *count; ++i) {
    const auto node = read_varint(bytes);
    const auto boot = node ? read_varint(bytes) : std::nullopt;
    const auto highest = boot ? read_varint(bytes) : std::nullopt;
    if (!highest || *node > UINT32_MAX || bytes.size() < window / 8) {
      lives_.clear();
      return false;
    }
    Life& life = lives_.emplace_back(
        Life{.node = {static_cast<std::uint32_t>(*node)}, .boot = *boot, .highest = *highest});
    for (std::uint64_t& word : life.bits) {
      word = *read_fixed(bytes);
    }
  }
  return count.has_value() && bytes.empty();
}

}  // namespace kv::paxos
