// What the parts of one replica tell each other, and nobody else: its learner how far it is, its
// desk what clients want to read. They are messages like those between replicas (messages.h), so
// that parts share no memory, and it is all one whether they run on one thread or on several.
//
// Those for a part that is dead are lost. Whoever is born asks (Ask), and whoever waits for a part
// asks it again when it hears of a new life of it (Leapt).
#pragma once

#include <cstdint>
#include <vector>

#include "common/kv/command.h"
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

  static void fields(auto& self, auto& visit) {
    visit("applied", self.applied.value);
    visit("kept_from", self.kept_from.value);
    visit("time", self.time);
    visit("checksum", self.checksum);
    visit("taking_image", self.taking_image);
    visit("diverged", self.diverged);
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
/// effect before, and what it said then is not known here.
struct Replied {
  static constexpr Kind kind = Kind::replied;
  std::uint64_t number = 0;
  std::vector<Reply> replies;

  static void fields(auto& self, auto& visit) {
    visit("number", self.number);
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
