// How a proposer wins a ballot, and how it loses one; what it does with it stands in proposer.cc.
#include <algorithm>
#include <bit>
#include <utility>

#include "common/core/check.h"
#include "phase4_paxos/proposer.h"

namespace kv::paxos {
namespace {

constexpr std::uint32_t back_off_doublings_max = 8;

}  // namespace

// --- phase 1 -------------------------------------------------------------------------------------

/// 2.2, phase 1 (a), and 3: one Prepare for this slot and all behind it.
void Proposer::prepare(Instant now, Post& post) {
  stage_ = Stage::preparing;
  round_seen_ = std::max({round_seen_, leader_.round, ballot_.round}) + 1;
  ballot_ = {.round = round_seen_, .node = self_.value, .boot = boot_};
  from_ = applied_ + 1;
  quorums_ = Quorums{configurations_, from_};
  number_ = configurations_.latest().number;
  window_end_ = applied_ + options_.window_slots;
  promised_ = 0;
  ask_from_.assign(quorums_.seats().size(), from_);
  confirmed_at_.assign(quorums_.seats().size(), Instant{});
  applied_by_.assign(quorums_.seats().size(), Slot{});
  granted_until_.assign(quorums_.seats().size(), Instant{});
  rounds_.clear();
  own_asked_ = false;
  own_seat_ = 0;
  floor_ = {};
  adopted_.clear();
  open_.clear();
  open_bytes_ = 0;
  take_stock();
  adopted_end_ = {};
  changes_from_.reset();
  if (reads_) {
    asks_.insert(asks_.end(), reads_->asks.begin(), reads_->asks.end());
    reads_.reset();
  }
  want_news_ = 0;
  challenge_round_ = 0;
  prepare_until_ = now + options_.election_min;
  note_role(Level::info, "prepare", "", post);
  ask_for_promises(post);
  ask_for_news(post);
  resend_at_ = now + options_.resend_after;
}

/// Whoever leads may be one that this replica has not learned of: the others' learners know.
void Proposer::ask_for_news(Post& post) const {
  for (const NodeId node : quorums_.nodes()) {
    if (node != self_) {
      post.send(node, pack(Learn{applied_ + 1}), Leaves::at_once);
    }
  }
}

/// The acceptor beside this proposer comes last: a proposer that only believes that nobody leads
/// is refused by the others, and must not have made its own acceptor deaf to the real leader.
void Proposer::ask_for_promises(Post& post) {
  own_asked_ = own_asked_ || needs_own_promise();
  for (std::size_t i = 0; i < ask_from_.size(); ++i) {
    const NodeId node = quorums_.seats()[i].node;
    const bool told = (promised_ >> i & 1) != 0;
    if (!told && (node != self_ || own_asked_)) {
      post.send(node, pack(Prepare{ballot_, ask_from_[i]}), Leaves::at_once);
    }
  }
}

bool Proposer::needs_own_promise() const {
  return quorums_.decide_from(from_, promised_ | own());
}

bool Proposer::may_run() const {
  return booted_ && configurations_.has(self_, applied_ + 1);
}

/// Others decide than those who were asked: what was promised so far is not enough.
void Proposer::prepare_again(Instant now, Post& post) {
  if (may_run()) {
    prepare(now, post);
  } else {
    follow(now, "it is no member any more", post);
  }
}

void Proposer::on_promise(Instant now, NodeId from, const Promise& promise, Post& post) {
  now_ = now;
  if (stage_ != Stage::preparing || promise.ballot != ballot_) {
    return;
  }
  const Seats who = quorums_.of(from, promise.incarnation);
  const auto i = static_cast<std::size_t>(std::countr_zero(who));
  if (who == 0 || !counts(i, promise.lives) || (promised_ & who) != 0 ||
      promise.from != ask_from_[i]) {
    return;  // a stranger, of a disk that is gone or of an earlier life, or said before
  }
  adopt(promise);
  confirmed_at_[i] = now;
  if (promise.floor > applied_) {
    post.send(self_, pack(Reach{promise.floor}), Leaves::at_once);  // it may tell who decides now
  }
  if (promise.next > promise.from) {
    ask_from_[i] = promise.next;
    return post.send(from, pack(Prepare{ballot_, promise.next}), Leaves::at_once);
  }
  promised_ |= who;
  if (quorums_.decide_from(from_, promised_)) {
    return lead(now, post);
  }
  if (!own_asked_ && needs_own_promise()) {
    own_asked_ = true;
    post.send(self_, pack(Prepare{ballot_, from_}), Leaves::at_once);
  }
}

/// Whether what that seat's acceptor says counts. Replies count together only if they are
/// crash-consistent: if none tells of a newer life of another who replied (Michael et al.,
/// Recovering Shared Objects Without Stable Storage, DISC 2017). What an acceptor said in a life
/// that is over is forgotten.
bool Proposer::counts(std::size_t seat, const Lives& lives) {
  if (lives.empty()) {
    return true;
  }
  if (lives.size() != ask_from_.size()) {
    return false;
  }
  lives_.resize(lives.size());
  for (std::size_t i = 0; i < lives.size(); ++i) {
    if (lives[i] > lives_[i]) {
      lives_[i] = lives[i];
      discount(i);
    }
  }
  return lives[seat] == lives_[seat];
}

void Proposer::discount(std::size_t seat) {
  const Seats who = Seats{1} << seat;
  for (Open& open : open_) {
    open.accepted &= ~who;
  }
  if (stage_ == Stage::preparing) {
    promised_ &= ~who;
    ask_from_[seat] = from_;
  }
}

/// P2c: of what a majority has accepted in a slot, the value of the highest-numbered proposal is
/// the one to propose.
void Proposer::adopt(const Promise& promise) {
  floor_ = std::max(floor_, promise.floor);
  for (const Proposal& proposal : promise.accepted) {
    Proposal& best = adopted_[proposal.slot];
    if (best.ballot < proposal.ballot) {
      best = proposal;
    }
  }
}

void Proposer::lead(Instant now, Post& post) {
  check(quorums_.decide_from(from_, promised_));
  stage_ = Stage::leading;
  leader_ = ballot_;
  chosen_ = std::max(from_, floor_ + 1);
  chosen_.value -= 1;
  open_.clear();
  open_bytes_ = 0;
  adopted_.erase(adopted_.begin(), adopted_.upper_bound(chosen_));
  adopted_end_ = adopted_.empty() ? chosen_ : adopted_.rbegin()->first;
  note_role(Level::info, "leader", "", post);
  propose_adopted(now, post);
  learner_at_ = now;
  beat_at_ = now + options_.beat_every;
  beat(now, post);
}

void Proposer::follow(Instant now, const char* why, Post& post) {
  if (stage_ != Stage::following) {
    note_role(Level::info, "follow", why, post);
  }
  stage_ = Stage::following;
  if (duels()) {
    lose(now);
  } else {
    queue_.clear();
    queue_bytes_ = queue_commands_ = 0;
    asks_.clear();
  }
  change_.reset();
  open_.clear();
  open_bytes_ = 0;
  take_stock();
  reads_.reset();
  adopted_.clear();
  want_news_ = 0;
  challenge_round_ = 0;
  heard_at_ = now;
  patience_ = draw_patience();
}

/// What this proposer wanted it wants still, a while later: the longer, the more often it lost, so
/// that one of several gets through both phases.
void Proposer::lose(Instant now) {
  for (const Open& open : open_) {
    queue_again(open);
  }
  if (reads_) {
    asks_.insert(asks_.end(), reads_->asks.begin(), reads_->asks.end());
  }
  const Duration most = options_.back_off * (1U << std::min(losses_, back_off_doublings_max));
  retry_at_ = now + random_.between(most / 2, most);
  ++losses_;
}

/// Of the parcels that wait each stays once: what was queued again after a lost ballot may have
/// been handed in again meanwhile, and in a long duel values would grow by their copies.
void Proposer::take_stock() {
  taken_ = {};
  std::erase_if(queue_, [this](const Queued& queued) {
    ByteView parcel = queued.parcel;
    const bool again = !taken_.take(*read_parcel_id(parcel));
    queue_bytes_ -= again ? queued.parcel.size() : 0;
    return again;
  });
}

void Proposer::on_leader(Instant now, const Ballot& ballot, Slot chosen, Post& post) {
  now_ = now;
  chosen_heard_ = std::max(chosen_heard_, chosen);
  if (ballot < leader_ || ballot < ballot_ || ballot.node == self_.value) {
    return;  // its time is over, or it is this proposer itself
  }
  if (stage_ != Stage::following) {
    follow(now, "another leads", post);
  }
  leader_ = ballot;
  heard_at_ = now;
}

void Proposer::on_refused(Instant now, const Refused& refused, Post& post) {
  now_ = now;
  round_seen_ = std::max(round_seen_, refused.promised.round);
  if (refused.ballot != ballot_ || refused.promised <= ballot_) {
    return;  // of an earlier ballot; or that acceptor hears a leader
  }
  if (stage_ == Stage::preparing || (stage_ == Stage::leading && duels())) {
    follow(now, "refused", post);
  } else if (stage_ == Stage::leading && challenge_round_ == 0) {
    // Somebody has promised more to somebody. Does a majority still follow? If so it is won anew
    // under a greater ballot, so that the one is not lost; if not, this leadership is over.
    challenge_confirmed_ = 0;
    challenge_round_ = beat_round_ + 1;
    beat(now, post);
  }
}

}  // namespace kv::paxos
