#include "common/kv/state_machine.h"

#include <algorithm>

#include "common/core/check.h"
#include "common/core/digest.h"
#include "common/core/hash.h"
#include "common/core/varint.h"
#include "common/kv/replica.h"

namespace kv {
namespace {

// A piece: version, part, number (varint), body, checksum of all that (8 bytes, low byte first)
// seeded with the checksum of the piece before.
constexpr char snapshot_version = 1;
constexpr std::size_t piece_body_bytes_max =
    snapshot_piece_bytes_max - fixed_bytes - varint_bytes_max - 2;

}  // namespace

StateMachine::StateMachine(SessionBounds bounds, std::uint64_t hash_seed)
    : store_{hash_seed}, sessions_{bounds} {}

void StateMachine::apply(const Entry& entry, Reply& reply) {
  encoded_.clear();
  DigestWriter digest{encoded_};
  Entry::fields(entry, digest);
  checksum_ = hash_of(encoded_, checksum_);
  ++applied_;
  time_ = std::max(time_, entry.time);
  const Command& command = entry.command;
  if (command.origin.client.empty() || !changes_something(command.verb)) {
    store_.apply(command, reply);
  } else if (!sessions_.refuses(command, time_, reply)) {
    store_.apply(command, reply);
    sessions_.save(command, time_, reply.status);
  }
}

void StateMachine::read(const Command& command, Reply& reply) {
  check(!changes_something(command.verb));
  store_.apply(command, reply);
}

// --- a snapshot out: head, sessions in parts, items, end -----------------------------------------

void StateMachine::begin_snapshot() {
  out_ = {.part = Part::head, .items = store_.size()};
  sessions_.encode_to(out_.sessions);
  store_.begin_snapshot();
  // The head is made now: what it says must not move on.
  write_varint(out_.head, applied_);
  write_fixed(out_.head, checksum_);
  write_varint(out_.head, static_cast<std::uint64_t>(time_.time_since_epoch().count()));
  write_varint(out_.head, out_.items);
  write_varint(out_.head, out_.sessions.size());
}

Bytes StateMachine::next_snapshot_piece() {
  switch (out_.part) {
    case Part::head:
      out_.part = Part::sessions;
      return sealed(Part::head, out_.head);
    case Part::sessions: {
      const ByteView rest = ByteView{out_.sessions}.substr(out_.sessions_done);
      const ByteView body = rest.substr(0, piece_body_bytes_max);
      out_.sessions_done += body.size();
      if (body.size() == rest.size()) {
        out_.part = Part::items;
      }
      return sealed(Part::sessions, body);
    }
    case Part::items: {
      Bytes items;
      if (store_.next_snapshot_piece(items, piece_body_bytes_max)) {
        return sealed(Part::items, items);
      }
      out_.part = Part::end;
      return sealed(Part::end, {});
    }
    case Part::end:
      break;
  }
  out_ = {};
  return {};
}

Bytes StateMachine::sealed(Part part, ByteView body) {
  Bytes piece;
  piece.reserve(body.size() + snapshot_piece_bytes_max - piece_body_bytes_max);
  piece.push_back(snapshot_version);
  piece.push_back(static_cast<char>(part));
  write_varint(piece, out_.number++);
  piece.append(body);
  out_.checksum = hash_of(piece, out_.checksum);
  write_fixed(piece, out_.checksum);
  return piece;
}

// --- and in --------------------------------------------------------------------------------------

StateMachine::Restored StateMachine::restore(ByteView piece) {
  const std::optional<Part> part = unseal(piece);
  if (!part || !restore_body(*part, piece)) {
    clear();
    return Restored::damaged;
  }
  if (*part != Part::end) {
    return Restored::more;
  }
  in_ = {};
  return Restored::done;
}

/// The piece's part, if it is whole and the next one; `piece` is then its body.
std::optional<StateMachine::Part> StateMachine::unseal(ByteView& piece) {
  if (piece.size() < 2 + 1 + fixed_bytes || piece[0] != snapshot_version) {
    return std::nullopt;
  }
  const ByteView covered = piece.substr(0, piece.size() - fixed_bytes);
  const auto part = static_cast<Part>(piece[1]);
  if (part == Part::head) {
    clear();
  }
  const std::uint64_t checksum = hash_of(covered, in_.checksum);
  ByteView said = piece.substr(covered.size());
  if (part > Part::end || checksum != read_fixed(said)) {
    return std::nullopt;
  }
  piece = covered.substr(2);
  const std::optional<std::uint64_t> number = read_varint(piece);
  // Nothing comes before the head, and nothing but the head comes first.
  if (!number || *number != in_.number || (*number == 0) != (part == Part::head)) {
    return std::nullopt;
  }
  ++in_.number;
  in_.checksum = checksum;
  return part;
}

bool StateMachine::restore_body(Part part, ByteView body) {
  switch (part) {
    case Part::head:
      return restore_head(body);
    case Part::sessions:
      in_.sessions.append(body);
      return in_.sessions.size() < in_.sessions_done ||
             (in_.sessions.size() == in_.sessions_done && sessions_.decode(in_.sessions));
    case Part::items:
      return store_.restore_piece(body);
    case Part::end:
      return body.empty() && in_.sessions.size() == in_.sessions_done && store_.size() == in_.items;
  }
  return false;
}

bool StateMachine::restore_head(ByteView body) {
  const auto applied = read_varint(body);
  const auto checksum = applied ? read_fixed(body) : std::nullopt;
  const auto time = checksum ? read_varint(body) : std::nullopt;
  const auto items = time ? read_varint(body) : std::nullopt;
  const auto sessions_bytes = items ? read_varint(body) : std::nullopt;
  if (!sessions_bytes || !body.empty() || *time > INT64_MAX) {
    return false;
  }
  applied_ = *applied;
  checksum_ = *checksum;
  time_ = LogTime{Duration{static_cast<Duration::rep>(*time)}};
  in_.items = *items;
  in_.sessions_done = *sessions_bytes;
  return true;
}

void StateMachine::clear() {
  store_.clear();
  sessions_.clear();
  applied_ = 0;
  checksum_ = 0;
  time_ = {};
  in_ = {};
  out_ = {};
}

}  // namespace kv
