// What replicas tell each other, and what they write down: every message and every record of
// two-phase commit, as lists of fields.
//
// Who sends what, why, and what must be durable first stands in docs/PROTOCOL.md. All lists may
// hold many: what gathers in one turn travels together.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "common/core/bytes.h"
#include "common/core/ids.h"
#include "common/kv/command.h"
#include "common/wire/fields.h"

namespace kv::two_phase {

/// A transaction's name. The boot is which life of its coordinator began it: a restarted
/// coordinator draws the next one, so it never takes a vote for what an earlier life began.
struct TxnId {
  NodeId coordinator;
  std::uint64_t boot = 0;
  std::uint64_t sequence = 0;

  friend auto operator<=>(const TxnId&, const TxnId&) = default;
  static void fields(auto& self, auto& visit) {
    visit("coordinator", self.coordinator.value);
    visit("boot", self.boot);
    visit("sequence", self.sequence);
  }
};

/// As people read it: 3.1.42 is the 42nd of node 3's first life.
std::string text_of(const TxnId& txn);

/// When an operation first asked for its locks. It keeps it through every try: the older waits,
/// the younger dies.
struct Age {
  std::uint64_t clock = 0;  // Lamport's
  NodeId node;

  friend auto operator<=>(const Age&, const Age&) = default;
  static void fields(auto& self, auto& visit) {
    visit("clock", self.clock);
    visit("node", self.node.value);
  }
};

enum class Change : std::uint8_t { none, put, erase };
constexpr Change last_of(Change) {
  return Change::erase;
}

/// One key of a transaction. `before` is the print of what stands there (see CommittedState): where
/// it differs from the coordinator's, the replicas have silently diverged.
struct Part {
  std::string key;
  std::uint64_t before = 0;
  Change change = Change::none;
  std::string value;

  bool operator==(const Part&) const = default;
  static void fields(auto& self, auto& visit) {
    visit("key", self.key);
    visit("before", self.before);
    visit("change", self.change);
    visit("value", self.value);
  }
};

/// Who is to be answered: the coordinator's own front door, or the node that forwarded the update.
/// That one takes part in the transaction itself: until it has promised it, it can still refuse,
/// and be certain that nothing was done.
struct Asker {
  NodeId node;
  std::uint64_t number = 0;  // a RequestId, or the forward's
  std::uint64_t boot = 0;    // the forward's: of the life that numbered it

  bool operator==(const Asker&) const = default;
  static void fields(auto& self, auto& visit) {
    visit("node", self.node.value);
    visit("number", self.number);
    visit("boot", self.boot);
  }
};

/// What happens everywhere or nowhere: changes, and the outcome of the operation that asked.
struct Transaction {
  TxnId id;
  Age age;
  Asker asker;
  std::vector<Part> parts;  // by key, each key once
  Origin origin;            // without a client: no outcome is kept
  std::uint32_t fingerprint = 0;
  Status outcome = Status::ok;

  bool operator==(const Transaction&) const = default;
  static void fields(auto& self, auto& visit) {
    visit("id", self.id);
    visit("age", self.age);
    visit("asker", self.asker);
    visit("parts", self.parts);
    visit("origin", self.origin);
    visit("fingerprint", self.fingerprint);
    visit("outcome", self.outcome);
  }
};

std::vector<std::string> keys_of(const Transaction& transaction);

enum class Ballot : std::uint8_t {
  yes,        // a promise that outlives a crash
  busy,       // a key is another's: die, and try again with the same age
  refused,    // whoever asked in doubt was told that this will never be committed
  diverged,   // the key holds something else here
  withdrawn,  // it was forwarded from here, and its client has been told that it is not done
  no_room,    // the disk is full
};
constexpr Ballot last_of(Ballot) {
  return Ballot::no_room;
}

// --- messages ------------------------------------------------------------------------------------

/// In every message: which life of the sender's coordinator speaks, up to where all of its
/// transactions are finished for everyone, and its Lamport clock.
struct Header {
  std::uint64_t boot = 0;
  std::uint64_t mark_boot = 0;  // everything before (mark_boot, mark_sequence) is finished
  std::uint64_t mark_sequence = 0;
  std::uint64_t clock = 0;

  static void fields(auto& self, auto& visit) {
    visit("boot", self.boot);
    visit("mark_boot", self.mark_boot);
    visit("mark_sequence", self.mark_sequence);
    visit("clock", self.clock);
  }
};

enum class MessageKind : std::uint8_t {
  prepare = 1,
  vote,
  decide,
  ack,
  inquire,
  forward,
  forward_reply,
  pulse,
  durable,
};

/// A vote, a decision and a question about one transaction.
struct Vote {
  TxnId txn;
  Ballot ballot = Ballot::yes;

  static void fields(auto& self, auto& visit) {
    visit("txn", self.txn);
    visit("ballot", self.ballot);
  }
};

struct Decision {
  TxnId txn;
  bool commit = false;

