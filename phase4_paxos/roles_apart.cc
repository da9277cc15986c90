#include "phase4_paxos/roles_apart.h"

#include <algorithm>
#include <utility>

#include "phase4_paxos/messages.h"
#include "phase4_paxos/notices.h"

namespace kv::paxos {
namespace {

struct Hearers {
  bool home = false;
  bool proposer = false;
  bool acceptor = false;
  bool learner = false;
};

/// Whom a message is for.
Hearers hearers_of(Kind kind) {
  switch (kind) {
    case Kind::accept:
    case Kind::beat:
      return {.home = true, .proposer = true, .acceptor = true, .learner = true};
    case Kind::prepare:
    case Kind::recover_ask:
    case Kind::recover_tell:
    case Kind::become:
      return {.acceptor = true};
    case Kind::promise:
    case Kind::accepted:
    case Kind::refused:
    case Kind::confirmed:
    case Kind::forward:
    case Kind::read_ask:
    case Kind::change_ask:
      return {.proposer = true};
    case Kind::learn:
    case Kind::learned:
    case Kind::image_ask:
    case Kind::image_piece:
    case Kind::ask:
    case Kind::reach:
    case Kind::read_now:
    case Kind::answer_for:
      return {.learner = true};
    case Kind::deciders:
      return {.home = true, .proposer = true};
    case Kind::read_at:
    case Kind::greet:
    case Kind::greeted:
    case Kind::stored:
    case Kind::replied:
    case Kind::leapt:
    case Kind::read_done:
    case Kind::change_told:
      return {.home = true};
    case Kind::booted:
    case Kind::progress:
      return {.home = true, .proposer = true, .acceptor = true};
    case Kind::met:
    case Kind::promised:
    case Kind::head:
    case Kind::machine:
    case Kind::founded:
      return {};  // records: nobody says them
  }
  return {};
}

/// All that an Accept says to those who neither accept nor learn: who leads.
std::optional<Bytes> as_news(ByteView message) {
  const auto accept = unpack_with_body<Accept>(message);
  return accept ? std::optional{pack(
                      Beat{.ballot = accept->first.ballot, .chosen = accept->first.chosen})}
                : std::nullopt;
}

bool is_or_all(std::string_view role, Part part) {
  return role == name_of(part) || role == "all";
}

}  // namespace

RolesApart::RolesApart(NodeId self, std::vector<NodeId> members, PaxosOptions options)
    : self_(self), members_(members), options_(options), home_(self, std::move(members), options) {
  home_.speak_to([this](Bytes message) { spoken_at_home_.push_back(std::move(message)); });
}

// --- letters -------------------------------------------------------------------------------------

void RolesApart::receive(Instant now, NodeId from, ByteView message, Effects& out) {
  if (home_.stopped()) {
    return;
  }
  if (const auto for_home = hand_to_roles(from, message)) {
    home_.receive(now, from, *for_home, out);
    settle();
  }
}

/// What of it is also for those at home.
std::optional<Bytes> RolesApart::hand_to_roles(NodeId from, ByteView message) {
  const auto kind = kind_of(message);
  if (!kind) {
    return std::nullopt;
  }
  const Hearers hearers = hearers_of(*kind);
  std::optional<Bytes> news = *kind == Kind::accept ? as_news(message) : std::nullopt;
  if (hearers.acceptor || hearers.learner || hearers.proposer) {
    const Letter letter{from, std::make_shared<const Bytes>(message)};
    if (hearers.acceptor) {
      post(Part::acceptor, letter, Haste::some);
    }
    if (hearers.learner) {
      post(Part::learner, letter, Haste::some);
    }
    if (hearers.proposer) {
      // One that follows looks at who leads when its patience ends, and not before.
      const bool about_leader = *kind == Kind::beat || *kind == Kind::accept;
      post(Part::proposer, news ? Letter{from, std::make_shared<const Bytes>(*news)} : letter,
           about_leader ? Haste::none : Haste::some);
    }
  }
  if (!hearers.home) {
    return std::nullopt;
  }
  return news ? std::move(news) : std::optional<Bytes>{message};
}

/// After each call of what is at home: roles that were born there move out, and then hear what
/// was said to them.
void RolesApart::settle() {
  PaxosReplica::Cast cast = home_.take_cast();
  if (cast.proposer) {
    bear(Part::proposer, {.proposer = std::move(cast.proposer)});
  }
  if (cast.acceptor || cast.recovery) {
    bear(Part::acceptor,
         {.acceptor = std::move(cast.acceptor), .recovery = std::move(cast.recovery)});
  }
  if (cast.learner) {
    bear(Part::learner, {.learner = std::move(cast.learner)});
  }
  for (const Bytes& message : std::exchange(spoken_at_home_, {})) {
    hand_to_roles(self_, message);
  }
  for (const Part part : parts) {
    if (home_.stopped()) {
      end(part);
    }
  }
}

void RolesApart::bear(Part part, PaxosReplica::Cast cast) {
  end(part);
  auto role = std::make_unique<PaxosReplica>(self_, members_, options_);
  role->adopt(std::move(cast));
  role->speak_to([this](const Bytes& message) {
    if (auto for_home = hand_to_roles(self_, message)) {
      post_home(std::move(*for_home));
    }
  });
  begin(part, std::move(role));
}

// --- time ----------------------------------------------------------------------------------------

void RolesApart::start(Instant now, Effects& out) {
  home_.start(now, out);
  settle();
}

void RolesApart::request(Instant now, RequestId id, const Command& command, Effects& out) {
  home_.request(now, id, command, out);
  settle();
}

void RolesApart::change_members(Instant now, RequestId id, const MemberChange& change,
                                Effects& out) {
  home_.change_members(now, id, change, out);
  settle();
}

void RolesApart::tick(Instant now, Effects& out) {
  collect(now, out);
  for (const Bytes& message : take_home_letters()) {
    home_.receive(now, self_, message, out);
  }
  home_.tick(now, out);
  settle();
}

Instant RolesApart::wake_at() const {
  return std::min(home_.wake_at(), collect_at());
}

// --- roles ---------------------------------------------------------------------------------------

bool RolesApart::plays(std::string_view role) const {
  if (role == "leader") {
    return leads();
  }
  return std::ranges::any_of(parts,
                             [&](Part part) { return role == name_of(part) && lives(part); });
}

void RolesApart::kill_role(std::string_view role) {
  // Without stable storage the learner stands for what the acceptor no longer tells.
  const bool both = options_.acceptor != AcceptorMemory::durable && role == "learner";
  for (const Part part : parts) {
    if (is_or_all(role, part) || (both && part == Part::acceptor)) {
      end(part);
    }
  }
  home_.kill_role(role);
}

void RolesApart::restore_role(std::string_view role, ByteView snapshot_piece) {
  home_.restore_role(role, snapshot_piece);
}

void RolesApart::recover_role(std::string_view role, ByteView record) {
  home_.recover_role(role, record);
}

/// A learner's new life may know less than the last one did, and then the acceptor beside it must
/// stand for more again: it begins a new life too.
RolesApart::Births RolesApart::births_of(std::string_view role) const {
  Births births{.proposer = is_or_all(role, Part::proposer) && !lives(Part::proposer),
                .acceptor = is_or_all(role, Part::acceptor),
                .learner = is_or_all(role, Part::learner) && !lives(Part::learner)};
  births.acceptor =
      births.acceptor ||
      (births.learner && (lives(Part::acceptor) || options_.acceptor != AcceptorMemory::durable));
  return births;
}

void RolesApart::start_role(std::string_view role, Instant now, Effects& out) {
  const Births births = births_of(role);
  if (births.acceptor) {
    end(Part::acceptor);
  }
  home_.start_roles(births, now, out);
  settle();
}

// --- snapshots -----------------------------------------------------------------------------------

/// It may stand for more than was collected so far: to hear a record of it again changes nothing.
bool RolesApart::begin_snapshot() {
  bool begun = false;
  const bool silent = !home_.speaks();  // there is no acceptor to look at
  if (!home_.stopped() && (silent || lives(Part::acceptor)) && lives(Part::learner)) {
    between_steps([&](const PaxosReplica* acceptor, PaxosReplica& learner) {
      begun = home_.begin_snapshot_of(acceptor, learner);
    });
  }
  return begun;
}

Bytes RolesApart::next_snapshot_piece() {
  return pull_piece([this] { return home_.next_snapshot_piece(); });
}

}  // namespace kv::paxos
