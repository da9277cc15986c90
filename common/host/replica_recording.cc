#include "common/host/replica_recording.h"

#include <utility>

#include "common/core/check.h"
#include "common/core/varint.h"
#include "common/wire/checksum.h"
#include "common/wire/fields.h"
#include "common/wire/line.h"

namespace kv::host {
namespace {

enum class CallKind : std::uint8_t {
  restore,
  recover,
  start,
  receive,
  request,
  tick,
  begin_snapshot,
  next_snapshot_piece,
  kill_role,
  restore_role,
  recover_role,
  start_role,
  change_members,
  see_room,
};
constexpr CallKind last_of(CallKind) {
  return CallKind::see_room;
}

constexpr std::string_view name_of(CallKind kind) {
  constexpr std::string_view names[] = {
      "restore",        "recover",      "start",          "receive",
      "request",        "tick",         "begin_snapshot", "next_snapshot_piece",
      "kill_role",      "restore_role", "recover_role",   "start_role",
      "change_members", "see_room"};
  return names[static_cast<std::size_t>(kind)];
}

struct RecordedCall {
  CallKind kind = CallKind::tick;
  Instant now{};
  std::uint64_t number = 0;  // whom a message is from, which request, or whether there is room
  Bytes bytes;               // a piece, a record, a message
  std::string role;
  Command command;
  MemberChange change;

