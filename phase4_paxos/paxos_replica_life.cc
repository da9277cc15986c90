// A replica's lives and those of its roles: how one begins from what the last one left, and the
// snapshots that make it short. What it does in between stands in paxos_replica.cc.
#include <algorithm>
#include <utility>

#include "common/core/check.h"
#include "common/core/hash.h"
#include "phase4_paxos/messages.h"
#include "phase4_paxos/paxos_replica.h"

namespace kv::paxos {

std::unique_ptr<Acceptor> PaxosReplica::new_acceptor() const {
  const bool vectors = options_.acceptor == AcceptorMemory::diskless;
  return std::make_unique<Acceptor>(options_, vectors ? Lives(members_.size()) : Lives{});
}

std::shared_ptr<Learner> PaxosReplica::new_learner() {
  auto learner = std::make_shared<Learner>(self_, members_, options_, random_.next());
  if (desk_boot_ != 0) {  // clients of this life may wait for what the last learner learned
    learner->answer_for(desk_boot_, desk_.first_open());
  }
  return learner;
}

// --- from what is durable ------------------------------------------------------------------------

void PaxosReplica::restore(ByteView snapshot_piece) {
  restore_into(reborn_, snapshot_piece);
}

void PaxosReplica::recover(ByteView record) {
  recover_into(reborn_, record);
}

void PaxosReplica::restore_into(Reborn& roles, ByteView piece) {
  if (const auto head = unpack_with_body<Head>(piece)) {
    roles.boot = head->first.boot;
    if (roles.acceptor && durable()) {
      roles.acceptor->restore(head->first);
    }
    if (roles.learner) {
      roles.learner->restore(head->first, head->second);
    }
  } else if (const auto machine = unpack_with_body<Machine>(piece)) {
    if (roles.learner) {
      roles.learner->restore_machine(machine->second);
    }
  } else {
    check(kind_of(piece) == Kind::accept || kind_of(piece) == Kind::met);
    recover_into(roles, piece);
  }
}

void PaxosReplica::recover_into(Reborn& roles, ByteView record) {
  if (const auto accept = unpack_with_body<Accept>(record)) {
    const auto value = std::make_shared<const Bytes>(accept->second);
    if (roles.acceptor && durable()) {
      roles.acceptor->recover(accept->first, value);
    }
    if (roles.learner) {
      roles.learner->recover(accept->first, value);
    }
  } else if (const auto learned = unpack<Learned>(record)) {
    if (roles.learner) {
      roles.learner->recover(*learned);
    }
  } else if (const auto piece = unpack_with_body<ImagePiece>(record)) {
    if (roles.learner) {
      roles.learner->recover(piece->first, piece->second);
    }
  } else if (const auto promised = unpack<Promised>(record)) {
    if (roles.acceptor) {
      roles.acceptor->recover(*promised);
    }
  } else if (const auto founded = unpack<Founded>(record)) {
    if (roles.learner) {
      roles.learner->recover(*founded);
    }
  } else if (const auto met = unpack<Met>(record)) {
    if (desk_boot_ == 0) {  // of the replica, not of a role
      acquaintance_.recover(*met);
    }
  } else {
    const auto booted = unpack<Booted>(record);
    check(booted.has_value());  // whoever drives us has proved its bytes
    roles.boot = std::max(roles.boot, booted->boot);
  }
  if (roles.acceptor && roles.learner && durable()) {
    roles.acceptor->forget(Slot{roles.learner->kept_from().value - 1});
  }
}

void PaxosReplica::start(Instant now, Effects& out) {
  now_ = now;
  post_.begin(out);
  last_boot_ = reborn_.boot;
  const bool first = last_boot_ == 0;
  desk_boot_ = next_life();
  desk_.start(now, desk_boot_);
  const bool spoke = acquaintance_.born();
  acquaintance_.start(now, fresh_mark(), post_);
  if (first && !founders().empty()) {
    post_.record(pack(Founded{Configurations{members_}}));
  }
  begin_life_of_learner(now);
  hear_local(now);  // who decides, if it knows
  if (acquaintance_.born() && !in_office_) {
    be_born(now, spoke ? Spoke::in_earlier_lives : Spoke::never);
  }
  hear_local(now);
}

/// The time is in it because of replicas that are started with the same --seed again.
std::uint64_t PaxosReplica::fresh_mark() {
  const auto time = static_cast<std::uint64_t>(now_.time_since_epoch().count());
  return (random_.next() ^ time) << 1 | 1;
}

/// It may speak: it is who it was, or was never anybody.
void PaxosReplica::be_born(Instant now, Spoke spoke) {
  in_office_ = true;
  desk_.on_born();
  begin_life_of_proposer(now, desk_boot_);
  if (durable() || spoke == Spoke::never) {  // then it has nothing to remember
    put_in_office(reborn_.acceptor ? std::move(reborn_.acceptor) : new_acceptor());
  } else {
    begin_life_of_acceptor(desk_boot_);
  }
  witness_recovered();
}

/// The number of a life is durable before anything that carries it leaves.
std::uint64_t PaxosReplica::next_life() {
  ++last_boot_;
  post_.record(pack(Booted{last_boot_}));
  post_.send(self_, pack(Booted{last_boot_}), Leaves::after_records);
  return last_boot_;
}

void PaxosReplica::begin_life_of_proposer(Instant now, std::uint64_t life) {
  // Who was let in and lost what its learner knew: nothing of that need be durable.
  waiting_life_ = configurations_.known() ? 0 : life;
  if (waiting_life_ != 0) {
    return;
  }
  proposer_ = std::make_unique<Proposer>(self_, configurations_, options_, life, random_.next());
  if (desk_.booted() && life == desk_boot_) {
    proposer_->on_booted(life);
  }
  proposer_->start(now);
  proposer_->on_deciders({decided_at_, configurations_});
  post_.send(self_, pack(Ask{}), Leaves::at_once);
}

void PaxosReplica::put_in_office(std::unique_ptr<Acceptor> acceptor) {
  acceptor_ = std::move(acceptor);
  acceptor_->start(now_);
  acceptor_->be(acquaintance_.incarnation());
  acceptor_->on_applied(applied_);
}

/// Of an acceptor whose memory was all that it had.
void PaxosReplica::begin_life_of_acceptor(std::uint64_t life) {
  acceptor_.reset();
  recovery_.reset();
  if (options_.acceptor == AcceptorMemory::amnesia) {
    put_in_office(new_acceptor());
  } else {
    recovery_ = std::make_unique<AcceptorRecovery>(self_, members_, options_, life);
    post_.send(self_, pack(Ask{}), Leaves::at_once);
  }
}

void PaxosReplica::begin_life_of_learner(Instant now) {
  learner_ = std::move(reborn_.learner);
  learner_->answer_for(desk_boot_, desk_.first_open());
  learner_->start(now);
  learner_->report(post_);
}

void PaxosReplica::witness_recovered() {
  if (!options_.watch_durability || !acceptor_) {
    return;
  }
  Stored stored{acceptor_->promised(), acceptor_->accepted_after({}), acceptor_->incarnation()};
  for (Proposal& proposal : stored.accepted) {
    proposal.value = std::to_string(hash_of(proposal.value));
  }
  witnessed_.push_back(std::move(stored));
}

// --- roles ---------------------------------------------------------------------------------------

namespace {

bool is_or_all(std::string_view role, std::string_view name) {
  return role == name || role == "all";
}

}  // namespace

bool PaxosReplica::plays(std::string_view role) const {
  if (role == "leader") {
    return proposer_ && proposer_->leading();
  }
  return (role == "proposer" && proposer_) || (role == "acceptor" && (acceptor_ || recovery_)) ||
         (role == "learner" && learner_);
}

bool PaxosReplica::has_role(std::string_view role) const {
  return role == "proposer" || role == "acceptor" || role == "learner" || role == "all";
}

void PaxosReplica::kill_role(std::string_view role) {
  check(has_role(role));
  if (is_or_all(role, "proposer")) {
    proposer_.reset();
    waiting_life_ = 0;
  }
  // Without stable storage the learner stands for what the acceptor no longer tells: who loses
  // the one must not speak as the other.
  const bool both = !durable() && role == "learner";
  if (is_or_all(role, "acceptor") || both) {
    acceptor_.reset();
    recovery_.reset();
    reborn_.acceptor.reset();
  }
  if (is_or_all(role, "learner")) {
    learner_.reset();
    reborn_.learner.reset();
    applied_ = {};
  }
}

void PaxosReplica::restore_role(std::string_view role, ByteView snapshot_piece) {
  check(has_role(role));
  make_room_for(role);
  restore_into(reborn_, snapshot_piece);
}

void PaxosReplica::recover_role(std::string_view role, ByteView record) {
  check(has_role(role));
  make_room_for(role);
  recover_into(reborn_, record);
}

/// A learner's new life may know less than the last one did, and then the acceptor beside it must
/// stand for more again: it is made anew too.
void PaxosReplica::make_room_for(std::string_view role) {
  if (role != "proposer" && !reborn_.acceptor) {
    reborn_.acceptor = new_acceptor();
  }
  if (is_or_all(role, "learner") && !reborn_.learner) {
    reborn_.learner = new_learner();
  }
}

void PaxosReplica::start_role(std::string_view role, Instant now, Effects& out) {
  check(has_role(role));
  start_roles({.proposer = is_or_all(role, "proposer") && !proposer_,
               .acceptor = is_or_all(role, "acceptor") || (!durable() && role == "learner"),
               .learner = is_or_all(role, "learner") && !learner_},
              now, out);
}

void PaxosReplica::start_roles(const Births& births, Instant now, Effects& out) {
  now_ = now;
  post_.begin(out);
  make_room_for(births.learner ? "learner" : births.acceptor ? "acceptor" : "proposer");
  if (births.learner) {
    begin_life_of_learner(now);
  }
  if (!acquaintance_.born()) {
    return hear_local(now);  // neither of the others has a voice yet
  }
  if (!durable() && births.acceptor) {
    begin_life_of_acceptor(next_life());
  } else if (births.acceptor || (acceptor_ && learner_ && reborn_.acceptor &&
                                 acceptor_->floor() > learner_->applied())) {
    put_in_office(std::move(reborn_.acceptor));
    witness_recovered();
  }
  reborn_ = {};
  if (births.proposer) {
    begin_life_of_proposer(now, next_life());
  }
  hear_local(now);
}

PaxosReplica::Cast PaxosReplica::take_cast() {
  return {.proposer = std::move(proposer_),
          .acceptor = std::move(acceptor_),
          .recovery = std::move(recovery_),
          .learner = std::exchange(learner_, nullptr)};
}

void PaxosReplica::adopt(Cast cast) {
  proposer_ = std::move(cast.proposer);
  acceptor_ = std::move(cast.acceptor);
  recovery_ = std::move(cast.recovery);
  learner_ = std::move(cast.learner);
  reborn_ = {};
}

// --- snapshots -----------------------------------------------------------------------------------

/// All that the records given out so far say: the life's number, the promise, what is applied, and
/// what was accepted behind it.
bool PaxosReplica::begin_snapshot() {
  return begin_snapshot_of(this, *this);
}

bool PaxosReplica::begin_snapshot_of(const PaxosReplica* acceptors, PaxosReplica& learners) {
  const Acceptor* const acceptor = acceptors == nullptr ? nullptr : acceptors->acceptor();
  if ((speaks() && acceptor == nullptr) || !learners.learner_ || diverged_ ||
      !learners.learner_->begin_snapshot()) {
    return false;
  }
  imaged_ = learners.learner_;
  const Slot applied = imaged_->applied();
  const Ballot promised = speaks() ? acceptor->promised() : Ballot{};
  first_pieces_.clear();
  first_pieces_.push_back(pack(Head{.boot = last_boot_, .promised = promised, .applied = applied},
                               imaged_->head_body()));
  for (const Met& met : acquaintance_.all()) {
    first_pieces_.push_back(pack(met));
  }
  if (!speaks()) {
    return true;
  }
  check(acceptor->floor() <= applied);  // what it does not tell, the learner's image shows
  for (const Proposal& proposal : acceptor->accepted_after(applied)) {
    first_pieces_.push_back(
        pack(Accept{.ballot = proposal.ballot, .slot = proposal.slot, .chosen = applied},
             proposal.value));
  }
  return true;
}

Bytes PaxosReplica::next_snapshot_piece() {
  if (!first_pieces_.empty()) {
    Bytes piece = std::move(first_pieces_.front());
    first_pieces_.pop_front();
    return piece;
  }
  if (!imaged_) {
    return {};
  }
  const Bytes piece = imaged_->next_snapshot_piece();
  if (piece.empty()) {
    imaged_.reset();
    return {};
  }
  return pack(Machine{}, piece);
}

}  // namespace kv::paxos