  static void fields(auto& self, auto& visit) {
    visit("txn", self.txn);
    visit("commit", self.commit);
  }
};

/// A client's update on its way to its key's home.
struct Forward {
  std::uint64_t number = 0;   // of this copy, at the sender
  std::uint64_t oldest = 0;   // copies below it are waited for no more
  std::uint64_t to_boot = 0;  // for this life of the receiver alone
  Command command;

  static void fields(auto& self, auto& visit) {
    visit("number", self.number);
    visit("oldest", self.oldest);
    visit("to_boot", self.to_boot);
    visit("command", self.command);
  }
};

struct ForwardReply {
  std::uint64_t to_boot = 0;  // the life that numbered the copy: another counts anew
  std::uint64_t number = 0;
  bool taken = false;  // false: this copy was not looked at, whatever happened to others
  Reply reply;

  static void fields(auto& self, auto& visit) {
    visit("to_boot", self.to_boot);
    visit("number", self.number);
    visit("taken", self.taken);
    visit("reply", self.reply);
  }
};

/// Prepare, vote, decide, ack, inquire, forward and forward reply are all lists.
template <typename Item>
struct ListMessage {
  Header header;
  std::vector<Item> items;

  static void fields(auto& self, auto& visit) {
    visit("header", self.header);
    visit("items", self.items);
  }
};

/// A replica's disk as another one knows it. Each disk draws a number when it is first used, so
/// that a replica whose disk was lost and that starts on an empty one is told from a new replica.
struct KnownDisk {
  NodeId node;
  std::uint64_t disk = 0;

  bool operator==(const KnownDisk&) const = default;
  static void fields(auto& self, auto& visit) {
    visit("node", self.node.value);
    visit("disk", self.disk);
  }
};

/// Now and then, to everyone: I live, and this is what I hold.
struct Pulse {
  Header header;
  std::uint64_t applied = 0;   // transactions, in all lives
  std::uint64_t checksum = 0;  // of all that they left
  bool presumes_commit = false;
  std::uint64_t disk = 0;        // the sender's
  std::vector<KnownDisk> known;  // all that it has met
  bool joins = false;            // it takes no part yet: whom do you know under my number?
  std::uint64_t committed = 0;   // of `applied`, what no crash takes back; 0 unless it `tells`
  bool full = false;             // its disk is: it promises nothing
  bool tells = false;            // both its roles live, so that it can tell what is committed

  static void fields(auto& self, auto& visit) {
    visit("header", self.header);
    visit("applied", self.applied);
    visit("checksum", self.checksum);
    visit("presumes_commit", self.presumes_commit);
    visit("disk", self.disk);
    visit("known", self.known);
    visit("joins", self.joins);
    visit("committed", self.committed);
    visit("full", self.full);
    visit("tells", self.tells);
  }
};

/// To itself, after its records: all of this flush is on disk.
struct Durable {
  std::uint64_t boot = 0;
  std::uint64_t flush = 0;

  static void fields(auto& self, auto& visit) {
    visit("boot", self.boot);
    visit("flush", self.flush);
  }
};

// --- records -------------------------------------------------------------------------------------

enum class RecordKind : std::uint8_t {
  booted = 1,  // coordinator: Booted
  prepared,    // participant: Transactions that it voted yes for
  committed,   // participant: TxnIds that it prepared, and applied
  aborted,     // participant: TxnIds that it prepared, or must not prepare
  refused,     // participant: TxnIds that it will never vote yes for
  decided,     // coordinator: Transactions: the commit point, and its own replica's changes
  collecting,  // coordinator that presumes commit: TxnIds that it is about to begin
  ended,       // coordinator: TxnIds that all have acknowledged
  met,         // KnownDisks: its own at first, and others' when they are first heard of
};

struct Booted {
  std::uint64_t boot = 0;

  static void fields(auto& self, auto& visit) { visit("boot", self.boot); }
};

template <typename Item>
struct ListRecord {
  std::vector<Item> items;

  static void fields(auto& self, auto& visit) { visit("items", self.items); }
};

// --- both begin with one byte that says which ----------------------------------------------------

template <typename Kind, typename Body>
Bytes encode_as(Kind kind, const Body& body) {
  Bytes bytes(1, static_cast<char>(kind));
  wire::encode_to(body, bytes);
  return bytes;
}

/// An element of a list, as the fields encoding has it: whoever gathers many encodes each once.
template <typename Item>
void append_item(Bytes& list, const Item& item) {
  wire::FieldWriter{list}("item", item);
}

}  // namespace kv::two_phase

template <>
struct std::hash<kv::two_phase::TxnId> {
  std::size_t operator()(const kv::two_phase::TxnId& txn) const noexcept {
    return (txn.sequence * 0x9e3779b97f4a7c15) ^ (txn.boot << 8) ^ txn.coordinator.value;
  }
};
