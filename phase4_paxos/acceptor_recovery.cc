#include "phase4_paxos/acceptor_recovery.h"

#include <algorithm>

#include "common/core/quorum.h"
#include "common/core/varint.h"
#include "common/wire/logfmt.h"

namespace kv::paxos {
namespace {

constexpr Duration say_every = std::chrono::seconds{5};

}  // namespace

AcceptorRecovery::AcceptorRecovery(NodeId self, const std::vector<NodeId>& members,
                                   const PaxosOptions& options, std::uint64_t life)
    : self_(self), members_(members), options_(options), life_(life), told_(members.size()) {
  if (options.acceptor == AcceptorMemory::diskless) {
    lives_.resize(members.size());
    lives_[place_of(self, members)] = life;
  }
}

void AcceptorRecovery::on_booted(Instant now, std::uint64_t boot) {
  if (!booted_ && boot == life_) {
    booted_ = true;
    ask_at_ = now;
    say_at_ = now + say_every;
  }
}

void AcceptorRecovery::tick(Instant now, Post& post) {
  if (!booted_ || now < ask_at_) {
    return;
  }
  ask_at_ = now + options_.resend_after;
  say_what_it_waits_for(now, post);
  for (std::size_t i = 0; i < members_.size(); ++i) {
    if (members_[i] != self_ && !told_[i].complete) {
      post.send(members_[i], pack(RecoverAsk{life_, told_[i].next}), Leaves::at_once);
    }
  }
}

void AcceptorRecovery::on_tell(NodeId from, const RecoverTell& tell, Post& post) {
  const std::size_t place = place_of(from, members_);
  if (tell.life != life_ || tell.lives.size() != lives_.size()) {
    return;
  }
  merge(tell.lives);
  if (!lives_.empty() && tell.lives[place] < lives_[place]) {
    return;  // it has died since
  }
  Told& told = told_[place];
  if (told.complete || tell.from != told.next) {
    return;
  }
  told.life = lives_.empty() ? 0 : tell.lives[place];
  promised_ = std::max(promised_, tell.promised);
  floor_ = std::max(floor_, tell.floor);
  for (const Proposal& proposal : tell.accepted) {
    Proposal& best = accepted_[proposal.slot];
    if (best.ballot < proposal.ballot) {
      best = proposal;
    }
  }
  told.complete = tell.next <= tell.from;
  if (!told.complete) {
    told.next = tell.next;
    post.send(from, pack(RecoverAsk{life_, told.next}), Leaves::at_once);
  }
}

/// What somebody told in a life that is over does not count. (That it was taken in does no harm:
/// to know more than one must is safe.)
void AcceptorRecovery::merge(const Lives& lives) {
  for (std::size_t i = 0; i < lives.size(); ++i) {
    if (lives[i] > lives_[i]) {
      lives_[i] = lives[i];
      if (told_[i].life < lives[i]) {
        told_[i] = {};
      }
    }
  }
}

std::size_t AcceptorRecovery::told_all() const {
  return static_cast<std::size_t>(std::ranges::count(told_, true, &Told::complete));
}

bool AcceptorRecovery::complete() const {
  return told_all() >= majority(members_.size());
}

void AcceptorRecovery::say_what_it_waits_for(Instant now, Post& post) {
  if (now < say_at_ || complete()) {
    return;
  }
  say_at_ = now + say_every;
  post.note(
      Level::warn,
      wire::LogFields{}
          .add("role", "acceptor")
          .add("event", "remembers_nothing")
          .add("told_by", told_all())
          .add("needs", majority(members_.size()))
          .add("why",
               "it has no stable storage, and asks the others what it promised. Where no "
               "majority is left that remembers, the cluster is lost: stop it, and begin anew "
               "on empty directories")
          .text());
}

std::unique_ptr<Acceptor> AcceptorRecovery::acceptor() const {
  auto acceptor = std::make_unique<Acceptor>(options_, lives_);
  acceptor->recover(promised_, floor_, accepted_);
  return acceptor;
}

void AcceptorRecovery::digest_to(Bytes& out) const {
  write_varint(out, life_);
  for (const Told& told : told_) {
    write_varint(out, told.complete ? 1 : 0);
    write_varint(out, told.next.value);
    write_varint(out, told.life);
  }
  wire::encode_to(promised_, out);
  for (const auto& [slot, proposal] : accepted_) {
    wire::encode_to(proposal, out);
  }
  for (const std::uint64_t life : lives_) {
    write_varint(out, life);
  }
}

}  // namespace kv::paxos
