#include "phase4_paxos/proposer.h"

#include <algorithm>
#include <bit>
#include <chrono>
#include <utility>

#include "common/core/check.h"
#include "common/core/hash.h"
#include "common/core/transfer_time.h"
#include "common/core/varint.h"
#include "common/wire/logfmt.h"
#include "phase4_paxos/acceptor.h"

namespace kv::paxos {
namespace {

constexpr std::size_t read_asks_max = 4096;
constexpr std::uint64_t lagging_slots = 1024;

}  // namespace

Proposer::Proposer(NodeId self, Configurations configurations, const PaxosOptions& options,
                   std::uint64_t boot, std::uint64_t seed)
    : self_(self),
      options_(options),
      boot_(boot),
      random_(seed),
      gathering_(options.gather),
      configurations_(std::move(configurations)) {
  check(options_.pipeline_slots <= options_.window_slots && configurations_.known());
}

void Proposer::start(Instant now) {
  now_ = heard_at_ = learner_at_ = now;
  patience_ = draw_patience();
}

void Proposer::on_booted(std::uint64_t boot) {
  booted_ = booted_ || boot == boot_;
}

// --- phase 2 -------------------------------------------------------------------------------------

/// 3: first what earlier leaders may have had chosen; a gap, where nobody can have had anything
/// chosen, becomes a no-op.
void Proposer::propose_adopted(Instant now, Post& post) {
  while (next_slot() <= adopted_end_ && next_slot() <= window_end_ && !reconfigured()) {
    const auto adopted = adopted_.extract(next_slot());
    propose(now, adopted.empty() ? ByteView{} : ByteView{adopted.mapped().value},
            {.wanted = quorums_.everyone()}, post);
  }
}

void Proposer::propose_queued(Instant now, Post& post) {
  while (now >= propose_at()) {
    Open open;
    const Bytes value = take_value(now, open);
    propose(now, value, std::move(open), post);
    gathering_.left(now);
  }
  while (fills()) {
    propose(now, {}, {}, post);
  }
}

/// 2.2, phase 2 (a).
void Proposer::propose(Instant now, ByteView value, Open open, Post& post) {
  const Slot slot = next_slot();
  check(slot <= window_end_ && quorums_.decide(slot, promised_));
  Bytes message = pack(Accept{.ballot = ballot_, .slot = slot, .chosen = chosen_}, value);
  want_news_ = 0;  // it tells them
  open_bytes_ += message.size();
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
  const Seats who = quorums_.of(from, accepted.incarnation);
  const auto seat = static_cast<std::size_t>(std::countr_zero(who));
  if (stage_ != Stage::leading || accepted.ballot != ballot_ || who == 0 ||
      !counts(seat, accepted.lives)) {
    return;
  }
  confirmed_at_[seat] = now;
  for (const SlotRange& range : accepted.slots) {
    const Slot end = std::min(range.last, chosen_ + open_.size());
    for (Slot slot = std::max(range.first, chosen_ + 1); slot <= end; slot = slot + 1) {
      open_[slot - (chosen_ + 1)].accepted |= who;
    }
  }
  advance(now, post);
}

/// A value that a majority of those who decide its slot has accepted is chosen (2.2); slots are
/// handed on in their order.
void Proposer::advance(Instant now, Post& post) {
  const Slot before = chosen_;
  std::uint64_t commands = 0;
  while (!open_.empty() && quorums_.decide(chosen_ + 1, open_.front().accepted)) {
    want_news_ |= open_.front().wanted;
    commands += open_.front().commands;
    open_bytes_ -= open_.front().message.size();
    open_.pop_front();
    chosen_ = chosen_ + 1;
  }
  if (chosen_ > before) {
    if (open_.empty()) {
      gathering_.done(now, commands, queue_commands_);
    }
    losses_ = 0;
    want_news_ &= ~own();
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
  return {
      .ballot = ballot_, .chosen = chosen_, .round = 0, .at = checked_at_, .checksum = checksum_};
}

/// Whoever has clients that wait for what was chosen hears of it at once, the others with the next
/// message.
void Proposer::tell_news(Post& post) {
  for (const NodeId node : quorums_.nodes()) {
    if ((want_news_ & quorums_.of(node)) != 0) {
      post.send(node, pack(news()), Leaves::at_once);
    }
  }
  want_news_ = 0;
}

void Proposer::resend(Instant now, Post& post) {
  const Duration patience = options_.resend_after + transfer_time(4 * open_bytes_);
  for (Open& open : open_) {
    if (now - open.sent_at < patience) {
      continue;
    }
    open.sent_at = now;
    for (const NodeId node : quorums_.nodes()) {
      if ((open.accepted & quorums_.of(node)) != quorums_.of(node)) {
        post.send(node, open.message, Leaves::at_once);
      }
    }
  }
}

// --- leading -------------------------------------------------------------------------------------

void Proposer::beat(Instant now, Post& post) {
  Beat message = news();
  message.round = ++beat_round_;
  if (options_.reads == ReadsBy::lease) {
    while (!rounds_.empty() && now - rounds_.front().sent_at >= lease_of(options_.grant())) {
      rounds_.pop_front();
    }
    rounds_.push_back({beat_round_, now});
  }
  want_news_ = 0;
  send_all(pack(message), post);
}

void Proposer::on_read_ask(NodeId from, const ReadAsk& ask) {
  if ((stage_ == Stage::leading || duels()) && asks_.size() < read_asks_max) {
    asks_.push_back({from, ask});
  }
}

/// All reads that have come share one round. What an earlier leader may have answered lies within
/// what this one adopted, what this one did lies within what it knows to be chosen. Whoever had
/// more chosen since needed a greater ballot at a majority of those who decide the slot behind it:
/// so they are asked, and it must be known who they are.
void Proposer::begin_reads(Instant now, Post& post) {
  if (asks_.empty() || !may_read()) {
    return;
  }
  if (holds_lease(now)) {
    return answer_reads(std::exchange(asks_, {}), read_slot(), post);
  }
  if (reads_) {
    return;
  }
  reads_ = Reads{.round = beat_round_ + 1, .slot = read_slot()};
  reads_->asks.swap(asks_);
  beat(now, post);
}

void Proposer::on_confirmed(Instant now, NodeId from, const Confirmed& confirmed, Post& post) {
  now_ = now;
  const Seats who = quorums_.of(from, confirmed.incarnation);
  if (stage_ != Stage::leading || confirmed.ballot != ballot_ || who == 0) {
    return;
  }
  const auto seat = static_cast<std::size_t>(std::countr_zero(who));
  confirmed_at_[seat] = now;
  applied_by_[seat] = confirmed.applied;
  take_grant(seat, confirmed);
  if (from == self_) {
    own_round_ = std::max(own_round_, confirmed.round);
    own_seat_ = who;
  }
  if (reads_ && confirmed.round >= reads_->round) {
    reads_->confirmed |= who;
    answer_confirmed_reads(post);
  }
  if (challenge_round_ != 0 && confirmed.round >= challenge_round_) {
    challenge_confirmed_ |= who;
    if (quorums_.decide_from(chosen_ + 1, challenge_confirmed_)) {
      prepare(now, post);
    }
  }
}

void Proposer::answer_confirmed_reads(Post& post) {
  if (quorums_.decide(reads_->slot + 1, reads_->confirmed)) {
    answer_reads(reads_->asks, reads_->slot, post);
    reads_.reset();
  }
}

void Proposer::answer_reads(const std::vector<Asked>& asks, Slot slot, Post& post) {
  for (const Asked& asked : asks) {
    post.send(asked.from, pack(ReadAt{asked.ask.boot, asked.ask.number, slot}), Leaves::at_once);
  }
}

/// Counted from when the acceptor was asked: it began to count later.
void Proposer::take_grant(std::size_t seat, const Confirmed& confirmed) {
  const auto round = std::ranges::find(rounds_, confirmed.round, &Round::number);
  if (round == rounds_.end()) {
    return;
  }
  using std::chrono::microseconds;
  const auto own =
      static_cast<std::uint64_t>(std::chrono::floor<microseconds>(options_.grant()).count());
  const microseconds granted{std::min(confirmed.grant_us, own)};
  granted_until_[seat] = std::max(granted_until_[seat], round->sent_at + lease_of(granted));
}

/// Whether nobody can have had anything chosen behind what a read must show: for that it needed the
/// promise of one of those who granted, of a majority of those who decide there.
bool Proposer::holds_lease(Instant now) const {
  Seats granted = 0;
  for (std::size_t i = 0; i < granted_until_.size(); ++i) {
    granted |= now < granted_until_[i] ? Seats{1} << i : 0;
  }
  return granted != 0 && quorums_.decide(read_slot() + 1, granted);
}

/// Gives up what has become pointless: leading without a majority, or without a log to lead.
void Proposer::keep_leading(Instant now, Post& post) {
  // The acceptor beside it answers at once, however long all of this replica stood still; if it did
  // not, it has died, or has promised more to another.
  Seats alive = own_round_ + 1 >= beat_round_ ? own_seat_ : 0;
  for (std::size_t i = 0; i < confirmed_at_.size(); ++i) {
    alive |= now - confirmed_at_[i] <= options_.election_max ? Seats{1} << i : 0;
  }
  if (!quorums_.decide_from(chosen_ + 1, alive)) {
    return follow(now, "no majority answers", post);
  }
  if (applied_ >= chosen_) {
    learner_at_ = now;
  } else if (now - learner_at_ > 4 * options_.election_max) {
    // Something is chosen that no learner knows any more. Phase 1 finds it out again.
    prepare(now, post);
  }
}

/// A configuration that it has not heard of may decide the slots that this opens: then it is not
/// told so yet.
void Proposer::on_progress(Instant now, const Progress& progress) {
  if (progress.applied > applied_ || progress.taking_image) {
    learner_at_ = now;
  }
  log_time_ = std::max(log_time_, LogTime{Duration{static_cast<Duration::rep>(progress.time)}});
  if (progress.members != configurations_.latest().number) {
    return;
  }
  applied_ = checked_at_ = progress.applied;
  checksum_ = progress.checksum;
  if (stage_ != Stage::following && !reconfigured()) {
    window_end_ = std::max(window_end_, applied_ + options_.window_slots);
  }
}

// --- changes of members --------------------------------------------------------------------------

void Proposer::on_deciders(const Deciders& deciders) {
  if (deciders.configurations.known()) {
    configurations_ = deciders.configurations;
    applied_ = deciders.applied;
  }
}

bool Proposer::may_reconfigure() const {
  return settled() && chosen_ >= adopted_end_ && changes_from_ != number_;
}

void Proposer::reconfigure(const Reconfigure& change) {
  check(may_reconfigure() && change.base == number_);
  changes_from_ = number_;
  change_ = pack_change(change);
}

/// Until then whoever decided before is needed still: for those who have not learned it all.
bool Proposer::settled() const {
  if (stage_ != Stage::leading || reconfigured()) {
    return false;
  }
  const Configuration& last = configurations_.latest();
  Seats applied = 0;
  for (std::size_t i = 0; i < applied_by_.size(); ++i) {
    applied |= applied_by_[i] + 1 >= last.from ? Seats{1} << i : 0;
  }
  return last.from <= chosen_ + 1 && quorums_.decide(last.from, applied);
}

bool Proposer::hears(NodeId node, Instant now) const {
  for (std::size_t i = 0; i < confirmed_at_.size(); ++i) {
    if (quorums_.seats()[i].node == node && now - confirmed_at_[i] <= options_.election_min) {
      return true;
    }
  }
  return false;
}

/// Whoever no longer decides leads until all that it decided is chosen, and says so.
bool Proposer::steps_down(Instant now, Post& post) {
  if (configurations_.has(self_, chosen_ + 1)) {
    return false;
  }
  beat(now, post);
  follow(now, "it is no member any more", post);
  return true;
}

// --- time ----------------------------------------------------------------------------------------

void Proposer::tick(Instant now, Post& post) {
  now_ = now;
  switch (stage_) {
    case Stage::following:
      if (now >= wake_at()) {
        prepare(now, post);
      }
      return;
    case Stage::preparing:
      if (reconfigured()) {
        prepare_again(now, post);
      } else if (now >= prepare_until_) {
        follow(now, "no majority promises", post);
      } else if (now >= resend_at_) {
        resend_at_ = now + options_.resend_after;
        ask_for_promises(post);
      }
      return;
    case Stage::leading:
      if (reconfigured()) {
        return prepare_again(now, post);
      }
      if (steps_down(now, post)) {
        return;
      }
      go_on_leading(now, post);
  }
}

void Proposer::go_on_leading(Instant now, Post& post) {
  const std::uint64_t round = beat_round_;
  begin_reads(now, post);
  propose_adopted(now, post);
  propose_queued(now, post);
  if (now >= beat_at_) {
    // However often reads beat: only here what was lost is sent again.
    beat_at_ = now + options_.beat_every;
    resend(now, post);
    if (beat_round_ == round) {
      beat(now, post);
    }
    keep_leading(now, post);
  }
  tell_news(post);
}

Instant Proposer::wake_at() const {
  switch (stage_) {
    case Stage::following:
      if (!may_run()) {
        return never;
      }
      if (duels()) {
        return wants_ballot() ? retry_at_ : never;
      }
      return heard_at_ + patience_;
    case Stage::preparing:
      return reconfigured() ? now_ : std::min(prepare_until_, resend_at_);
    case Stage::leading: {
      const bool adopts = next_slot() <= adopted_end_ && next_slot() <= window_end_;
      const bool reads = !asks_.empty() && may_read() && (!reads_ || holds_lease(now_));
      return want_news_ != 0 || reads || adopts || fills() || reconfigured()
                 ? now_
                 : std::min(propose_at(), beat_at_);
    }
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
  for (const NodeId node : quorums_.nodes()) {
    if (node != self_) {
      post.send(node, message, Leaves::at_once);
    }
  }
  post.send(self_, std::move(message), Leaves::at_once);
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
        .add("members", configurations_.latest().text())
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
  write_varint(out, adopted_end_.value);
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
  check(stage_ != Stage::leading || quorums_.decide_from(chosen_ + 1, promised_));
  check(stage_ != Stage::leading || chosen_ + open_.size() <= std::max(window_end_, chosen_));
  check(stage_ == Stage::leading || (open_.empty() && open_bytes_ == 0));
  check(stage_ != Stage::following || queue_.empty() || duels());
}

}  // namespace kv::paxos
