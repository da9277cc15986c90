#include "phase3_2pc/two_phase_replica.h"

#include <algorithm>

#include "common/core/check.h"
#include "common/core/hash.h"
#include "common/core/random.h"
#include "phase3_2pc/notes.h"

namespace kv::two_phase {
namespace {

constexpr std::size_t early_requests_max = 1024;
constexpr std::size_t piece_body_bytes_max = snapshot_piece_bytes_max - 16;

std::vector<NodeId> without(std::vector<NodeId> members, NodeId self) {
  std::erase(members, self);
  return members;
}

}  // namespace

TwoPhaseReplica::TwoPhaseReplica(NodeId self, std::vector<NodeId> members, TwoPhaseOptions options)
    : self_(self),
      members_(std::move(members)),
      options_(options),
      outbox_(without(members_, self)),
      hearing_(outbox_.peers(), options_.silence),
      forwards_(self, options_, outbox_),
      participant_(self, options_, forwards_, outbox_),
      coordinator_(self, options_, participant_, hearing_, outbox_),
      membership_(self, Random{options_.seed}.next(), outbox_) {
  check(members_.size() <= members_max && std::ranges::find(members_, self) != members_.end());
}

void TwoPhaseReplica::start(Instant now, Effects& out) {
  membership_.start();
  heard_ = false;
  hearing_.start(now);
  participant_.start(now);
  coordinator_.start(now);
  forwards_.start(coordinator_.boot());
  pulse_at_ = now;
  flush(now, out);
}

NodeId TwoPhaseReplica::home_of(std::string_view key) const {
  return members_[hash_of(key) % members_.size()];
}

// --- requests ------------------------------------------------------------------------------------

void TwoPhaseReplica::request(Instant now, RequestId id, const Command& command, Effects& out) {
  participant_.catch_up(now, out);
  if (!takes_part()) {
    if (may_take_part_yet() && early_.size() < early_requests_max) {
      early_.push_back({now + options_.request_patience, id, command});
    } else {
      refuse_early(id, out);
    }
    return;
  }
  if (changes_something(command.verb)) {
    return update(now, id, command, out);
  }
  if (!alive_.participant) {
    out.answers.push_back({id, {Status::unavailable, {}, "the participant is down"}});
    return;
  }
  participant_.read(now, id, command, out);
}

void TwoPhaseReplica::refuse_early(RequestId id, Effects& out) const {
  const char* const why = is_lost() ? "this replica has lost its disk, or what was on it"
                                    : "not every replica has been heard of yet";
  out.answers.push_back({id, {Status::unavailable, {}, why}});
}

/// What came before this replica took part: now it does, never will, or has not in time.
void TwoPhaseReplica::see_to_early(Instant now, Effects& out) {
  while (!early_.empty() && (!may_take_part_yet() || early_.front().deadline <= now)) {
    const Early early = std::move(early_.front());
    early_.pop_front();
    if (takes_part()) {
      request(now, early.id, early.command, out);
    } else {
      refuse_early(early.id, out);
    }
  }
}

void TwoPhaseReplica::update(Instant now, RequestId id, const Command& command, Effects& out) {
  if (!alive_.coordinator) {
    out.answers.push_back({id, {Status::unavailable, {}, "the coordinator is down"}});
    return;
  }
  const std::vector<std::string> keys = keys_of(command);
  const NodeId home =
      options_.conflict == Conflict::home && !keys.empty() ? home_of(keys.front()) : self_;
  if (home == self_) {
    coordinator_.submit(now, {self_, id.value}, command, out);
  } else if (hearing_.silent().contains(home)) {
    out.answers.push_back({id, {Status::unavailable, {}, "the key's home does not answer"}});
  } else {
    forwards_.forward(now, id, command, home, out);
  }
}

// --- messages ------------------------------------------------------------------------------------

void TwoPhaseReplica::receive(Instant now, NodeId from, ByteView message, Effects& out) {
  participant_.catch_up(now, out);
  if (message.empty()) {
    return note_malformed(from, out);
  }
  const auto kind = static_cast<MessageKind>(message.front());
  message.remove_prefix(1);
  if (from != self_) {
    return route(now, from, kind, message, out);
  }
  const auto durable = wire::decode<Durable>(message);
  check(kind == MessageKind::durable && durable.has_value());
  if (alive_.coordinator) {
    coordinator_.on_durable(now, *durable, out);
  }
}

/// Decodes a list, takes notice of its header, and hands over one item after the other.
template <typename Item, typename OnItem>
void TwoPhaseReplica::each(Instant now, NodeId from, ByteView body, Effects& out, OnItem on_item) {
  auto message = wire::decode<ListMessage<Item>>(body);
  if (!message) {
    return note_malformed(from, out);
  }
  on_header(now, from, message->header);
  for (Item& item : message->items) {
    on_item(message->header, item);
  }
}

void TwoPhaseReplica::route(Instant now, NodeId from, MessageKind kind, ByteView body,
                            Effects& out) {
  if (!is_member(from)) {
    return note_malformed(from, out);
  }
  if (!takes_part() && kind != MessageKind::pulse) {
    return;  // as if it were not there
  }
  switch (kind) {
    case MessageKind::prepare:
      return each<Transaction>(now, from, body, out, [&](const Header&, Transaction& transaction) {
        if (!is_good(from, transaction)) {
          note_malformed(from, out);
        } else if (alive_.participant) {
          participant_.on_prepare(now, std::move(transaction), out);
        }
      });
    case MessageKind::vote:
      return each<Vote>(now, from, body, out, [&](const Header&, const Vote& vote) {
        if (alive_.coordinator && vote.txn.coordinator == self_) {
          coordinator_.on_vote(now, from, vote, out);
        }
      });
    case MessageKind::decide:
      return each<Decision>(now, from, body, out, [&](const Header&, const Decision& decision) {
        if (!is_member(decision.txn.coordinator)) {
          note_malformed(from, out);
        } else if (alive_.participant && decision.txn.coordinator != self_) {
          participant_.on_decision(now, decision, out);
        }
      });
    case MessageKind::ack:
      return each<TxnId>(now, from, body, out, [&](const Header&, const TxnId& txn) {
        if (alive_.coordinator && txn.coordinator == self_) {
          coordinator_.on_ack(from, txn);
        }
      });
    case MessageKind::inquire:
      return each<TxnId>(now, from, body, out,
                         [&](const Header&, const TxnId& txn) { on_inquiry(now, from, txn, out); });
    case MessageKind::forward:
      return each<Forward>(now, from, body, out, [&](const Header& head, const Forward& forward) {
        if (alive_.coordinator && changes_something(forward.command.verb) &&
            forwards_.accept(from, head.boot, coordinator_.boot(), forward)) {
          coordinator_.submit(now, {from, forward.number, head.boot}, forward.command, out);
        }
      });
    case MessageKind::forward_reply:
      return each<ForwardReply>(now, from, body, out,
                                [&](const Header&, const ForwardReply& reply) {
                                  if (alive_.coordinator && reply.to_boot == coordinator_.boot()) {
                                    forwards_.on_reply(now, from, reply, out);
                                  }
                                });
    case MessageKind::pulse:
      if (const auto pulse = wire::decode<Pulse>(body)) {
        return on_pulse(now, from, *pulse, out);
      }
      break;
    case MessageKind::durable:
      break;
  }
  note_malformed(from, out);
}

void TwoPhaseReplica::on_header(Instant now, NodeId from, const Header& header) {
  if (alive_.participant) {
    participant_.on_header(from, header);
  }
  forwards_.on_header(from, header);
  coordinator_.see_clock(header.clock);
  hearing_.on_heard(now, from);
}

void TwoPhaseReplica::on_inquiry(Instant now, NodeId from, const TxnId& txn, Effects& out) {
  if (!is_member(txn.coordinator)) {
    note_malformed(from, out);
  } else if (txn.coordinator != self_) {
    if (alive_.participant) {
      participant_.on_inquiry(now, from, txn, out);
    }
  } else if (alive_.coordinator) {
    coordinator_.on_inquiry(from, txn);
  }
}

/// If two have applied equally many, and this one has promised nothing that is undecided, it has
/// applied all that the other has: then both have applied the same, and must hold the same.
void TwoPhaseReplica::on_pulse(Instant now, NodeId from, const Pulse& pulse, Effects& out) {
  judge_disks(now, from, pulse, out);
  if (membership_.is_stranger(from, pulse.disk)) {
    return;
  }
  on_header(now, from, pulse.header);
  heard_ = heard_ || pulse.tells;
  hearing_.see_room(from, !pulse.full);
  if (!alive_.participant || !takes_part()) {
    return;
  }
  const CommittedState& state = participant_.state();
  const bool comparable = pulse.applied == state.applied() && participant_.prepared() == 0;
  if (comparable && pulse.checksum != state.checksum() && alarm_due(now, from)) {
    note(out, options_.note_level, Level::error, participant_role, "divergence",
         [&](wire::LogFields& fields) {
           fields.add("from", from.value).add("applied", pulse.applied);
         });
  }
  if (pulse.presumes_commit != (options_.presumed == Presumed::commit) && alarm_due(now, from)) {
    note(out, options_.note_level, Level::error, coordinator_role, "presumptions_differ",
         [&](wire::LogFields& fields) { fields.add("from", from.value); });
  }
}

/// A disk that was lost is told of by whoever notices it: the one that has it now, and the others.
void TwoPhaseReplica::judge_disks(Instant now, NodeId from, const Pulse& pulse, Effects& out) {
  const Membership::Standing before = membership_.standing();
  membership_.on_pulse(from, pulse);
  const bool stranger = membership_.is_stranger(from, pulse.disk);
  if (!stranger && lacks_something(pulse)) {
    membership_.lose();
  }
  const bool lost = is_lost() && membership_.standing() != before;
  if (lost) {
    leave();
  }
  if (lost || (stranger && alarm_due(now, from))) {
    note(out, options_.note_level, Level::error, participant_role, "disk_lost",
         [&](wire::LogFields& fields) {
           fields.add("of", lost ? self_.value : from.value).add("from", from.value);
         });
  }
  if (pulse.joins) {
    Pulse mine = this->pulse();
    mine.joins = false;  // an answer is not answered
    outbox_.pulse_to(from, mine);
  }
}

/// Who waits here is told what is certain, and nobody else anything any more.
void TwoPhaseReplica::leave() {
  alive_ = {.coordinator = false, .participant = false};
  coordinator_.leave();
  forwards_.die();
  participant_.die();
}

/// Nothing is committed without this replica's promise, which is on its disk before it is told: so
/// whatever another holds as committed is applied here, or promised.
bool TwoPhaseReplica::lacks_something(const Pulse& pulse) const {
  return alive_.participant &&
         pulse.committed > participant_.state().applied() + participant_.prepared();
}

/// What stands wrong for long is said again now and then, not with every pulse.
bool TwoPhaseReplica::alarm_due(Instant now, NodeId about) {
  const auto [at, fresh] = alarmed_at_.try_emplace(about, now);
  if (!fresh && now - at->second < options_.alarm_every) {
    return false;
  }
  at->second = now;
  return true;
}

Pulse TwoPhaseReplica::pulse() const {
  const bool can_tell = alive_.coordinator && alive_.participant;
  return {.header = header(),
          .applied = participant_.state().applied(),
          .checksum = participant_.state().checksum(),
          .presumes_commit = options_.presumed == Presumed::commit,
          .disk = membership_.disk(),
          .known = membership_.known(),
          .joins = may_take_part_yet(),
          .committed = can_tell ? participant_.state().applied() - coordinator_.unsecured() : 0,
          .full = hearing_.full().contains(self_),
          .tells = can_tell};
}

bool TwoPhaseReplica::is_member(NodeId node) const {
  return std::ranges::find(members_, node) != members_.end();
}

/// The sender's own, with its keys in order, each once.
bool TwoPhaseReplica::is_good(NodeId from, const Transaction& transaction) const {
  return transaction.id.coordinator == from && is_member(transaction.asker.node) &&
         std::ranges::adjacent_find(transaction.parts, std::ranges::greater_equal{},
                                    &two_phase::Part::key) == transaction.parts.end();
}

void TwoPhaseReplica::note_malformed(NodeId from, Effects& out) const {
  note(out, options_.note_level, Level::warn, participant_role, "malformed",
       [&](wire::LogFields& fields) { fields.add("from", from.value); });
}

// --- time ----------------------------------------------------------------------------------------

void TwoPhaseReplica::tick(Instant now, Effects& out) {
  participant_.catch_up(now, out);
  hearing_.tick(now);
  see_to_early(now, out);
  coordinator_.tell_orphans(out);
  participant_.tick(now, out);
  forwards_.tick(now, out);
  if (alive_.coordinator) {
    coordinator_.tick(now, out);
  }
  flush(now, out);
}

void TwoPhaseReplica::flush(Instant now, Effects& out) {
  if (alive_.coordinator) {
    coordinator_.flush(now, out);
  }
  if (is_lost()) {
    pulse_at_ = never;  // silent from now on: nobody is to wait for its vote
  } else if (now >= pulse_at_) {
    pulse_at_ = now + (takes_part() ? options_.pulse_every : options_.join_pulse_every);
    outbox_.pulse(pulse());
  }
  const bool late = outbox_.has_later() && now >= later_at_;
  if (!outbox_.empty() || late) {
    outbox_.flush(self_, header(), late ? Outbox::Later::leaves_too : Outbox::Later::may_wait, out);
  }
  if (!outbox_.has_later()) {
    later_at_ = never;
  } else if (later_at_ == never) {
    later_at_ = now + options_.acknowledge_after;
  }
}

Header TwoPhaseReplica::header() const {
  const TxnId mark = coordinator_.mark();
  return {.boot = coordinator_.boot(),
          .mark_boot = mark.boot,
          .mark_sequence = mark.sequence,
          .clock = coordinator_.clock()};
}

/// The others hear of it at once.
void TwoPhaseReplica::see_room(bool has_room) {
  hearing_.see_room(self_, has_room);
  participant_.see_room(has_room);
  if (!is_lost()) {
    pulse_at_ = Instant{};
  }
}

Instant TwoPhaseReplica::wake_at() const {
  const bool joins = may_take_part_yet();
  const bool undated = outbox_.has_later() && later_at_ == never;  // flush() says when
  if (!outbox_.empty() || undated || coordinator_.has_orphans() || (!early_.empty() && !joins)) {
    return Instant{};
  }
  const Instant early = early_.empty() ? never : early_.front().deadline;
  const Instant at =
      std::min({early, pulse_at_, later_at_, participant_.wake_at(), forwards_.wake_at()});
  return alive_.coordinator ? std::min(at, coordinator_.wake_at()) : at;
}

// --- lives ---------------------------------------------------------------------------------------

void TwoPhaseReplica::recover(ByteView record) {
  recover_record(record, std::nullopt);
}

void TwoPhaseReplica::recover_record(ByteView record, std::optional<Part> only) {
  check(!record.empty());
  const auto kind = static_cast<RecordKind>(record.front());
  record.remove_prefix(1);
  if (kind == RecordKind::met) {
    const auto met = wire::decode<ListRecord<KnownDisk>>(record);
    check(met.has_value());
    for (const KnownDisk& known : met->items) {
      membership_.recover(known);
    }
    return;
  }
  if (only != Part::participant) {
    coordinator_.recover(kind, record);
  }
  if (only != Part::coordinator) {
    participant_.recover(kind, record);
  }
}

struct TwoPhaseReplica::Head {
  std::string coordinator;
  std::string participant;
  std::vector<KnownDisk> known;

