// What the parts of one replica tell each other, and nobody else: its learner how far it is, its
// desk what clients want to read. They are messages like those between replicas (messages.h), so
// that parts share no memory, and it is all one whether they run on one thread or on several.
//
// Those for a part that is dead are lost. Whoever is born asks (Ask), and whoever waits for a part
// asks it again when it hears of a new life of it (Leapt).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/kv/command.h"
#include "common/kv/members.h"
#include "phase4_paxos/messages.h"

namespace kv::paxos {

/// A new proposer or acceptor, to the learner: where are you?
struct Ask {
  static constexpr Kind kind = Kind::ask;
  static void fields(auto&, auto&) {}
};

/// The learner, to all: I got on, or began a new life, or was asked.
struct Progress {
  static constexpr Kind kind = Kind::progress;
  Slot applied;
  Slot kept_from;              // the first slot whose value it keeps for others
  std::uint64_t time = 0;      // of the log, in microseconds
  std::uint64_t checksum = 0;  // of the log up to `applied`
  bool taking_image = false;   // it gets on even if `applied` does not
  bool diverged = false;       // this replica must stop
  std::uint64_t members = 0;   // the number of the last configuration; Deciders came before

  static void fields(auto& self, auto& visit) {
    visit("applied", self.applied.value);
    visit("kept_from", self.kept_from.value);
    visit("time", self.time);
    visit("checksum", self.checksum);
    visit("taking_image", self.taking_image);
    visit("diverged", self.diverged);
    visit("members", self.members);
  }
};

/// The learner, to all: who decides the slots behind `applied`. It comes before any Progress from
/// which it would not follow.
struct Deciders {
  static constexpr Kind kind = Kind::deciders;
  Slot applied;
  Configurations configurations;

  static void fields(auto& self, auto& visit) {
    visit("applied", self.applied.value);
    Configurations::fields(self.configurations, visit);
  }
};

/// The desk, to the learner: the replies of that life's parcels, from `first` on, are for me.
struct AnswerFor {
  static constexpr Kind kind = Kind::answer_for;
  std::uint64_t boot = 0;
  std::uint64_t first = 0;

  static void fields(auto& self, auto& visit) {
    visit("boot", self.boot);
    visit("first", self.first);
  }
};

/// Who knows of disks, to the acceptor: the log made this disk a member again, and from here on the
/// acceptor speaks as that incarnation.
struct Become {
  static constexpr Kind kind = Kind::become;
  std::uint64_t incarnation = 0;

  static void fields(auto& self, auto& visit) { visit("incarnation", self.incarnation); }
};

/// The desk, to the proposer: an operator wants this. Asked again until it is told to be over.
struct ChangeAsk {
  static constexpr Kind kind = Kind::change_ask;
  std::uint64_t number = 0;  // of the asking
  MemberChange change;
  std::uint64_t birth = 0;  // of the disk on which that node waits to be let in; 0: it does not
  bool caught_up = false;   // so does it, with all but the last moment's slots applied

  static void fields(auto& self, auto& visit) {
    visit("number", self.number);
    visit("change", self.change);
    visit("birth", self.birth);
    visit("caught_up", self.caught_up);
  }
};

/// The proposer, to the desk: what the operator is to be told; or, if it is not over, why not yet.
struct ChangeTold {
  static constexpr Kind kind = Kind::change_told;
  std::uint64_t number = 0;
  std::optional<Status> status;
  std::string why;

  static void fields(auto& self, auto& visit) {
    visit("number", self.number);
    visit("status", self.status);
    visit("why", self.why);
  }
};

/// An acceptor without stable storage, to the learner that stands for what nobody tells it: apply
/// this much, then I can speak.
struct Reach {
  static constexpr Kind kind = Kind::reach;
  Slot slot;

  static void fields(auto& self, auto& visit) { visit("slot", self.slot.value); }
};

/// The learner, to the desk: what the clients of that parcel are to be told. No replies: it took
/// effect before, and what it said then is not known here; or it is of a later life than this.
struct Replied {
  static constexpr Kind kind = Kind::replied;
  std::uint64_t boot = 0;
  std::uint64_t number = 0;
  std::uint64_t print = 0;  // hash_of() the parcel
  std::vector<Reply> replies;

  static void fields(auto& self, auto& visit) {
    visit("boot", self.boot);
    visit("number", self.number);
    visit("print", self.print);
    visit("replies", self.replies);
  }
};

/// The learner, to the desk: I began a new life, or took in an image. Whatever you asked of me is
/// forgotten, and parcels may have taken effect without replies: those in the body, its windows.
struct Leapt {
  static constexpr Kind kind = Kind::leapt;
  static constexpr bool has_body = true;
  static void fields(auto&, auto&) {}
};

/// The desk, to the learner: answer these, if you have applied that far; else say nothing.
struct ReadNow {
  static constexpr Kind kind = Kind::read_now;
  std::uint64_t number = 0;
  Slot slot;
  std::vector<Command> commands;

  static void fields(auto& self, auto& visit) {
    visit("number", self.number);
    visit("slot", self.slot.value);
    visit("commands", self.commands);
  }
};

struct ReadDone {
  static constexpr Kind kind = Kind::read_done;
  std::uint64_t number = 0;
  std::vector<Reply> replies;

  static void fields(auto& self, auto& visit) {
    visit("number", self.number);
    visit("replies", self.replies);
  }
};

}  // namespace kv::paxos
