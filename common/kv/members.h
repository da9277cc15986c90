// Who belongs to a cluster, where that can change while it runs. A Replica may be this too.
//
// A change is asked of a replica as a command is, goes through the protocol's log and is answered
// when it is done. Asking again does no harm: whoever is told `unavailable` (not done, not now, or
// not by this replica) or `unknown` asks again, there or elsewhere; a change that was done already
// is ok. `bad_request` is a refusal for good, with the reason.
//
// A node that joins begins on an empty disk. It is a learner first, is brought up to date, and
// then gets its vote, all by one `add`. Who was removed never comes back on the disk that it had:
// only by `add`, on an empty one.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/core/ids.h"
#include "common/core/time.h"
#include "common/kv/replica.h"

namespace kv {

enum class MemberStanding : std::uint8_t {
  joining,  // not a member yet: is listened to, so that it can become one
  learner,  // is sent everything, and counts for nothing
  voter,
  leaving,  // still counts, until the change that is under way is done
};
constexpr MemberStanding last_of(MemberStanding) {
  return MemberStanding::leaving;
}
constexpr std::string_view name_of(MemberStanding standing) {
  switch (standing) {
    case MemberStanding::joining:
      return "joining";
    case MemberStanding::learner:
      return "learner";
    case MemberStanding::voter:
      return "voter";
    case MemberStanding::leaving:
      return "leaving";
  }
  return "?";
}

struct Member {
  NodeId node;
  std::string address;  // of its RPC, HOST:PORT; empty: known from the flags of whoever reaches it
  MemberStanding standing = MemberStanding::voter;

  bool operator==(const Member&) const = default;
  static void fields(auto& self, auto& visit) {
    visit("node", self.node.value);
    visit("address", self.address);
    visit("standing", self.standing);
  }
};

struct MemberList {
  NodeId leader;  // who makes changes, as far as is known; nobody: 0
  std::vector<Member> members;

  bool operator==(const MemberList&) const = default;
  static void fields(auto& self, auto& visit) {
    visit("leader", self.leader.value);
    visit("members", self.members);
  }
};

enum class MemberVerb : std::uint8_t {
  add,       // a node at an address: until it has its vote
  remove,    // until the others do without it; a leader hands over first
  transfer,  // leadership, to a node: until that one has it
};
constexpr MemberVerb last_of(MemberVerb) {
  return MemberVerb::transfer;
}

struct MemberChange {
  MemberVerb verb = MemberVerb::add;
  NodeId node;
  std::string address;  // add: of its RPC, as the other members reach it

  bool operator==(const MemberChange&) const = default;
  static void fields(auto& self, auto& visit) {
    visit("verb", self.verb);
    visit("node", self.node.value);
    visit("address", self.address);
  }
};

/// Used as the Replica that it is.
class Members {
 public:
  virtual ~Members() = default;

  /// Whether they can change at all: a wrapper of another Replica asks that one. If not, nothing
  /// else is asked.
  virtual bool may_change() const { return true; }

  /// Whom this replica speaks to and hears, itself too if it is a member, by number. Who is not in
  /// it is not reached any more, nor heard: so whoever leaves stays in it until it knows.
  virtual MemberList members() const = 0;
  /// Another number whenever members() says something else, who leads apart.
  virtual std::uint64_t members_version() const = 0;

  /// Answered by `id`, once, in a later step at the latest when the host's patience ends. What is
  /// `aborted` was tried and failed, or waits for what only an operator can do: it is not asked
  /// again by a program.
  virtual void change_members(Instant now, RequestId id, const MemberChange& change,
                              Effects& out) = 0;
};

}  // namespace kv