  static void fields(auto& self, auto& visit) {
    visit("coordinator", self.coordinator);
    visit("participant", self.participant);
    visit("known", self.known);
  }
};

/// Not while a role is dead, or while records gather that the image would be ahead of. (Of those
/// that wait for company it may be: what they say again changes nothing.)
bool TwoPhaseReplica::begin_snapshot() {
  if (!alive_.coordinator || !alive_.participant || !outbox_.empty()) {
    return false;
  }
  Head head;
  head.known = membership_.known();
  coordinator_.encode_head(head.coordinator);
  participant_.begin_snapshot(head.participant);
  head_out_ = wire::encode(head);
  head_out_done_ = 0;
  next_piece_ = Piece::head;
  return true;
}

Bytes TwoPhaseReplica::next_snapshot_piece() {
  if (next_piece_ == Piece::head) {
    Bytes piece(1, static_cast<char>(Piece::head));
    piece.append(head_out_, head_out_done_, piece_body_bytes_max);
    head_out_done_ = std::min(head_out_.size(), head_out_done_ + piece_body_bytes_max);
    if (head_out_done_ == head_out_.size()) {
      next_piece_ = Piece::items;
      head_out_ = {};
    }
    return piece;
  }
  if (next_piece_ == Piece::items) {
    Bytes items;
    if (participant_.next_items(items, piece_body_bytes_max)) {
      return static_cast<char>(Piece::items) + items;
    }
    next_piece_ = Piece::end;
    return Bytes(1, static_cast<char>(Piece::end));
  }
  return {};
}

void TwoPhaseReplica::restore(ByteView snapshot_piece) {
  restore_piece(snapshot_piece, std::nullopt);
}

/// The host has checked the file's checksums: what does not fit here was written wrongly.
void TwoPhaseReplica::restore_piece(ByteView piece, std::optional<Part> only) {
  check(!piece.empty());
  const auto kind = static_cast<Piece>(piece.front());
  piece.remove_prefix(1);
  if (kind == Piece::head) {
    head_in_.append(piece);
    return;
  }
  if (!head_in_.empty()) {  // it is complete: something else has come
    const auto head = wire::decode<Head>(std::exchange(head_in_, {}));
    check(head.has_value());
    for (const KnownDisk& known : head->known) {
      membership_.recover(known);
    }
    check(only == Part::participant || coordinator_.restore_head(head->coordinator));
    check(only == Part::coordinator || participant_.restore_head(head->participant));
  }
  if (kind == Piece::items && only != Part::coordinator) {
    check(participant_.restore_items(piece));
  }
}

void TwoPhaseReplica::check_invariants() const {
  participant_.check_invariants();
  coordinator_.check_invariants();
}

// --- roles ---------------------------------------------------------------------------------------

bool TwoPhaseReplica::has_role(std::string_view role) const {
  return role == coordinator_role || role == participant_role;
}

bool TwoPhaseReplica::plays(std::string_view role) const {
  if (role == participant_role) {
    return alive_.participant && participant_.prepared() > 0;
  }
  return (role == coordinator_role || role == "leader") && alive_.coordinator &&
         (coordinator_.undecided() > 0 || coordinator_.unacknowledged() > 0);
}

void TwoPhaseReplica::kill_role(std::string_view role) {
  check(has_role(role));
  if (role == coordinator_role && alive_.coordinator) {
    alive_.coordinator = false;
    coordinator_.die();
    forwards_.die();
    participant_.release_undecided();
  } else if (role == participant_role && alive_.participant) {
    alive_.participant = false;
    participant_.die();
    outbox_.drop_participants_share();
    coordinator_.lose_participant();
  }
}

void TwoPhaseReplica::restore_role(std::string_view role, ByteView snapshot_piece) {
  kill_role(role);  // a new life may be begun over one that lives
  restore_piece(snapshot_piece, role == coordinator_role ? Part::coordinator : Part::participant);
}

void TwoPhaseReplica::recover_role(std::string_view role, ByteView record) {
  kill_role(role);
  recover_record(record, role == coordinator_role ? Part::coordinator : Part::participant);
}

void TwoPhaseReplica::start_role(std::string_view role, Instant now, Effects& out) {
  kill_role(role);
  if (role == coordinator_role) {
    alive_.coordinator = true;
    participant_.release_decided();
    participant_.catch_up(now, out);
    coordinator_.start(now);
    forwards_.start(coordinator_.boot());
  } else {
    alive_.participant = true;
    participant_.start(now);
    coordinator_.regain_participant();
  }
  flush(now, out);
}

}  // namespace kv::two_phase
