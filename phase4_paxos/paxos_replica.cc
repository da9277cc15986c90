#include "phase4_paxos/paxos_replica.h"

#include <algorithm>
#include <utility>

#include "common/core/check.h"
#include "phase4_paxos/messages.h"

namespace kv::paxos {
namespace {

std::vector<NodeId> sorted(std::vector<NodeId> members) {
  std::ranges::sort(members);
  return members;
}

}  // namespace

PaxosReplica::PaxosReplica(NodeId self, std::vector<NodeId> members, PaxosOptions options)
    : self_(self),
      members_(sorted(std::move(members))),
      options_(options),
      random_(options.seed),
      post_(self, options.note_level),
      acquaintance_(self, founders(), options_),
      desk_(self, options_),
      member_desk_(options_) {
  check(members_.size() <= voters_max);
  configurations_ = founders().empty() ? Configurations{} : Configurations{members_};
  know_peers();
  reborn_ = {.acceptor = new_acceptor(), .learner = new_learner(), .boot = 0};
}

// --- hearing -------------------------------------------------------------------------------------

void PaxosReplica::receive(Instant now, NodeId from, ByteView message, Effects& out) {
  if (diverged_) {
    return;
  }
  now_ = now;
  post_.begin(out);
  hear(now, from, message);
  hear_local(now);
}

/// What the roles of this replica have said to each other meanwhile.
void PaxosReplica::hear_local(Instant now) {
  while (auto message = post_.next_local()) {
    hear(now, self_, *message);
    if (elsewhere_) {
      elsewhere_(std::move(*message));
    }
  }
}

void PaxosReplica::hear(Instant now, NodeId from, ByteView message) {
  const auto kind = kind_of(message);
  if (!kind) {
    return;
  }
  switch (*kind) {
    case Kind::accept:
      return hear_accept(now, message);
    case Kind::beat:
      return hear_beat(now, message);
    case Kind::prepare:
      return hear_prepare(now, from, message);
    case Kind::promise:
    case Kind::accepted:
    case Kind::refused:
    case Kind::confirmed:
    case Kind::forward:
    case Kind::read_ask:
      return proposer_ ? hear_as_proposer(now, from, *kind, message) : void();
    case Kind::learn:
    case Kind::learned:
    case Kind::image_ask:
    case Kind::image_piece:
      return learner_ ? hear_as_learner(now, from, *kind, message) : void();
    case Kind::read_at:
      if (const auto read_at = unpack<ReadAt>(message)) {
        desk_.on_read_at(now, *read_at, post_);
      }
      return;
    case Kind::greet:
    case Kind::greeted:
      return hear_greeting(now, from, message);
    case Kind::recover_ask:
    case Kind::recover_tell:
      hear_of_recovery(from, message);
      return finish_recovery();
    case Kind::booted:
    case Kind::stored:
      return from == self_ ? hear_from_disk(now, *kind, message) : void();
    case Kind::ask:
    case Kind::progress:
    case Kind::reach:
    case Kind::replied:
    case Kind::leapt:
    case Kind::read_now:
    case Kind::read_done:
    case Kind::deciders:
    case Kind::answer_for:
    case Kind::become:
    case Kind::change_ask:
    case Kind::change_told:
      return from == self_ ? hear_notice(now, *kind, message) : void();
    case Kind::met:
    case Kind::promised:
    case Kind::head:
    case Kind::machine:
    case Kind::founded:
      return;  // records: nobody says them
  }
}

void PaxosReplica::hear_prepare(Instant now, NodeId from, ByteView message) {
  if (const auto prepare = unpack<Prepare>(message); prepare && acceptor_) {
    acceptor_->on_prepare(now, from, *prepare, post_);
  }
}

void PaxosReplica::hear_accept(Instant now, ByteView message) {
  const auto accept = unpack_with_body<Accept>(message);
  if (!accept || accept->first.slot.value == 0) {
    return;
  }
  const auto value = std::make_shared<const Bytes>(accept->second);
  if (acceptor_) {
    acceptor_->on_accept(now, accept->first, value, message, post_);
  }
  if (proposer_) {
    proposer_->on_leader(now, accept->first.ballot, accept->first.chosen, post_);
  }
  desk_.on_leader(now, accept->first.ballot);
  if (learner_) {
    learner_->on_accept(now, accept->first, value, post_);
    learner_->report(post_);
  }
}

void PaxosReplica::hear_beat(Instant now, ByteView message) {
  const auto beat = unpack<Beat>(message);
  if (!beat) {
    return;
  }
  if (acceptor_) {
    acceptor_->on_beat(now, *beat, post_);
  }
  if (proposer_) {
    proposer_->on_leader(now, beat->ballot, beat->chosen, post_);
  }
  desk_.on_leader(now, beat->ballot);
  if (learner_) {
    learner_->on_beat(now, *beat, post_);
    learner_->report(post_);
  }
}

void PaxosReplica::hear_as_proposer(Instant now, NodeId from, Kind kind, ByteView message) {
  if (kind == Kind::forward) {
    if (const auto forward = unpack_with_body<Forward>(message)) {
      proposer_->on_forward(from, forward->second);
    }
  } else if (kind == Kind::promise) {
    if (const auto promise = unpack<Promise>(message)) {
      proposer_->on_promise(now, from, *promise, post_);
    }
  } else if (kind == Kind::accepted) {
    if (const auto accepted = unpack<Accepted>(message)) {
      proposer_->on_accepted(now, from, *accepted, post_);
    }
  } else if (kind == Kind::confirmed) {
    if (const auto confirmed = unpack<Confirmed>(message)) {
      proposer_->on_confirmed(now, from, *confirmed, post_);
    }
  } else if (kind == Kind::refused) {
    if (const auto refused = unpack<Refused>(message)) {
      proposer_->on_refused(now, *refused, post_);
    }
  } else if (const auto ask = unpack<ReadAsk>(message)) {
    proposer_->on_read_ask(from, *ask);
  }
}

void PaxosReplica::hear_as_learner(Instant now, NodeId from, Kind kind, ByteView message) {
  if (kind == Kind::learn) {
    if (const auto learn = unpack<Learn>(message)) {
      learner_->on_learn(from, *learn, post_);
    }
  } else if (kind == Kind::learned) {
    if (const auto learned = unpack<Learned>(message)) {
      learner_->on_learned(now, from, *learned, message, post_);
    }
  } else if (kind == Kind::image_ask) {
    if (const auto ask = unpack<ImageAsk>(message)) {
      learner_->on_image_ask(now, from, *ask, post_);
    }
  } else if (const auto piece = unpack_with_body<ImagePiece>(message)) {
    learner_->on_image_piece(now, piece->first, piece->second, message, post_);
  }
  learner_->report(post_);
}

void PaxosReplica::hear_greeting(Instant now, NodeId from, ByteView message) {
  if (const auto greet = unpack<Greet>(message)) {
    return acquaintance_.on_greet(now, from, *greet, applied_, post_);
  }
  const bool born = acquaintance_.born();
  if (const auto greeted = unpack<Greeted>(message)) {
    acquaintance_.on_greeted(from, *greeted, post_);
    abandon_if_outside();
  }
  if (acquaintance_.born() && !born) {
    be_born(now, Spoke::never);
  }
}

void PaxosReplica::hear_of_recovery(NodeId from, ByteView message) {
  if (const auto ask = unpack<RecoverAsk>(message); ask && acceptor_) {
    acceptor_->on_recover_ask(from, place_of(from, members_), *ask, post_);
  } else if (const auto tell = unpack<RecoverTell>(message); tell && recovery_) {
    recovery_->on_tell(from, *tell, post_);
  }
}

/// An acceptor that lost its memory speaks again when it knows what a majority knows, and the
/// learner beside it stands for what nobody tells any more.
void PaxosReplica::finish_recovery() {
  if (!recovery_ || !recovery_->complete()) {
    return;
  }
  if (recovery_->floor() > applied_) {
    return post_.send(self_, pack(Reach{recovery_->floor()}), Leaves::at_once);
  }
  put_in_office(recovery_->acceptor());
  recovery_.reset();
}

/// What this replica sent to itself to learn what is durable.
void PaxosReplica::hear_from_disk(Instant now, Kind kind, ByteView message) {
  if (kind == Kind::booted) {
    if (const auto booted = unpack<Booted>(message)) {
      desk_.on_booted(booted->boot);
      if (proposer_) {
        proposer_->on_booted(booted->boot);
      }
      if (recovery_) {
        recovery_->on_booted(now, booted->boot);
      }
    }
  } else if (auto stored = unpack<Stored>(message)) {
    witnessed_.push_back(std::move(*stored));
  }
}

/// What a part of this replica tells another.
void PaxosReplica::hear_notice(Instant now, Kind kind, ByteView message) {
  switch (kind) {
    case Kind::progress:
      return hear_progress(now, message);
    case Kind::deciders:
      return hear_deciders(now, message);
    case Kind::become:
    case Kind::change_ask:
    case Kind::change_told:
      return hear_of_members(now, kind, message);
    case Kind::replied:
    case Kind::leapt:
    case Kind::read_done:
      return hear_as_desk(kind, message);
    default:
      return learner_ ? hear_notice_as_learner(now, kind, message) : void();
  }
}

void PaxosReplica::hear_notice_as_learner(Instant now, Kind kind, ByteView message) {
  if (kind == Kind::ask) {
    learner_->on_ask();
  } else if (const auto reach = unpack<Reach>(message)) {
    learner_->reach(now, reach->slot);
  } else if (const auto whom = unpack<AnswerFor>(message)) {
    learner_->answer_for(whom->boot, whom->first);
  } else if (const auto reads = unpack<ReadNow>(message)) {
    learner_->on_read_now(*reads, post_);
  }
  learner_->report(post_);
}

void PaxosReplica::hear_as_desk(Kind kind, ByteView message) {
  if (kind == Kind::replied) {
    if (const auto replied = unpack<Replied>(message)) {
      desk_.on_replied(*replied, post_);
    }
  } else if (kind == Kind::read_done) {
    if (const auto done = unpack<ReadDone>(message)) {
      desk_.on_read_done(*done, post_);
    }
  } else if (const auto leapt = unpack_with_body<Leapt>(message)) {
    desk_.on_leapt(leapt->second, post_);
  }
  leave_if_older_copy();
}

/// The learner got on: clients may be waiting for it, and the others must know.
void PaxosReplica::hear_progress(Instant now, ByteView message) {
  const auto progress = unpack<Progress>(message);
  if (!progress) {
    return;
  }
  diverged_ = diverged_ || progress->diverged;
  if (diverged_) {
    return;
  }
  applied_ = progress->applied;
  desk_.on_progress(applied_, post_);
  finish_recovery();
  if (proposer_) {
    proposer_->on_progress(now, *progress);
  }
  if (acceptor_) {
    acceptor_->on_applied(applied_);
    acceptor_->forget(Slot{progress->kept_from.value - 1});
  }
}

// --- requests and time ---------------------------------------------------------------------------

void PaxosReplica::request(Instant now, RequestId id, const Command& command, Effects& out) {
  post_.begin(out);
  if (diverged_ || acquaintance_.outside()) {
    return post_.answer(id, {.status = Status::unavailable,
                             .value = {},
                             .why = "this replica must not serve: its log says why"});
  }
  desk_.request(now, id, command, post_);
}

/// What came in since the last tick leaves as few messages as can be.
void PaxosReplica::tick(Instant now, Effects& out) {
  if (diverged_) {
    return;
  }
  now_ = now;
  post_.begin(out);
  acquaintance_.tick(now, applied_, post_);
  desk_.tick(now, post_);
  hear_local(now);
  if (proposer_) {
    proposer_->tick(now, post_);
    hear_local(now);
  }
  serve_operator(now);
  if (learner_) {
    learner_->tick(now, post_);
  }
  if (acceptor_) {
    acceptor_->flush(post_);
  }
  if (recovery_) {
    recovery_->tick(now, post_);
  }
  hear_local(now);
}

Instant PaxosReplica::wake_at() const {
  if (diverged_) {
    return never;
  }
  if (acceptor_ && acceptor_->has_news()) {
    return now_;
  }
  Instant at = std::min({desk_.wake_at(), acquaintance_.wake_at(), member_desk_.wake_at()});
  at = recovery_ ? std::min(at, recovery_->wake_at()) : at;
  at = proposer_ ? std::min(at, proposer_->wake_at()) : at;
  return learner_ ? std::min(at, learner_->wake_at()) : at;
}

void PaxosReplica::check_invariants() const {
  if (proposer_) {
    proposer_->check_invariants();
  }
  if (acceptor_) {
    acceptor_->check_invariants();
  }
  if (learner_) {
    learner_->check_invariants();
  }
}

}  // namespace kv::paxos
