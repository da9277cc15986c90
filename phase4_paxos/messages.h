// What proposers, acceptors and learners say to each other, and what they write down.
//
// A message is its kind (one byte) and its fields; one that carries a value, a parcel or a piece
// has a length before its fields, and that body behind them, so that large bytes are copied as
// they are. What an acceptor writes down is the very Accept it heard: a record is decoded by the
// code that decodes messages. docs/PROTOCOL.md has the bytes.
//
// Who says what to whom, and why:
//   Prepare      proposer → acceptors   phase 1: promise me to accept nothing older
//   Promise      acceptor → proposer    I do; this is what I have accepted so far
//   Accept       proposer → acceptors   phase 2: accept this value in this slot
//                         → learners    the value, should it be chosen; and what is chosen by now
//   Accepted     acceptor → proposer    I have, durably
//   Refused      acceptor → proposer    I have promised more, or somebody leads already
//   Beat         proposer → all roles   I lead; this much is chosen; confirm my ballot
//   Confirmed    acceptor → proposer    I have promised nothing newer
//   RecoverAsk/Tell  acceptor ↔ acceptor   I lost my memory: what do you remember?
//   Greet(ed)    replica ↔ replica      my disk is new; do you know me? may I become a member?
//   Forward      desk → proposer        commands of my clients
//   ReadAsk/At   desk ↔ proposer        how far must I have applied to answer a read?
//   Learn(ed)    learner ↔ learner      what was chosen in the slots that I missed?
//   ImageAsk/Piece  learner ↔ learner   they are gone: send me your state instead
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "common/core/bytes.h"
#include "common/core/check.h"
#include "common/core/varint.h"
#include "common/wire/fields.h"
#include "phase4_paxos/ballot.h"
#include "phase4_paxos/configuration.h"

namespace kv::paxos {

enum class Kind : std::uint8_t {
  prepare = 1,
  promise,
  accept,
  accepted,
  refused,
  beat,
  confirmed,
  forward,
  read_ask,
  read_at,
  learn,
  learned,
  image_ask,
  image_piece,
  recover_ask,
  recover_tell,
  greet,
  greeted,
  // Records, pieces of snapshots, and messages to oneself.
  met,
  booted,
  promised,
  head,
  machine,
  stored,
  founded,
  // Among the parts of one replica: notices.h.
  ask = 64,
  progress,
  reach,
  replied,
  leapt,
  read_now,
  read_done,
  deciders,
  answer_for,
  become,
  change_ask,
  change_told,
};

struct Prepare {
  static constexpr Kind kind = Kind::prepare;
  Ballot ballot;
  Slot from;  // the first slot that this proposer does not know to be chosen

  static void fields(auto& self, auto& visit) {
    Ballot::fields(self.ballot, visit);
    visit("from", self.from.value);
  }
};

/// A value accepted in a slot, with the ballot it was proposed under.
struct Proposal {
  Slot slot;
  Ballot ballot;
  Bytes value;

  bool operator==(const Proposal&) const = default;
  static void fields(auto& self, auto& visit) {
    visit("slot", self.slot.value);
    Ballot::fields(self.ballot, visit);
    visit("value", self.value);
  }
};

/// A crash vector: the newest life of each member's acceptor that is known, in the order of
/// members. Only acceptors without stable storage have one; else it is empty.
using Lives = std::vector<std::uint64_t>;

/// Answers a Prepare; `from` is that of the Prepare. Says all that was accepted in slots from
/// `from` up to `next`, or up to the end if `next` is 0: the rest is to be asked for.
struct Promise {
  static constexpr Kind kind = Kind::promise;
  Ballot ballot;
  Slot from;
  Slot next;
  Slot floor;  // up to here everything is chosen, and not told: learners know it
  std::vector<Proposal> accepted;
  Lives lives;
  std::uint64_t incarnation = 0;  // of this acceptor, see Voter

