// What replicas say to each other, and what each writes down.
//
// A message is one byte that says which it is, then its fields; so is a record. docs/PROTOCOL.md
// has their bytes. Who sends what, and why:
//
//   RequestVote      a candidate, to all voters; first as a question whether it would win (`pre`)
//   Vote             its answer; also the candidate to itself, once its own disk has its vote
//   AppendEntries    the leader, to all: entries, how far the log is committed, and that it leads
//   Appended         its answer; also the leader to itself, once its own disk has the entries
//   InstallSnapshot  the leader, to one whose next entry it no longer has: a piece of its state
//   Installed        its answer: which piece is wanted next
//   TimeoutNow       the leader, to whoever shall lead next
//   Forward          whoever was asked for a change, to the leader
//   Forwarded        its answer: how each command ended
//   ReadQuery        whoever was asked for reads, to the leader: how far must I be to answer?
//   ReadGrant        its answer, once a majority has said that it still leads
//   Greet            whoever may not take part yet, to all founders; the leader, to whom it must
//   know Greeted          its answer: which disk it is known with, and which is the answerer's own
#pragma once

#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include "common/core/bytes.h"
#include "common/core/ids.h"
#include "common/kv/command.h"
#include "phase5_raft/ids.h"
#include "phase5_raft/membership.h"

namespace kv::raft {

/// Raft 5.2, 5.4; `pre` and `transfer`: Raft thesis 9.6 and 4.2.3.
struct RequestVote {
  Term term;  // the candidate's; of a pre-vote the one it would have
  Index last_index;
  Term last_term;
  bool pre = false;
  bool transfer = false;  // the leader itself asked for this election

  static void fields(auto& self, auto& visit) {
    visit("term", self.term.value);
    visit("last_index", self.last_index.value);
    visit("last_term", self.last_term.value);
    visit("pre", self.pre);
    visit("transfer", self.transfer);
  }
};

struct Vote {
  Term term;  // that was asked for if granted, else the voter's
  bool granted = false;
  bool pre = false;

  static void fields(auto& self, auto& visit) {
    visit("term", self.term.value);
    visit("granted", self.granted);
    visit("pre", self.pre);
  }
};

/// Raft 5.3. Without entries it is a heartbeat.
struct AppendEntries {
  Term term;
  Index previous;  // the entries stand behind it
  Term previous_term;
  Index commit;
  std::uint64_t round = 0;     // rises within a term: an answer confirms it; 0: none is wanted
  Index sampled;               // the leader's state after this entry …
  std::uint64_t checksum = 0;  // … had this checksum; 0 and 0: not said
  Bytes entries;               // wire forms, one after another

  static void fields(auto& self, auto& visit) {
    visit("term", self.term.value);
    visit("previous", self.previous.value);
    visit("previous_term", self.previous_term.value);
    visit("commit", self.commit.value);
    visit("round", self.round);
    visit("sampled", self.sampled.value);
    visit("checksum", self.checksum);
    visit("entries", self.entries);
  }
};

struct Appended {
  Term term;
  std::uint64_t round = 0;
  bool matched = false;
  Index match;     // matched: the logs are equal up to here; else: the `previous` that was not
  Index hint;      // not matched: the logs can be equal up to here at most …
  Term hint_term;  // … where this term stands

  static void fields(auto& self, auto& visit) {
    visit("term", self.term.value);
    visit("round", self.round);
    visit("matched", self.matched);
    visit("match", self.match.value);
    visit("hint", self.hint.value);
    visit("hint_term", self.hint_term.value);
  }
};

/// Raft 7. Also a record of whoever takes it in.
struct InstallSnapshot {
  Term term;
  std::uint64_t image = 0;  // which image of the leader's: pieces of two never mix
  Index last_index;         // the last entry that it stands for
  Term last_term;
  Membership membership;     // as of that entry
  std::uint64_t number = 0;  // of this piece, from 0 on
  Bytes piece;

  static void fields(auto& self, auto& visit) {
    visit("term", self.term.value);
    visit("image", self.image);
    visit("last_index", self.last_index.value);
    visit("last_term", self.last_term.value);
    visit("membership", self.membership);
    visit("number", self.number);
    visit("piece", self.piece);
  }
};

struct Installed {
  Term term;
  std::uint64_t image = 0;
  std::uint64_t next = 0;  // the piece that is wanted next: all before it are durable
  bool done = false;       // the state is taken over

  static void fields(auto& self, auto& visit) {
    visit("term", self.term.value);
    visit("image", self.image);
    visit("next", self.next);
    visit("done", self.done);
  }
};

struct TimeoutNow {
  Term term;

