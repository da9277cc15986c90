#include "phase4_paxos/proposer.h"

#include <algorithm>
#include <bit>

#include "common/core/check.h"
#include "common/core/hash.h"
#include "common/core/quorum.h"
#include "common/core/varint.h"
#include "common/wire/logfmt.h"
#include "phase4_paxos/acceptor.h"

namespace kv::paxos {
namespace {

constexpr std::size_t read_asks_max = 4096;
constexpr std::uint64_t lagging_slots = 1024;
constexpr std::uint32_t back_off_doublings_max = 8;

}  // namespace

Proposer::Proposer(NodeId self, std::vector<NodeId> members, const PaxosOptions& options,
                   std::uint64_t boot, std::uint64_t seed)
    : self_(self),
      members_(std::move(members)),
      options_(options),
      boot_(boot),
      random_(seed),
      ask_from_(members_.size()),
      gathering_(options.gather),
      confirmed_at_(members_.size()) {
  check(std::ranges::is_sorted(members_) && members_.size() <= members_max);
  check(bit(self) != 0);
}

void Proposer::start(Instant now) {
  now_ = heard_at_ = learner_at_ = now;
  patience_ = draw_patience();
}

void Proposer::on_booted(std::uint64_t boot) {
  booted_ = booted_ || boot == boot_;
}

// --- phase 1 -------------------------------------------------------------------------------------

/// 2.2, phase 1 (a), and 3: one Prepare for this slot and all behind it.
void Proposer::prepare(Instant now, Post& post) {
  stage_ = Stage::preparing;
  round_seen_ = std::max({round_seen_, leader_.round, ballot_.round}) + 1;
  ballot_ = {.round = round_seen_, .node = self_.value, .boot = boot_};
  from_ = applied_ + 1;
  promised_ = 0;
  std::ranges::fill(ask_from_, from_);
  own_asked_ = false;
  floor_ = {};
  adopted_.clear();
  open_.clear();
  take_stock();
  reads_.reset();
  want_news_ = 0;
  challenge_round_ = 0;
  prepare_until_ = now + options_.election_min;
  note_role(Level::info, "prepare", "", post);
  ask_for_promises(post);
  resend_at_ = now + options_.resend_after;
}

/// The acceptor beside this proposer comes last: a proposer that only believes that nobody leads
/// is refused by the others, and must not have made its own acceptor deaf to the real leader.
void Proposer::ask_for_promises(Post& post) {
  const auto others = static_cast<std::size_t>(std::popcount(promised_ & ~bit(self_)));
  own_asked_ = own_asked_ || others + 1 >= majority(members_.size());
  for (std::size_t i = 0; i < members_.size(); ++i) {
    const bool told = (promised_ >> i & 1) != 0;
    if (!told && (members_[i] != self_ || own_asked_)) {
      post.send(members_[i], pack(Prepare{ballot_, ask_from_[i]}), Leaves::at_once);
    }
  }
}

void Proposer::on_promise(Instant now, NodeId from, const Promise& promise, Post& post) {
  now_ = now;
  if (stage_ != Stage::preparing || promise.ballot != ballot_) {
    return;
  }
  const auto i = static_cast<std::size_t>(std::countr_zero(bit(from)));
  if (i >= members_.size() || !counts(from, promise.lives) || (promised_ >> i & 1) != 0 ||
      promise.from != ask_from_[i]) {
    return;  // a stranger, of an earlier life, or said before
  }
  adopt(promise);
  confirmed_at_[i] = now;
  if (promise.next > promise.from) {
    ask_from_[i] = promise.next;
    return post.send(from, pack(Prepare{ballot_, promise.next}), Leaves::at_once);
  }
  promised_ |= bit(from);
  if (is_majority(promised_)) {
    return lead(now, post);
  }
  const auto others = static_cast<std::size_t>(std::popcount(promised_ & ~bit(self_)));
  if (!own_asked_ && others + 1 >= majority(members_.size())) {
    own_asked_ = true;
    post.send(
        self_,
        pack(Prepare{ballot_, ask_from_[static_cast<std::size_t>(std::countr_zero(bit(self_)))]}),
        Leaves::at_once);
  }
}

/// Whether what `from` says counts. Replies count together only if they are crash-consistent: if
/// none tells of a newer life of another who replied (Michael et al., Recovering Shared Objects
/// Without Stable Storage, DISC 2017). What an acceptor said in a life that is over is forgotten.
bool Proposer::counts(NodeId from, const Lives& lives) {
  if (lives.empty()) {
    return true;
  }
  if (lives.size() != members_.size()) {
    return false;
  }
  lives_.resize(members_.size());
  for (std::size_t i = 0; i < lives.size(); ++i) {
    if (lives[i] > lives_[i]) {
      lives_[i] = lives[i];
      discount(i);
    }
  }
  const std::size_t place = place_of(from, members_);
  return lives[place] == lives_[place];
}

void Proposer::discount(std::size_t place) {
  const Members who = Members{1} << place;
  for (Open& open : open_) {
    open.accepted &= ~who;
  }
  if (stage_ == Stage::preparing) {
    promised_ &= ~who;
    ask_from_[place] = from_;
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
  check(is_majority(promised_));
  stage_ = Stage::leading;
  leader_ = ballot_;
  chosen_ = std::max(from_, floor_ + 1);
  chosen_.value -= 1;
  open_.clear();
  const Slot last = adopted_.empty() ? chosen_ : std::max(chosen_, adopted_.rbegin()->first);
  const Members everyone = (bit(members_.back()) << 1) - 1;
  for (Slot slot = chosen_ + 1; slot <= last; slot = slot + 1) {
    // 3: a gap, where nobody can have had anything chosen, becomes a no-op.
    const auto adopted = adopted_.find(slot);
    propose(now, adopted == adopted_.end() ? ByteView{} : ByteView{adopted->second.value},
            {.wanted = everyone}, post);
  }
  adopted_end_ = last;
  adopted_.clear();
  learner_at_ = now;
  note_role(Level::info, "leader", "", post);
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
  open_.clear();
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
  if (stage_ == Stage::preparing) {
    follow(now, "refused", post);
  } else if (stage_ == Stage::leading && duels()) {
    follow(now, "refused", post);
  } else if (stage_ == Stage::leading && challenge_round_ == 0) {
    // Somebody has promised more to somebody. Does a majority still follow? If so it is won anew
    // under a greater ballot, so that the one is not lost; if not, this leadership is over.
    challenge_confirmed_ = 0;
    challenge_round_ = beat_round_ + 1;
    beat(now, post);
  }
}

// --- phase 2 -------------------------------------------------------------------------------------

void Proposer::propose_queued(Instant now, Post& post) {
  while (now >= propose_at()) {
    Open open;
    const Bytes value = take_value(now, open);
    propose(now, value, std::move(open), post);
    gathering_.left(now);
  }
}

/// 2.2, phase 2 (a).
void Proposer::propose(Instant now, ByteView value, Open open, Post& post) {
  const Slot slot = chosen_ + 1 + open_.size();
  Bytes message = pack(Accept{.ballot = ballot_, .slot = slot, .chosen = chosen_}, value);
  want_news_ = 0;  // it tells them
  open.message = message;
  open.sent_at = now;
  open_.push_back(std::move(open));
  if (post.notes(Level::debug)) {
    post.note(Level::debug, wire::LogFields{}
                                .add("role", "proposer")
                                .add("event", "propose")
                                .add("slot", slot.value)
                                .add("ballot", to_text(ballot_))
                                .add("bytes", value.size())
                                .text());
  }
  send_all(std::move(message), post);
}

void Proposer::on_accepted(Instant now, NodeId from, const Accepted& accepted, Post& post) {
  now_ = now;
  const Members who = bit(from);
  if (stage_ != Stage::leading || accepted.ballot != ballot_ || who == 0 ||
      !counts(from, accepted.lives)) {
    return;
  }
  confirmed_at_[static_cast<std::size_t>(std::countr_zero(who))] = now;
  for (const SlotRange& range : accepted.slots) {
    const Slot end = std::min(range.last, chosen_ + open_.size());
    for (Slot slot = std::max(range.first, chosen_ + 1); slot <= end; slot = slot + 1) {
      open_[slot - (chosen_ + 1)].accepted |= who;
    }
  }
  advance(now, post);
}

/// A value that a majority has accepted is chosen (2.2); slots are handed on in their order.
void Proposer::advance(Instant now, Post& post) {
  const Slot before = chosen_;
  std::uint64_t commands = 0;
  while (!open_.empty() && is_majority(open_.front().accepted)) {
    want_news_ |= open_.front().wanted;
    commands += open_.front().commands;
    open_.pop_front();
    chosen_ = chosen_ + 1;
  }
  if (chosen_ > before) {
    if (open_.empty()) {
      gathering_.done(now, commands, queue_commands_);
    }
    losses_ = 0;
    want_news_ &= ~bit(self_);
    if (post.notes(Level::debug)) {
      post.note(Level::debug, wire::LogFields{}
                                  .add("role", "proposer")
                                  .add("event", "chosen")
                                  .add("slot", chosen_.value)
                                  .add("ballot", to_text(ballot_))
                                  .text());
    }
    post.send(self_, pack(news()), Leaves::at_once);
  }
}

Beat Proposer::news() const {
  return {.ballot = ballot_, .chosen = chosen_, .round = 0, .at = applied_, .checksum = checksum_};
}

/// Whoever has clients that wait for what was chosen hears of it at once, the others with the next
/// message.
void Proposer::tell_news(Post& post) {
  for (std::size_t i = 0; i < members_.size(); ++i) {
    if ((want_news_ >> i & 1) != 0) {
      post.send(members_[i], pack(news()), Leaves::at_once);
    }
  }
  want_news_ = 0;
}

void Proposer::resend(Instant now, Post& post) {
  for (Open& open : open_) {
    if (now - open.sent_at < options_.resend_after) {
      continue;
    }
    open.sent_at = now;
    for (std::size_t i = 0; i < members_.size(); ++i) {
      if ((open.accepted >> i & 1) == 0) {
        post.send(members_[i], open.message, Leaves::at_once);
      }
    }
  }
}

// --- leading -------------------------------------------------------------------------------------

void Proposer::beat(Instant now, Post& post) {
  Beat message = news();
  message.round = ++beat_round_;
  want_news_ = 0;
  beat_at_ = now + options_.beat_every;
  send_all(pack(message), post);
}

void Proposer::on_read_ask(NodeId from, const ReadAsk& ask) {
  if ((stage_ == Stage::leading || duels()) && asks_.size() < read_asks_max) {
    asks_.push_back({from, ask});
  }
}

/// All reads that have come share one round. What an earlier leader may have answered lies within
/// what this one adopted, what this one did lies within what it knows to be chosen.
void Proposer::begin_reads(Instant now, Post& post) {
  if (asks_.empty() || reads_) {
    return;
  }
  reads_ = Reads{.round = beat_round_ + 1, .slot = std::max(chosen_, adopted_end_)};
  reads_->asks.swap(asks_);
  beat(now, post);
}

void Proposer::on_confirmed(Instant now, NodeId from, const Confirmed& confirmed, Post& post) {
  now_ = now;
  const Members who = bit(from);
  if (stage_ != Stage::leading || confirmed.ballot != ballot_ || who == 0) {
    return;
  }
  confirmed_at_[static_cast<std::size_t>(std::countr_zero(who))] = now;
  own_round_ = from == self_ ? std::max(own_round_, confirmed.round) : own_round_;
  if (reads_ && confirmed.round >= reads_->round) {
    reads_->confirmed |= who;
    answer_reads(post);
  }
  if (challenge_round_ != 0 && confirmed.round >= challenge_round_) {
    challenge_confirmed_ |= who;
    if (is_majority(challenge_confirmed_)) {
      prepare(now, post);
    }
  }
}

void Proposer::answer_reads(Post& post) {
  if (!is_majority(reads_->confirmed)) {
    return;
  }
  for (const Asked& asked : reads_->asks) {
    post.send(asked.from, pack(ReadAt{asked.ask.boot, asked.ask.number, reads_->slot}),
              Leaves::at_once);
  }
  reads_.reset();
}

/// Gives up what has become pointless: leading without a majority, or without a log to lead.
void Proposer::keep_leading(Instant now, Post& post) {
  // The acceptor beside it answers at once, however long all of this replica stood still; if it did
  // not, it has died, or has promised more to another.
  std::vector<Instant> confirmed = confirmed_at_;
  if (own_round_ + 1 >= beat_round_) {
    confirmed[static_cast<std::size_t>(std::countr_zero(bit(self_)))] = now;
  }
  std::ranges::sort(confirmed, std::greater{});
  if (now - confirmed[majority(members_.size()) - 1] > options_.election_max) {
    return follow(now, "no majority answers", post);
  }
  if (applied_ >= chosen_) {
    learner_at_ = now;
  } else if (now - learner_at_ > 4 * options_.election_max) {
    // Something is chosen that no learner knows any more. Phase 1 finds it out again.
    prepare(now, post);
  }
}

void Proposer::on_progress(Instant now, const Progress& progress) {
  if (progress.applied > applied_ || progress.taking_image) {
    learner_at_ = now;
  }
  applied_ = progress.applied;
  log_time_ = std::max(log_time_, LogTime{Duration{static_cast<Duration::rep>(progress.time)}});
  checksum_ = progress.checksum;
}

// --- time ----------------------------------------------------------------------------------------

void Proposer::tick(Instant now, Post& post) {
  now_ = now;
  switch (stage_) {
    case Stage::following:
      if (booted_ && now >= wake_at()) {
        prepare(now, post);
      }
      return;
    case Stage::preparing:
      if (now >= prepare_until_) {
        follow(now, "no majority promises", post);
      } else if (now >= resend_at_) {
        resend_at_ = now + options_.resend_after;
        ask_for_promises(post);
      }
      return;
    case Stage::leading:
      begin_reads(now, post);
      propose_queued(now, post);
      if (now >= beat_at_) {
        resend(now, post);
        beat(now, post);
        keep_leading(now, post);
      }
      return tell_news(post);
  }
}

Instant Proposer::wake_at() const {
  switch (stage_) {
    case Stage::following:
      if (duels()) {
        return booted_ && wants_ballot() ? retry_at_ : never;
      }
      return booted_ ? heard_at_ + patience_ : never;
    case Stage::preparing:
      return std::min(prepare_until_, resend_at_);
    case Stage::leading:
      return want_news_ != 0 || (!asks_.empty() && !reads_) ? now_
                                                            : std::min(propose_at(), beat_at_);
  }
  return never;
}

Duration Proposer::draw_patience() {
  const Duration patience = random_.between(options_.election_min, options_.election_max);
  // One that has much to learn yet lets the others go first.
  return chosen_heard_ > applied_ + lagging_slots ? 2 * patience : patience;
}

// --- small things --------------------------------------------------------------------------------

void Proposer::send_all(Bytes message, Post& post) {
  for (const NodeId member : members_) {
    if (member != self_) {
      post.send(member, message, Leaves::at_once);
    }
  }
  post.send(self_, std::move(message), Leaves::at_once);
}

Proposer::Members Proposer::bit(NodeId node) const {
  const auto place = std::ranges::find(members_, node);
  return place == members_.end() ? 0 : Members{1} << (place - members_.begin());
}

bool Proposer::is_majority(Members members) const {
  return static_cast<std::size_t>(std::popcount(members)) >= majority(members_.size());
}

void Proposer::note_role(Level level, const char* event, const char* why, Post& post) const {
  if (!post.notes(level)) {
    return;
  }
  wire::LogFields fields;
  fields.add("role", "proposer").add("event", event).add("ballot", to_text(ballot_));
  if (stage_ == Stage::preparing) {
    fields.add("from_slot", from_.value);
  } else if (stage_ == Stage::leading) {
    fields.add("promises", std::popcount(promised_))
        .add("of", members_.size())
        .add("chosen", chosen_.value)
        .add("adopted", adopted_end_ > chosen_ ? adopted_end_ - chosen_ : 0);
  }
  if (*why != '\0') {
    fields.add("why", why);
  }
  post.note(level, std::move(fields).text());
}

void Proposer::give_up(Instant now, Post& post) {
  follow(now, "told so", post);
  patience_ = {};
}

void Proposer::digest_to(Bytes& out) const {
  write_varint(out, static_cast<std::uint64_t>(stage_));
  wire::encode_to(ballot_, out);
  write_varint(out, round_seen_);
  write_varint(out, promised_);
  write_varint(out, own_asked_ ? 1 : 0);
  for (const Slot& from : ask_from_) {
    write_varint(out, from.value);
  }
  for (const auto& [slot, proposal] : adopted_) {
    wire::encode_to(proposal, out);
  }
  for (const Open& open : open_) {
    write_varint(out, open.accepted);
    write_fixed(out, hash_of(open.message));
  }
  write_varint(out, chosen_.value);
  write_varint(out, queue_.size());
  for (const std::uint64_t life : lives_) {
    write_varint(out, life);
  }
}

void Proposer::check_invariants() const {
  check(stage_ != Stage::leading || is_majority(promised_));
  check(stage_ == Stage::leading || open_.empty());
  check(stage_ != Stage::following || queue_.empty() || duels());
}

}  // namespace kv::paxos