  static void fields(auto& self, auto& visit) {
    Ballot::fields(self.ballot, visit);
    visit("from", self.from.value);
    visit("next", self.next.value);
    visit("floor", self.floor.value);
    visit("accepted", self.accepted);
    visit("lives", self.lives);
    visit("incarnation", self.incarnation);
  }
};

/// Its body is the value. Also the acceptor's record of having accepted it.
struct Accept {
  static constexpr Kind kind = Kind::accept;
  static constexpr bool has_body = true;
  Ballot ballot;
  Slot slot;
  Slot chosen;  // every slot up to here is chosen, under this ballot or an earlier one

  static void fields(auto& self, auto& visit) {
    Ballot::fields(self.ballot, visit);
    visit("slot", self.slot.value);
    visit("chosen", self.chosen.value);
  }
};

struct SlotRange {
  Slot first;
  Slot last;

  bool operator==(const SlotRange&) const = default;
  static void fields(auto& self, auto& visit) {
    visit("first", self.first.value);
    visit("last", self.last.value);
  }
};

struct Accepted {
  static constexpr Kind kind = Kind::accepted;
  Ballot ballot;
  std::vector<SlotRange> slots;
  Lives lives;
  std::uint64_t incarnation = 0;

  static void fields(auto& self, auto& visit) {
    Ballot::fields(self.ballot, visit);
    visit("slots", self.slots);
    visit("lives", self.lives);
    visit("incarnation", self.incarnation);
  }
};

struct Refused {
  static constexpr Kind kind = Kind::refused;
  Ballot ballot;    // that was refused
  Ballot promised;  // what this acceptor has promised

  static void fields(auto& self, auto& visit) {
    Ballot::fields(self.ballot, visit);
    Ballot::fields(self.promised, visit);
  }
};

struct Beat {
  static constexpr Kind kind = Kind::beat;
  Ballot ballot;
  Slot chosen;
  std::uint64_t round = 0;     // 0: news only, nothing to confirm
  Slot at;                     // the sender has applied up to here …
  std::uint64_t checksum = 0;  // … and this is the checksum of all of it

  static void fields(auto& self, auto& visit) {
    Ballot::fields(self.ballot, visit);
    visit("chosen", self.chosen.value);
    visit("beat", self.round);
    visit("at", self.at.value);
    visit("checksum", self.checksum);
  }
};

struct Confirmed {
  static constexpr Kind kind = Kind::confirmed;
  Ballot ballot;
  std::uint64_t round = 0;
  std::uint64_t incarnation = 0;
  Slot applied;                // by the learner beside this acceptor
  std::uint64_t grant_us = 0;  // I promise nobody else anything for so long; 0: no word on that

  static void fields(auto& self, auto& visit) {
    Ballot::fields(self.ballot, visit);
    visit("beat", self.round);
    visit("incarnation", self.incarnation);
    visit("applied", self.applied.value);
    visit("grant_us", self.grant_us);
  }
};

/// Its body is a parcel (parcel.h).
struct Forward {
  static constexpr Kind kind = Kind::forward;
  static constexpr bool has_body = true;
  static void fields(auto&, auto&) {}
};

struct ReadAsk {
  static constexpr Kind kind = Kind::read_ask;
  std::uint64_t boot = 0;
  std::uint64_t number = 0;

  static void fields(auto& self, auto& visit) {
    visit("boot", self.boot);
    visit("number", self.number);
  }
};

struct ReadAt {
  static constexpr Kind kind = Kind::read_at;
  std::uint64_t boot = 0;
  std::uint64_t number = 0;
  Slot slot;  // whoever has applied this far may answer

  static void fields(auto& self, auto& visit) {
    visit("boot", self.boot);
    visit("number", self.number);
    visit("slot", self.slot.value);
  }
};

struct Learn {
  static constexpr Kind kind = Kind::learn;
  Slot from;

