#include "phase5_raft/raft_life.h"

#include <algorithm>

#include "common/core/check.h"
#include "common/wire/line.h"
#include "phase5_raft/log_command.h"

namespace kv::raft {
namespace {

using wire::LogFields;

// A snapshot's pieces: the head (what Raft must know), the disks that were met, then entries that
// are not applied, then the state machine's. The first byte says which.
constexpr char head_tag = 'H';
constexpr char met_tag = 'D';
constexpr char entries_tag = 'E';
constexpr char machine_tag = 'M';

constexpr std::size_t samples_max = 64;

}  // namespace

RaftLife::RaftLife(NodeId self, const std::vector<NodeId>& members,
                   const RaftReplicaOptions& options)
    : self_(self),
      options_(options),
      raft_(self, voters_only(members), options, this),
      acquaintance_(self, voters_only(members).voters, options.ask_again_after),
      machine_(std::make_unique<StateMachine>(options.sessions)) {
  Random random{options.seed};
  life_ = random.fork().next();
  mark_ = random.next();
}

// --- a life --------------------------------------------------------------------------------------

void RaftLife::restore(ByteView piece) {
  check(!piece.empty());
  const char tag = piece.front();
  piece.remove_prefix(1);
  if (tag == head_tag) {
    const auto saved = wire::decode<Raft::Saved>(piece);
    check(saved.has_value());  // whoever drives us has proved its bytes
    raft_.restore(*saved);
    applied_ = saved->applied;
  } else if (tag == met_tag) {
    const auto met = wire::decode<Met>(piece);
    check(met.has_value());
    acquaintance_.recover(*met);
  } else if (tag == entries_tag) {
    raft_.restore_entries(piece);
  } else {
    check(tag == machine_tag);
    check(machine_->restore(piece) != StateMachine::Restored::damaged);
  }
}

void RaftLife::recover(ByteView record) {
  const std::optional<Record> decoded = decode_record(record);
  check(decoded.has_value());
  if (const auto* const met = std::get_if<Met>(&*decoded)) {
    return acquaintance_.recover(*met);
  }
  std::visit(
      [this](const auto& each) {
        if constexpr (requires { raft_.recover(each); }) {
          raft_.recover(each);
        }
      },
      *decoded);
  Effects none;
  apply_committed(none);
  check(none.empty());
  raft_.trim_log(log_bytes_worth_keeping(), options_.image_log_bytes_max);
}

void RaftLife::start(Instant now, Effects& out) {
  now_ = now;
  seen_truncations_ = raft_.log().truncations();
  seen_term_ = raft_.term();
  // The time is in both because of replicas that are started with the same --seed again.
  const auto time = static_cast<std::uint64_t>(now.time_since_epoch().count());
  life_ ^= time;
  acquaintance_.start(now, (mark_ ^ time) << 1 | 1, out);
  if (acquaintance_.born()) {
    raft_.start(now, out);
  }
}

bool RaftLife::begin_snapshot() {
  const RaftLog& log = raft_.log();
  if (image_use_ != ImageUse::none || raft_.receiving_image(now_) ||
      log.bytes() > options_.snapshot_tail_bytes_max + 2 * options_.log_bytes_kept) {
    return false;
  }
  image_use_ = ImageUse::host;
  raft_.let_go_of_image();
  machine_->begin_snapshot();
  Bytes head(1, head_tag);
  wire::encode_to(raft_.saved(), head);
  snapshot_front_.push_back(std::move(head));
  for (const Met& each : acquaintance_.all()) {
    Bytes met(1, met_tag);
    wire::encode_to(each, met);
    snapshot_front_.push_back(std::move(met));
  }
  for (Index next = applied_ + 1; next <= log.last();) {
    Bytes piece(1, entries_tag);
    next = log.copy_to(piece, next, snapshot_piece_bytes_max) + 1;
    snapshot_front_.push_back(std::move(piece));
  }
  return true;
}

Bytes RaftLife::next_snapshot_piece() {
  check(image_use_ == ImageUse::host);
  if (!snapshot_front_.empty()) {
    Bytes piece = std::move(snapshot_front_.front());
    snapshot_front_.pop_front();
    return piece;
  }
  Bytes piece = (replaced_ ? replaced_ : machine_)->next_snapshot_piece();
  if (piece.empty()) {
    image_use_ = ImageUse::none;
    replaced_.reset();
    return piece;
  }
  piece.insert(piece.begin(), machine_tag);
  return piece;
}

// --- images for peers ----------------------------------------------------------------------------

bool RaftLife::begin_image() {
  if (image_use_ != ImageUse::none) {
    return false;
  }
  image_use_ = ImageUse::peer;
  machine_->begin_snapshot();
  return true;
}

Bytes RaftLife::next_image_piece() {
  check(image_use_ == ImageUse::peer);
  return machine_->next_snapshot_piece();
}

void RaftLife::end_image() {
  check(image_use_ == ImageUse::peer);
  image_use_ = ImageUse::none;
}

StateImages::Taken RaftLife::take_piece(ByteView piece, bool first) {
  if (first) {
    coming_ = std::make_unique<StateMachine>(options_.sessions);
  }
  check(coming_ != nullptr);
  switch (coming_->restore(piece)) {
    case StateMachine::Restored::more:
      return Taken::more;
    case StateMachine::Restored::done:
      return Taken::complete;
    case StateMachine::Restored::damaged:
      break;
  }
  coming_.reset();
  return Taken::damaged;
}

void RaftLife::take_over(Index last) {
  check(coming_ != nullptr && image_use_ != ImageUse::peer && last > applied_);
  if (image_use_ == ImageUse::host && !replaced_) {
    replaced_ = std::move(machine_);
  }
  machine_ = std::move(coming_);
  applied_ = last;
  took_over_ = true;
  samples_.clear();
  said_.reset();
}

// --- steps ---------------------------------------------------------------------------------------

void RaftLife::receive(Instant now, NodeId from, ByteView message, Effects& out) {
  now_ = now;
  if (stopped()) {
    return;
  }
  const std::optional<Message> decoded = decode_message(message);
  if (!decoded) {
    out.notes.push_back(
        {Level::error, LogFields{}.add("event", "malformed").add("from", from.value).text()});
    return;
  }
  std::visit(
      [&](const auto& each) {
        using Kind = std::decay_t<decltype(each)>;
        constexpr bool meets = std::is_same_v<Kind, Greet> || std::is_same_v<Kind, Greeted>;
        if (!meets && !acquaintance_.born()) {
          return;  // it cannot know what it has forgotten: it neither votes nor acknowledges
        }
        if constexpr (requires { raft_.on(now, from, each, out); }) {
          raft_.on(now, from, each, out);
        } else {
          on(now, from, each, out);
        }
      },
      *decoded);
  if (const auto* append = std::get_if<AppendEntries>(&*decoded);
      append != nullptr && acquaintance_.born() && append->term == raft_.term() &&
      append->sampled > Index{}) {
    compare({append->sampled, append->checksum}, out);
  }
  after_step(now, out);
}

void RaftLife::request(Instant now, RequestId id, const Command& command, Effects& out) {
  now_ = now;
  if (diverged_) {
    return answer(id, Status::unavailable, "this replica's state differs from the leader's", out);
  }
  if (acquaintance_.refused()) {
    return answer(id, Status::unavailable, "this replica lost its disk: see its log", out);
  }
  if (command.verb == Verb::ping) {
    return machine_->read(command, out.answers.emplace_back(Answer{id, {}}).reply);
  }
  if (const char* why = refusal_of(command)) {
    return answer(id, Status::bad_request, why, out);
  }
  if (const char* why = refusal_now()) {
    return answer(id, Status::unavailable, why, out);
  }
  if (!changes_something(command.verb)) {
    reads_.push_back({id, command, now + options_.request_patience});
    ++reads_waiting_;
  } else if (raft_.may_propose()) {
    payload_.clear();
    append_stamp(payload_, stamper_.stamp(now, machine_->time()));
    append_command(payload_, command);
    propose(now, command,
            {Index{}, raft_.term(), now + options_.request_patience, NodeId{}, id.value});
    if (noting(Level::debug)) {
      note_op("propose", raft_.log().last(), command, out);
    }
  } else {
    hold(now, id, command);
  }
  want_flush(now);
}

void RaftLife::tick(Instant now, Effects& out) {
  now_ = now;
  if (stopped()) {
    return;
  }
  acquaintance_.tick(now, out);
  if (now >= sweep_at_) {
    sweep(now, out);
  }
  if (flush_) {
    flush_ = false;
    flush_held(now, out);
  }
  if (flush_reads_ && now >= reads_due()) {
    flush_reads_ = false;
    flush_reads(now, out);
  }
  if (acquaintance_.born()) {
    raft_.tick(now, out);
  }
  after_step(now, out);
  flush_replies(out);
}

void RaftLife::on(Instant, NodeId from, const Greet& greet, Effects& out) {
  acquaintance_.on(from, greet, raft_.membership(), out);
}

void RaftLife::on(Instant now, NodeId from, const Greeted& greeted, Effects& out) {
  const bool took_part = acquaintance_.born();
  acquaintance_.on(from, greeted, out);
  if (acquaintance_.born() && !took_part) {
    raft_.start(now, out);
  }
}

Instant RaftLife::wake_at() const {
  if (stopped()) {
    return never;
  }
  return flush_ || !replies_.empty()
             ? now_
             : std::min({raft_.wake_at(), sweep_at_, acquaintance_.wake_at(),
                         flush_reads_ ? reads_due() : never, change_ ? change_->look_at : never});
}

void RaftLife::want_flush(Instant now) {
  flush_ = flush_reads_ = true;
  if (sweep_at_ == never) {
    sweep_at_ = now + options_.ask_again_after;
  }
}

/// What a step of Raft may have changed: who leads, what the log holds, what is committed, what is
/// confirmed.
void RaftLife::after_step(Instant now, Effects& out) {
  // An image takes the place of entries, truncated or not: whoever waits for one waits in vain, and
  // everyone behind it too.
  if (std::exchange(took_over_, false) || raft_.log().truncations() != seen_truncations_) {
    seen_truncations_ = raft_.log().truncations();
    give_up_truncated(out);
  }
  apply_committed(out);
  if (diverged_) {
    return;
  }
  if (raft_.term() != seen_term_ || raft_.leader() != seen_leader_) {
    seen_term_ = raft_.term();
    seen_leader_ = raft_.leader();
    on_new_leader(now, out);
  }
  if (raft_.knows_commit() != knew_commit_) {
    knew_commit_ = raft_.knows_commit();
    flush_reads_ = flush_reads_ || !reads_.empty() || !queries_.empty();
  }
  while (!confirming_.empty() && confirming_.front().number <= raft_.confirmed_round()) {
    grant(std::move(confirming_.front()), out);
    confirming_.pop_front();
  }
  serve_granted(out);
  look_at_members(now, out);
}

void RaftLife::on_new_leader(Instant now, Effects& out) {
  if (raft_.leads()) {
    led_term_ = raft_.term();
    seen_lives_.clear();
  }
  proposed_.clear();
  take_reads_back();
  for (Held& each : held_) {
    const bool again = !each.done && (each.repeatable || !each.maybe_taken);
    unsent_ += again && !each.unsent ? 1 : 0;
    each.unsent = again;
    each.asked = {};
  }
  (void)out;
  if (anything_waits()) {
    want_flush(now);
  }
}

// --- time ----------------------------------------------------------------------------------------

bool RaftLife::anything_waits() const {
  return !waiting_.empty() || !held_.empty() || reads_waiting_ > 0;
}

/// A few times a second, while anything waits: what was lost is asked again, what is late is ended.
void RaftLife::sweep(Instant now, Effects& out) {
  end_patience_of_changes(now, out);
  end_patience_of_reads(now, out);
  ask_again(now, out);
  sweep_at_ = anything_waits() ? now + options_.ask_again_after / 2 : never;
}

void RaftLife::answer(RequestId id, Status status, const char* why, Effects& out) {
  Reply& reply = out.answers.emplace_back(Answer{id, {}}).reply;
  reply.status = status;
  reply.why = why;
}

const char* RaftLife::transfer_leadership(Instant now, NodeId to, Effects& out) {
  return raft_.transfer(now, to, out);
}

const char* RaftLife::change_membership(Instant now, const Membership& next, Effects& out) {
  return raft_.change_membership(now, next, out);
}

// --- divergence ----------------------------------------------------------------------------------

void RaftLife::sample() {
  if (applied_.value % options_.sample_every == 0) {
    samples_.push_back({applied_, machine_->checksum()});
    if (samples_.size() > samples_max) {
      samples_.pop_front();
    }
    raft_.sample(applied_, machine_->checksum());
  }
}

/// The leader's state after that entry, and ours: the same log, or one of us is wrong.
void RaftLife::compare(const Sample& said, Effects& out) {
  if (said.index == compared_) {
    return;
  }
  if (said.index > applied_) {
    said_ = said;
    return;
  }
  said_.reset();
  compared_ = said.index;
  const auto ours = std::ranges::find(samples_, said.index, &Sample::index);
  if (ours == samples_.end() || ours->checksum == said.checksum) {
    return;
  }
  diverged_ = true;  // nobody knows which of us is right: at least this one is no witness any more
  out.notes.push_back({Level::error, LogFields{}
                                         .add("event", "divergence")
                                         .add("index", said.index.value)
                                         .add("checksum", ours->checksum)
                                         .add("leaders", said.checksum)
                                         .add("leader", raft_.leader().value)
                                         .text()});
}

void RaftLife::note_op(const char* event, Index index, const Command& command, Effects& out) const {
  Bytes op;
  wire::append_origin(op, command.origin);
  LogFields fields;
  fields.add("event", event);
  if (!op.empty()) {
    fields.add("op", op);
  }
  fields.add("index", index.value).add("term", raft_.term().value);
  out.notes.push_back({Level::debug, std::move(fields).text()});
}

void RaftLife::check_invariants() const {
  raft_.check_invariants();
  check(applied_ <= raft_.commit());
  check(diverged_ || applied_ == raft_.commit());
  check(std::ranges::is_sorted(waiting_, {}, &Waiting::index));
  check(waiting_.empty() || waiting_.back().index <= raft_.log().last());
}

}  // namespace kv::raft