  static void fields(auto& self, auto& visit) { visit("term", self.term.value); }
};

/// A command for the leader. Its number is its sender's alone, and never used again in that life.
struct ForwardedCommand {
  std::uint64_t number = 0;
  Bytes command;  // the Command's fields

  static void fields(auto& self, auto& visit) {
    visit("number", self.number);
    visit("command", self.command);
  }
};

struct Forward {
  Term term;                   // whose leader is meant: nobody else takes it
  std::uint64_t life = 0;      // of the sender, drawn at its start
  std::uint64_t sequence = 0;  // of this message within that life: what comes late is not taken
  std::vector<ForwardedCommand> commands;

  static void fields(auto& self, auto& visit) {
    visit("term", self.term.value);
    visit("life", self.life);
    visit("sequence", self.sequence);
    visit("commands", self.commands);
  }
};

struct ForwardedReply {
  std::uint64_t number = 0;
  std::uint64_t not_taken = 0;  // in the message of this sequence, and never will be; 0: it was
  Reply reply;                  // if it was

  static void fields(auto& self, auto& visit) {
    visit("number", self.number);
    visit("not_taken", self.not_taken);
    visit("reply", self.reply);
  }
};

struct Forwarded {
  std::uint64_t life = 0;
  std::vector<ForwardedReply> replies;

  static void fields(auto& self, auto& visit) {
    visit("life", self.life);
    visit("replies", self.replies);
  }
};

/// Raft thesis 6.4. {life, number} is never used again: an answer to a question of a former life
/// must not answer one of this.
struct ReadQuery {
  std::uint64_t life = 0;
  std::uint64_t number = 0;

  static void fields(auto& self, auto& visit) {
    visit("life", self.life);
    visit("number", self.number);
  }
};

struct ReadGrant {
  Term term;
  std::uint64_t life = 0;
  std::uint64_t number = 0;
  Index index;  // whoever has applied up to here may answer

  static void fields(auto& self, auto& visit) {
    visit("term", self.term.value);
    visit("life", self.life);
    visit("number", self.number);
    visit("index", self.index.value);
  }
};

/// Thesis 3.8: whoever lost its persistent state cannot rejoin under the same identity. See
/// Acquaintance.
struct Greet {
  std::uint64_t mark = 0;  // of the sender's disk
  bool joins = false;      // it was not there when the cluster began

  static void fields(auto& self, auto& visit) {
    visit("mark", self.mark);
    visit("joins", self.joins);
  }
};

struct Greeted {
  std::uint64_t greeted = 0;  // the mark that the question told
  std::uint64_t known = 0;    // with which the asker is known here; 0: with none
  bool logged = false;        // because the log says so
  std::uint64_t own = 0;      // of the answerer's disk; 0: it may not take part yet …
  bool joins = false;         // … unless it is one that waits to be added

  static void fields(auto& self, auto& visit) {
    visit("greeted", self.greeted);
    visit("known", self.known);
    visit("logged", self.logged);
    visit("own", self.own);
    visit("joins", self.joins);
  }
};

using Message = std::variant<RequestVote, Vote, AppendEntries, Appended, InstallSnapshot, Installed,
                             TimeoutNow, Forward, Forwarded, ReadQuery, ReadGrant, Greet, Greeted>;

/// Nothing if the bytes are no message.
std::optional<Message> decode_message(ByteView bytes);
Bytes encode_message(const Message& message);

// --- records -------------------------------------------------------------------------------------

/// Raft, figure 2: persistent state.
struct HardState {
  Term term;
  NodeId voted_for;  // in that term; nobody: 0

  static void fields(auto& self, auto& visit) {
    visit("term", self.term.value);
    visit("voted_for", self.voted_for.value);
  }
};

/// What stands behind `previous` is gone, and these stand there.
struct EntriesRecord {
  Index previous;
  Index commit;  // as far as was known: a new life need not wait for a leader to apply these
  Bytes entries;

  static void fields(auto& self, auto& visit) {
    visit("previous", self.previous.value);
    visit("commit", self.commit.value);
    visit("entries", self.entries);
  }
};

/// This replica, or a founder that it has met, and the mark of its disk.
struct Met {
  NodeId node;
  std::uint64_t mark = 0;
  bool born = false;  // it is this replica, and it may take part

  static void fields(auto& self, auto& visit) {
    visit("node", self.node.value);
    visit("mark", self.mark);
    visit("born", self.born);
  }
};

using Record = std::variant<HardState, EntriesRecord, InstallSnapshot, Met>;

std::optional<Record> decode_record(ByteView bytes);
Bytes encode_record(const Record& record);

}  // namespace kv::raft