  static void fields(auto& self, auto& visit) { visit("from", self.from.value); }
};

/// What was chosen in `first` and the slots behind it. Also the learner's record of it.
struct Learned {
  static constexpr Kind kind = Kind::learned;
  Slot first;
  std::vector<Bytes> values;
  Slot kept_from;  // what was chosen before this slot must be had as an image
  Slot applied;    // by the sender

  static void fields(auto& self, auto& visit) {
    visit("first", self.first.value);
    visit("values", self.values);
    visit("kept_from", self.kept_from.value);
    visit("applied", self.applied.value);
  }
};

/// Asks for pieces `piece` up to, not including, `end` of an image; `image` 0 for a new one.
struct ImageAsk {
  static constexpr Kind kind = Kind::image_ask;
  std::uint64_t image = 0;
  std::uint64_t piece = 0;
  std::uint64_t end = 0;

  static void fields(auto& self, auto& visit) {
    visit("image", self.image);
    visit("piece", self.piece);
    visit("end", self.end);
  }
};

/// Piece 0's body is a Head's fields, the others' are pieces of the state machine's snapshot. Also
/// the learner's record of having it.
struct ImagePiece {
  static constexpr Kind kind = Kind::image_piece;
  static constexpr bool has_body = true;
  std::uint64_t image = 0;
  std::uint64_t piece = 0;
  std::uint32_t from = 0;  // the node whose image it is

  static void fields(auto& self, auto& visit) {
    visit("image", self.image);
    visit("piece", self.piece);
    visit("from", self.from);
  }
};

/// From an acceptor whose memory is lost, in its new life `life`.
struct RecoverAsk {
  static constexpr Kind kind = Kind::recover_ask;
  std::uint64_t life = 0;
  Slot from;  // tell what was accepted from here on

  static void fields(auto& self, auto& visit) {
    visit("life", self.life);
    visit("from", self.from.value);
  }
};

/// What another acceptor remembers, in pieces as a Promise has them.
struct RecoverTell {
  static constexpr Kind kind = Kind::recover_tell;
  std::uint64_t life = 0;  // of who asked
  Slot from;
  Slot next;
  Slot floor;
  Ballot promised;
  std::vector<Proposal> accepted;
  Lives lives;

  static void fields(auto& self, auto& visit) {
    visit("life", self.life);
    visit("from", self.from.value);
    visit("next", self.next.value);
    visit("floor", self.floor.value);
    Ballot::fields(self.promised, visit);
    visit("accepted", self.accepted);
    visit("lives", self.lives);
  }
};

/// From a replica that may not speak on its disk, whose mark is `birth`: a number it drew. Either
/// it founds the cluster, or it waits until it is made a member.
struct Greet {
  static constexpr Kind kind = Kind::greet;
  std::uint64_t birth = 0;
  bool founds = true;
  Slot applied;

  static void fields(auto& self, auto& visit) {
    visit("birth", self.birth);
    visit("founds", self.founds);
    visit("applied", self.applied.value);
  }
};

/// To one who founds. `known` is the mark that whoever answers has met that replica with, durably:
/// the same one, or it has lost a disk. 0: whoever answers cannot tell, or it is no founder.
struct Greeted {
  static constexpr Kind kind = Kind::greeted;
  std::uint64_t birth = 0;
  std::uint64_t known = 0;

  static void fields(auto& self, auto& visit) {
    visit("birth", self.birth);
    visit("known", self.known);
  }
};

/// A record, and a piece of a snapshot: the mark of that node's disk. Of this one itself: `born`
/// says that it may speak, as that incarnation.
struct Met {
  static constexpr Kind kind = Kind::met;
  std::uint32_t node = 0;
  std::uint64_t birth = 0;
  bool born = false;
  std::uint64_t incarnation = 0;