  static void fields(auto& self, auto& visit) {
    visit("kind", self.kind);
    visit("now", self.now);
    visit("number", self.number);
    visit("bytes", self.bytes);
    visit("role", self.role);
    visit("command", self.command);
    visit("change", self.change);
  }
};

/// How much had been answered before a call, so that what it adds can be told apart.
struct EffectsMark {
  explicit EffectsMark(const Effects& out)
      : records(out.records.size()),
        sends(out.sends.size()),
        answers(out.answers.size()),
        notes(out.notes.size()) {}
  std::size_t records;
  std::size_t sends;
  std::size_t answers;
  std::size_t notes;
};

/// What was added to `out` since `mark`, as one number.
std::uint64_t outcome_of(const Effects& out, const EffectsMark& mark) {
  Bytes bytes;
  for (std::size_t i = mark.records; i < out.records.size(); ++i) {
    write_string(bytes, out.records[i]);
  }
  bytes += '|';
  for (std::size_t i = mark.sends; i < out.sends.size(); ++i) {
    write_varint(bytes, out.sends[i].to.value * 2 + (out.sends[i].after_records ? 1 : 0));
    write_string(bytes, out.sends[i].message);
  }
  bytes += '|';
  for (std::size_t i = mark.answers; i < out.answers.size(); ++i) {
    write_varint(bytes, out.answers[i].request.value);
    write_string(bytes, wire::encode(out.answers[i].reply));
  }
  bytes += '|';
  for (std::size_t i = mark.notes; i < out.notes.size(); ++i) {
    write_varint(bytes, static_cast<std::uint64_t>(out.notes[i].level));
    write_string(bytes, out.notes[i].fields);
  }
  return wire::checksum(bytes);
}

std::uint64_t perform(const RecordedCall& call, Replica& replica, Effects& out) {
  auto* const roles = dynamic_cast<Roles*>(&replica);
  check(roles != nullptr || call.role.empty());
  switch (call.kind) {
    case CallKind::restore:
      replica.restore(call.bytes);
      return 0;
    case CallKind::recover:
      replica.recover(call.bytes);
      return 0;
    case CallKind::start:
      replica.start(call.now, out);
      break;
    case CallKind::receive:
      replica.receive(call.now, {static_cast<std::uint32_t>(call.number)}, call.bytes, out);
      break;
    case CallKind::request:
      replica.request(call.now, {call.number}, call.command, out);
      break;
    case CallKind::tick:
      replica.tick(call.now, out);
      break;
    case CallKind::see_room:
      replica.see_room(call.number != 0);
      return 0;
    case CallKind::begin_snapshot:
      return replica.begin_snapshot() ? 1 : 0;
    case CallKind::next_snapshot_piece:
      return wire::checksum(replica.next_snapshot_piece());
    case CallKind::kill_role:
      roles->kill_role(call.role);
      return 0;
    case CallKind::restore_role:
      roles->restore_role(call.role, call.bytes);
      return 0;
    case CallKind::recover_role:
      roles->recover_role(call.role, call.bytes);
      return 0;
    case CallKind::start_role:
      roles->start_role(call.role, call.now, out);
      break;
    case CallKind::change_members: {
      auto* const members = dynamic_cast<Members*>(&replica);
      check(members != nullptr);
      members->change_members(call.now, {call.number}, call.change, out);
      break;
    }
  }
  return outcome_of(out, EffectsMark{Effects{}});
}

template <typename T>
void write_entry(const T& entry, const RecordingSink& sink) {
  Bytes bytes;
  write_string(bytes, wire::encode(entry));
  sink(bytes);
}

std::string id_of(const Command& command) {
  std::string id;
  wire::append_origin(id, command.origin);
  return id;
}

}  // namespace

void write_head(const RecordingHead& head, const RecordingSink& sink) {
  write_entry(head, sink);
}

std::optional<RecordingHead> read_head(ByteView& recording) {
  const auto entry = read_string(recording);
  auto head = entry ? wire::decode<RecordingHead>(*entry) : std::nullopt;
  return head && head->format == RecordingHead::current ? std::move(head) : std::nullopt;
}

// --- recording -----------------------------------------------------------------------------------

namespace {

void write_outcome(std::uint64_t outcome, const RecordingSink& sink) {
  Bytes bytes;
  write_fixed(bytes, outcome);
  sink(bytes);
}

/// For what answers with effects.
template <typename Perform>
void recorded(const RecordedCall& call, const RecordingSink& sink, Effects& out, Perform perform) {
  write_entry(call, sink);
  const EffectsMark mark{out};
  perform();
  write_outcome(outcome_of(out, mark), sink);
}

/// For what answers nothing.
template <typename Perform>
void recorded(const RecordedCall& call, const RecordingSink& sink, Perform perform) {
  write_entry(call, sink);
  perform();
  write_outcome(0, sink);
}

}  // namespace

RecordingReplica::RecordingReplica(std::unique_ptr<Replica> inner, RecordingSink sink)
    : inner_(std::move(inner)),
      roles_(dynamic_cast<Roles*>(inner_.get())),
      members_(dynamic_cast<Members*>(inner_.get())),
      sink_(std::move(sink)) {
  check(inner_ != nullptr);
}

void RecordingReplica::restore(ByteView snapshot_piece) {
  recorded({.kind = CallKind::restore, .bytes = Bytes{snapshot_piece}}, sink_,
           [&] { inner_->restore(snapshot_piece); });
}

void RecordingReplica::recover(ByteView record) {
  recorded({.kind = CallKind::recover, .bytes = Bytes{record}}, sink_,
           [&] { inner_->recover(record); });
}

void RecordingReplica::start(Instant now, Effects& out) {
  recorded({.kind = CallKind::start, .now = now}, sink_, out, [&] { inner_->start(now, out); });
}

void RecordingReplica::receive(Instant now, NodeId from, ByteView message, Effects& out) {
  recorded({.kind = CallKind::receive, .now = now, .number = from.value, .bytes = Bytes{message}},
           sink_, out, [&] { inner_->receive(now, from, message, out); });
}

void RecordingReplica::request(Instant now, RequestId id, const Command& command, Effects& out) {
  recorded({.kind = CallKind::request, .now = now, .number = id.value, .command = command}, sink_,
           out, [&] { inner_->request(now, id, command, out); });
}

void RecordingReplica::tick(Instant now, Effects& out) {
  recorded({.kind = CallKind::tick, .now = now}, sink_, out, [&] { inner_->tick(now, out); });
}

void RecordingReplica::see_room(bool has_room) {
  recorded({.kind = CallKind::see_room, .number = has_room ? 1U : 0U}, sink_,
           [&] { inner_->see_room(has_room); });
}

bool RecordingReplica::begin_snapshot() {
  write_entry(RecordedCall{.kind = CallKind::begin_snapshot}, sink_);
  const bool begun = inner_->begin_snapshot();
  write_outcome(begun ? 1 : 0, sink_);
  return begun;
}

Bytes RecordingReplica::next_snapshot_piece() {
  write_entry(RecordedCall{.kind = CallKind::next_snapshot_piece}, sink_);
  Bytes piece = inner_->next_snapshot_piece();
  write_outcome(wire::checksum(piece), sink_);
  return piece;
}

bool RecordingReplica::plays(std::string_view role) const {
  return roles_ != nullptr && roles_->plays(role);
}

bool RecordingReplica::has_role(std::string_view role) const {
  return roles_ != nullptr && roles_->has_role(role);
}

void RecordingReplica::kill_role(std::string_view role) {
  recorded({.kind = CallKind::kill_role, .role = std::string{role}}, sink_,
           [&] { roles_->kill_role(role); });
}

void RecordingReplica::restore_role(std::string_view role, ByteView snapshot_piece) {
  recorded(
      {.kind = CallKind::restore_role, .bytes = Bytes{snapshot_piece}, .role = std::string{role}},
      sink_, [&] { roles_->restore_role(role, snapshot_piece); });
}

void RecordingReplica::recover_role(std::string_view role, ByteView record) {
  recorded({.kind = CallKind::recover_role, .bytes = Bytes{record}, .role = std::string{role}},
           sink_, [&] { roles_->recover_role(role, record); });
}

void RecordingReplica::start_role(std::string_view role, Instant now, Effects& out) {
  recorded({.kind = CallKind::start_role, .now = now, .role = std::string{role}}, sink_, out,
           [&] { roles_->start_role(role, now, out); });
}

void RecordingReplica::change_members(Instant now, RequestId id, const MemberChange& change,
                                      Effects& out) {
  recorded({.kind = CallKind::change_members, .now = now, .number = id.value, .change = change},
           sink_, out, [&] { members_->change_members(now, id, change, out); });
}

// --- replaying -----------------------------------------------------------------------------------

ReplayOutcome replay(ByteView recording, Replica& replica, const ReplayOptions& options) {
  ReplayOutcome outcome;
  Effects out;
  while (!recording.empty() && !outcome.reached && outcome.divergence.empty()) {
    const auto entry = read_string(recording);
    const auto call = entry ? wire::decode<RecordedCall>(*entry) : std::nullopt;
    if (!call) {
      outcome.cut_short = true;
      break;
    }
    outcome.reached = !options.until.empty() && call->kind == CallKind::request &&
                      id_of(call->command) == options.until;
    if (outcome.reached) {
      options.before_last();
    }
    ++outcome.calls;
    out.clear();
    const std::uint64_t answered = perform(*call, replica, out);
    for (const Note& note : out.notes) {
      options.on_note(call->now, note);
    }
    options.on_effects(out);
    const auto recorded_outcome = read_fixed(recording);
    outcome.cut_short = !recorded_outcome;
    if (recorded_outcome && *recorded_outcome != answered) {
      outcome.divergence = "call " + std::to_string(outcome.calls) + ", " +
                           std::string{name_of(call->kind)} + ", is answered otherwise";
    }
  }
  return outcome;
}

}  // namespace kv::host