  static void fields(auto& self, auto& visit) {
    visit("node", self.node);
    visit("birth", self.birth);
    visit("born", self.born);
    visit("incarnation", self.incarnation);
  }
};

/// A record: who this replica was told founds the cluster. Later it is told what it likes.
struct Founded {
  static constexpr Kind kind = Kind::founded;
  Configurations configurations;

  static void fields(auto& self, auto& visit) {
    Configurations::fields(self.configurations, visit);
  }
};

/// A record: this life's number. To oneself: it is durable.
struct Booted {
  static constexpr Kind kind = Kind::booted;
  std::uint64_t boot = 0;

  static void fields(auto& self, auto& visit) { visit("boot", self.boot); }
};

/// A record: the acceptor's promise.
struct Promised {
  static constexpr Kind kind = Kind::promised;
  Ballot ballot;

  static void fields(auto& self, auto& visit) { Ballot::fields(self.ballot, visit); }
};

/// The first piece of a snapshot, and of an image for a peer (which says nothing of boot and
/// promise). Its body is a Learner's parcel windows and configurations, each with a length before.
struct Head {
  static constexpr Kind kind = Kind::head;
  static constexpr bool has_body = true;
  std::uint64_t boot = 0;
  Ballot promised;
  Slot applied;

  static void fields(auto& self, auto& visit) {
    visit("own_boot", self.boot);
    Ballot::fields(self.promised, visit);
    visit("applied", self.applied.value);
  }
};

/// A piece of a snapshot: its body is a piece of the state machine's.
struct Machine {
  static constexpr Kind kind = Kind::machine;
  static constexpr bool has_body = true;
  static void fields(auto&, auto&) {}
};

/// To oneself, in a simulation only: what the acceptor promised and accepted has become durable.
struct Stored {
  static constexpr Kind kind = Kind::stored;
  Ballot promised;
  std::vector<Proposal> accepted;  // values as their hashes
  std::uint64_t incarnation = 0;

  static void fields(auto& self, auto& visit) {
    Ballot::fields(self.promised, visit);
    visit("accepted", self.accepted);
    visit("incarnation", self.incarnation);
  }
};

template <typename M>
concept WithBody = requires {
  requires M::has_body;
};

template <typename M>
Bytes pack(const M& message) {
  Bytes out;
  out.push_back(static_cast<char>(M::kind));
  wire::encode_to(message, out);
  return out;
}

/// As `pack(message)`, with a body. Its fields take below 128 bytes: all of them are numbers.
template <WithBody M>
Bytes pack(const M& message, ByteView body) {
  Bytes out;
  out.reserve(64 + body.size());
  out.push_back(static_cast<char>(M::kind));
  out.push_back(0);
  wire::encode_to(message, out);
  check(out.size() < 2 + 128);
  out[1] = static_cast<char>(out.size() - 2);
  out.append(body);
  return out;
}

inline std::optional<Kind> kind_of(ByteView message) {
  if (message.empty()) {
    return std::nullopt;
  }
  const auto kind = static_cast<Kind>(message[0]);
  const bool known = (kind >= Kind::prepare && kind <= Kind::founded) ||
                     (kind >= Kind::ask && kind <= Kind::change_told);
  return known ? std::optional{kind} : std::nullopt;
}

/// Nothing if the bytes are no M.
template <typename M>
std::optional<M> unpack(ByteView message) {
  if (kind_of(message) != M::kind) {
    return std::nullopt;
  }
  return wire::decode<M>(message.substr(1));
}

/// The fields and the body, a view into `message`.
template <WithBody M>
std::optional<std::pair<M, ByteView>> unpack_with_body(ByteView message) {
  if (kind_of(message) != M::kind) {
    return std::nullopt;
  }
  message.remove_prefix(1);
  const std::optional<ByteView> header = read_string(message);
  auto fields = header ? wire::decode<M>(*header) : std::nullopt;
  if (!fields) {
    return std::nullopt;
  }
  return std::pair{std::move(*fields), message};
}

}  // namespace kv::paxos
