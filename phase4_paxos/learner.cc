#include "phase4_paxos/learner.h"

#include <algorithm>
#include <utility>

#include "common/core/check.h"
#include "common/core/hash.h"
#include "common/core/transfer_time.h"
#include "common/wire/line.h"
#include "common/wire/logfmt.h"

namespace kv::paxos {
namespace {

constexpr std::size_t image_asks_max = 20;  // without an answer

}  // namespace

Learner::Learner(NodeId self, std::vector<NodeId> members, const PaxosOptions& options,
                 std::uint64_t seed)
    : self_(self),
      members_(std::move(members)),
      options_(options),
      random_(seed),
      machine_(std::make_unique<StateMachine>(options.sessions)) {
  if (std::ranges::find(members_, self) != members_.end()) {
    configurations_ = Configurations{members_};
  }
}

void Learner::answer_for(std::uint64_t boot, std::uint64_t first) {
  boot_ = boot;
  first_answered_ = first;
}

void Learner::start(Instant now) {
  check(!restoring_);
  started_ = leapt_ = true;
  seek_at_ = taken_ ? now : never;
}

// --- what is chosen ------------------------------------------------------------------------------

void Learner::on_accept(Instant now, const Accept& accept, const Value& value, Post& post) {
  place(accept.slot, accept.ballot, value);
  value_bytes_ = value->size();
  leader_ = {accept.ballot.node};
  on_chosen(accept.ballot, accept.chosen);
  apply_chosen(&post);
  seek(now);
}

void Learner::on_beat(Instant now, const Beat& beat, Post& post) {
  leader_ = {beat.ballot.node};
  on_chosen(beat.ballot, beat.chosen);
  apply_chosen(&post);
  compare(beat.at, beat.checksum, post);
  seek(now);
}

Learner::Place* Learner::place_of(Slot slot) {
  if (slot <= applied_ || slot.value > applied_.value + slots_ahead_max) {
    return nullptr;
  }
  const std::uint64_t index = slot - base_;
  if (index >= log_.size()) {
    log_.resize(index + 1);
  }
  return &log_[index];
}

void Learner::place(Slot slot, const Ballot& ballot, const Value& value) {
  Place* place = place_of(slot);
  if (place == nullptr || place->chosen || (place->value && place->ballot >= ballot)) {
    return;
  }
  place->ballot = ballot;
  place->value = value;
  place->chosen = slot <= chosen_.slot && ballot >= chosen_.ballot;
}

void Learner::place_chosen(Slot slot, const Value& value) {
  if (Place* place = place_of(slot)) {
    place->value = value;
    place->chosen = true;
  }
}

/// P2b: once a value is chosen, every proposal with a higher number has that value. So what came
/// under this ballot or a later one is what was chosen.
void Learner::on_chosen(const Ballot& ballot, Slot chosen) {
  if (ballot < chosen_.ballot || (ballot == chosen_.ballot && chosen <= chosen_.slot)) {
    return;
  }
  const Slot known = ballot == chosen_.ballot ? std::max(chosen_.slot, applied_) : applied_;
  chosen_ = {ballot, std::max(chosen, chosen_.slot)};
  const Slot end = std::min(chosen, base_ + log_.size());
  for (Slot slot = known + 1; slot <= end && slot - base_ < log_.size(); slot = slot + 1) {
    Place& each = log_[slot - base_];
    each.chosen = each.chosen || (each.value && each.ballot >= ballot);
  }
}

void Learner::apply_chosen(Post* post) {
  if (restoring_ || diverged_) {
    return;
  }
  while (applied_ + 1 - base_ < log_.size() && log_[applied_ + 1 - base_].chosen) {
    Place& next = log_[applied_ + 1 - base_];
    applied_ = applied_ + 1;
    apply(applied_, *next.value, post);
    configurations_.forget(applied_);
    next.checksum = machine_->checksum();
    log_bytes_ += next.value->size();
    asked_ = 0;
  }
  drop_old();
  if (to_compare_ && to_compare_->at <= applied_ && post != nullptr) {
    compare(to_compare_->at, to_compare_->checksum, *post);
  }
}

/// Keeps as much as is of use to others, and of what is applied nothing more.
void Learner::drop_old() {
  const std::size_t bytes_max = std::min(
      options_.log_bytes_max, std::max(options_.log_bytes_worth, machine_->memory_bytes()));
  while (base_ <= applied_ &&
         (log_bytes_ > bytes_max || applied_ - base_ >= options_.log_slots_max)) {
    log_bytes_ -= log_.front().value->size();
    log_.pop_front();
    base_ = base_ + 1;
  }
}

// --- applying ------------------------------------------------------------------------------------

void Learner::apply(Slot slot, const Bytes& value, Post* post) {
  ByteView rest = value;
  if (rest.empty()) {
    return;  // a no-op
  }
  const auto time = read_time(rest);
  if (!time) {
    return;  // no value of ours; every learner passes over it alike
  }
  entry_.time = *time;
  while (const auto parcel = read_string(rest)) {
    if (const auto change = unpack_change(*parcel)) {
      reconfigure(slot, *change, post);
    } else {
      apply_parcel(slot, *parcel, post);
    }
  }
}

/// Of a later life than this one it is only if the disk is a copy of what it was before: the desk
/// sees to that.
bool Learner::is_for_the_desk(const ParcelId& id) const {
  return id.node == self_ && boot_ != 0 &&
         (id.boot > boot_ || (id.boot == boot_ && id.number >= first_answered_));
}

void Learner::apply_parcel(Slot slot, ByteView parcel, Post* post) {
  const ByteView whole = parcel;
  const auto id = read_parcel_id(parcel);
  if (!id) {
    return;
  }
  Replied* kept = nullptr;
  if (is_for_the_desk(*id)) {
    kept = &replies_.emplace_back(
        Replied{.boot = id->boot, .number = id->number, .print = hash_of(whole), .replies = {}});
  }
  if (!parcels_.take(*id)) {
    return;
  }
  while (read_command(parcel, entry_.command)) {
    machine_->apply(entry_, reply_);
    if (post != nullptr && post->notes(Level::debug)) {
      note_applied(slot, *post);
    }
    if (kept != nullptr) {
      kept->replies.push_back(reply_);
    }
  }
}

/// 3: the state after this slot says who decides the one window_slots behind it.
void Learner::reconfigure(Slot slot, const Reconfigure& change, Post* post) {
  const bool made = configurations_.apply(slot, change, options_.window_slots);
  if (post != nullptr && made) {
    post->note(Level::info, wire::LogFields{}
                                .add("role", "learner")
                                .add("event", "members")
                                .add("slot", slot.value)
                                .add("from_slot", configurations_.latest().from.value)
                                .add("members", configurations_.latest().text())
                                .text());
  }
}

void Learner::note_applied(Slot slot, Post& post) const {
  std::string op;
  wire::append_origin(op, entry_.command.origin);
  post.note(Level::debug, wire::LogFields{}
                              .add("role", "learner")
                              .add("event", "apply")
                              .add("op", op)
                              .add("slot", slot.value)
                              .add("verb", name_of(entry_.command.verb))
                              .add("key", entry_.command.key)
                              .add("result", name_of(reply_.status))
                              .text());
}

/// Two replicas that applied the same slots have the same checksum, or one of them is broken.
void Learner::compare(Slot at, std::uint64_t checksum, Post& post) {
  if (at > applied_) {
    if (!to_compare_) {
      to_compare_ = Beat{.at = at, .checksum = checksum};
    }
    return;
  }
  if (to_compare_ && to_compare_->at <= applied_) {
    to_compare_.reset();
  }
  if (at < base_ || at.value == 0 || diverged_) {
    return;
  }
  const std::uint64_t ours = log_[at - base_].checksum;
  if (ours != checksum) {
    diverged_ = true;
    post.note(Level::error, wire::LogFields{}
                                .add("role", "learner")
                                .add("event", "divergence")
                                .add("slot", at.value)
                                .add("checksum", ours)
                                .add("leaders", checksum)
                                .text());
  }
}

const Bytes* Learner::value_at(Slot slot) const {
  return slot < base_ || slot > applied_ ? nullptr : log_[slot - base_].value.get();
}

// --- catching up ---------------------------------------------------------------------------------

/// What is chosen and not here may still be on its way: for a moment nothing is asked.
void Learner::seek(Instant now) {
  if (!lacks_something()) {
    seek_at_ = taken_ ? seek_at_ : never;
    asked_ = 0;
  } else if (seek_at_ == never) {
    seek_at_ = now + options_.learn_after + transfer_time(4 * value_bytes_);
  }
}

void Learner::reach(Instant now, Slot slot) {
  reach_ = std::max(reach_, slot);
  seek(now);
}

/// First the leader, then anybody.
NodeId Learner::whom_to_ask() {
  if (asked_++ == 0 && leader_ != self_ && leader_.value != 0) {
    return leader_;
  }
  const std::vector<NodeId> peers = configurations_.known() ? configurations_.nodes() : members_;
  const NodeId any = peers[random_.below(peers.size())];
  return any == self_ ? peers[(random_.below(peers.size()))] : any;
}

void Learner::tick(Instant now, Post& post) {
  if (lent_ && now - lent_->asked_at() >= options_.image_patience) {
    take_back_image();
  }
  if (now < seek_at_) {
    return;
  }
  seek_at_ = now + options_.resend_after + transfer_time(4 * value_bytes_);
  if (taken_) {
    if (asked_++ < image_asks_max) {
      return ask_for_pieces(now, post, Leaves::at_once);
    }
    taken_.reset();  // whoever lent it is gone
    asked_ = 0;
  }
  if (!lacks_something()) {
    seek_at_ = never;
  } else if (const NodeId whom = whom_to_ask(); whom != self_) {
    post.send(whom, pack(Learn{applied_ + 1}), Leaves::at_once);
  }
}

Instant Learner::wake_at() const {
  return lent_ ? std::min(seek_at_, lent_->asked_at() + options_.image_patience) : seek_at_;
}

void Learner::take_back_image() {
  lent_.reset();
  imaging_ = Imaging::nobody;
}

void Learner::on_learn(NodeId from, const Learn& learn, Post& post) {
  if (lent_ && lent_->to() == from && learn.from > lent_->applied()) {
    take_back_image();  // it has it: the next one need not wait
  }
  if (learn.from > applied_ || diverged_) {
    return;  // it knows as much as this one does
  }
  Learned learned{.first = learn.from, .values = {}, .kept_from = base_, .applied = applied_};
  std::size_t bytes = 0;
  for (Slot slot = learn.from; slot >= base_ && slot <= applied_ && bytes < reply_bytes_max;
       slot = slot + 1) {
    learned.values.push_back(*log_[slot - base_].value);
    bytes += learned.values.back().size();
  }
  post.send(from, pack(learned), Leaves::at_once);
}

void Learner::on_learned(Instant now, NodeId from, const Learned& learned, ByteView record,
                         Post& post) {
  if (learned.applied <= applied_ || taken_) {
    return;
  }
  reach_ = std::max(reach_, learned.applied);  // no leader may tell this replica how far it is
  if (learned.values.empty()) {
    if (learned.first == applied_ + 1 && learned.kept_from > learned.first) {
      taken_ = TakenImage{.id = 0, .from = from};
      asked_ = 0;
      ask_for_pieces(now, post, Leaves::at_once);
    }
    return;
  }
  post.record(Bytes{record});
  const Slot before = applied_;
  recover(learned);
  apply_chosen(&post);
  if (applied_ > before && lacks_something() && learned.applied > applied_) {
    seek_at_ = now + options_.resend_after;
    post.send(from, pack(Learn{applied_ + 1}), Leaves::after_records);  // no faster than our disk
  }
  seek(now);
}

// --- images --------------------------------------------------------------------------------------

Bytes Learner::head_body() const {
  Bytes parcels;
  parcels_.encode_to(parcels);
  Bytes body;
  write_string(body, parcels);
  write_string(body, wire::encode(configurations_));
  return body;
}

namespace {

/// False if the bytes are damaged.
bool read_head_body(ByteView body, ParcelWindows& parcels, Configurations& configurations) {
  const auto windows = read_string(body);
  const auto deciders = windows ? read_string(body) : std::nullopt;
  auto read = deciders ? wire::decode<Configurations>(*deciders) : std::nullopt;
  if (!read || !parcels.decode(*windows)) {
    return false;
  }
  configurations = std::move(*read);
  return true;
}

}  // namespace

Bytes Learner::head_for_peer() const {
  return pack(Head{.boot = 0, .promised = {}, .applied = applied_}, head_body());
}

void Learner::on_image_ask(Instant now, NodeId from, const ImageAsk& ask, Post& post) {
  if (diverged_ || !configurations_.known() || ask.end < ask.piece ||
      ask.end - ask.piece > image_window) {
    return;
  }
  // One that asks for a new image while its first pieces are on their way is sent these again.
  const bool again =
      lent_ && lent_->to() == from && ask.image == 0 && lent_->piece(0, 0) != nullptr;
  const bool same = again || (lent_ && lent_->to() == from && lent_->id() == ask.image);
  if (!same) {
    const bool mine = lent_ && lent_->to() == from;
    if (imaging_ != Imaging::nobody && !mine) {
      return;  // one at a time: it asks again
    }
    lent_ = std::make_unique<LentImage>(*machine_, applied_, head_for_peer(), random_.next() | 1,
                                        from, now);
    imaging_ = Imaging::peer;
    post.note(Level::info, wire::LogFields{}
                               .add("role", "learner")
                               .add("event", "image_lent")
                               .add("to", from.value)
                               .add("slot", applied_.value)
                               .text());
  }
  lent_->asked(now);
  const std::uint64_t first = same ? ask.piece : 0;
  const std::uint64_t end = same ? ask.end : image_window;
  for (std::uint64_t number = first; number < end; ++number) {
    const Bytes* piece = lent_->piece(number, first);
    if (piece == nullptr) {
      break;
    }
    post.send(from, pack(ImagePiece{lent_->id(), number, self_.value}, *piece), Leaves::at_once);
  }
}

void Learner::ask_for_pieces(Instant now, Post& post, Leaves leaves) {
  seek_at_ = now + options_.resend_after;
  const std::uint64_t next = taken_->next;
  post.send(taken_->from, pack(ImageAsk{taken_->id, next, next + image_window}), leaves);
}

void Learner::on_image_piece(Instant now, const ImagePiece& piece, ByteView body, ByteView record,
                             Post& post) {
  if (!taken_ || taken_->from.value != piece.from || !take_piece(piece, body)) {
    return;
  }
  post.record(Bytes{record});
  took_piece_ = true;
  asked_ = 0;
  seek_at_ = now + options_.resend_after;
  if (!taken_) {  // it was the last
    post.note(Level::info, wire::LogFields{}
                               .add("role", "learner")
                               .add("event", "image_taken")
                               .add("from", piece.from)
                               .add("slot", applied_.value)
                               .text());
    seek_at_ = never;
    apply_chosen(&post);
    seek(now);
  } else if (taken_->next % (image_window / 2) == 0) {
    ask_for_pieces(now, post, Leaves::after_records);
  }
}

/// Whether it was the next piece, and good.
bool Learner::take_piece(const ImagePiece& piece, ByteView body) {
  if (piece.piece == 0 && piece.image != taken_->id) {
    const auto head = unpack_with_body<Head>(body);
    ParcelWindows parcels;
    Configurations configurations;
    if (!head || head->first.applied <= applied_ ||
        !read_head_body(head->second, parcels, configurations) || !configurations.known()) {
      return false;
    }
    *taken_ = TakenImage{.id = piece.image,
                         .from = {piece.from},
                         .next = 1,
                         .applied = head->first.applied,
                         .parcels = std::move(parcels),
                         .configurations = std::move(configurations),
                         .machine = std::make_unique<StateMachine>(options_.sessions)};
    return true;
  }
  if (piece.image != taken_->id || piece.piece != taken_->next || !taken_->machine) {
    return false;
  }
  const StateMachine::Restored restored = taken_->machine->restore(body);
  if (restored == StateMachine::Restored::damaged) {
    *taken_ = TakenImage{.id = 0, .from = taken_->from};  // from its beginning
    return false;
  }
  ++taken_->next;
  if (restored == StateMachine::Restored::done) {
    install();
  }
  return true;
}

void Learner::install() {
  TakenImage image = std::move(*taken_);
  taken_.reset();
  if (image.applied <= applied_) {
    return;  // it got there by itself meanwhile
  }
  if (imaging_ == Imaging::snapshot) {
    imaged_ = std::move(machine_);  // its snapshot goes on
  } else {
    take_back_image();  // it showed the machine that goes now
  }
  machine_ = std::move(image.machine);
  parcels_ = std::move(image.parcels);
  if (!configurations_.known() || image.configurations.latest().number > 0) {
    configurations_ = std::move(image.configurations);  // of the founders each knows itself
  }
  while (base_ <= image.applied && !log_.empty()) {
    log_bytes_ -= base_ <= applied_ ? log_.front().value->size() : 0;
    log_.pop_front();
    base_ = base_ + 1;
  }
  applied_ = image.applied;
  base_ = applied_ + 1;
  leapt_ = true;
}

// --- a life --------------------------------------------------------------------------------------

void Learner::recover(const Founded& founded) {
  if (applied_.value == 0) {
    configurations_ = founded.configurations;
  }
}

void Learner::restore(const Head& head, ByteView body) {
  Configurations of_snapshot;
  if (read_head_body(body, parcels_, of_snapshot)) {
    configurations_ = std::move(of_snapshot);
  } else {  // written when members did not change; whoever drives us has proved its bytes
    check(parcels_.decode(body));
  }
  applied_ = head.applied;
  base_ = applied_ + 1;
  restoring_ = true;
}

void Learner::restore_machine(ByteView piece) {
  const StateMachine::Restored restored = machine_->restore(piece);
  check(restored != StateMachine::Restored::damaged);
  restoring_ = restored == StateMachine::Restored::more;
}

void Learner::recover(const Accept& accept, const Value& value) {
  place(accept.slot, accept.ballot, value);
  on_chosen(accept.ballot, accept.chosen);
  apply_chosen(nullptr);
}

void Learner::recover(const Learned& learned) {
  for (std::size_t i = 0; i < learned.values.size(); ++i) {
    place_chosen(learned.first + i, std::make_shared<const Bytes>(learned.values[i]));
  }
  if (!started_) {
    apply_chosen(nullptr);
  }
}

void Learner::recover(const ImagePiece& piece, ByteView body) {
  if (!taken_) {
    taken_ = TakenImage{.id = 0, .from = {piece.from}};
  }
  take_piece(piece, body);
  if (taken_ && taken_->id == 0) {
    taken_.reset();  // the rest of one whose beginning is gone
  }
}

// --- a snapshot of this replica ------------------------------------------------------------------

bool Learner::begin_snapshot() {
  if (imaging_ == Imaging::peer || taken_) {
    return false;
  }
  imaging_ = Imaging::snapshot;
  imaged_.reset();  // of one that was given up
  machine_->begin_snapshot();
  return true;
}

Bytes Learner::next_snapshot_piece() {
  Bytes piece = (imaged_ ? imaged_ : machine_)->next_snapshot_piece();
  if (piece.empty()) {
    imaging_ = Imaging::nobody;
    imaged_.reset();
  }
  return piece;
}

void Learner::check_invariants() const {
  check(base_ <= applied_ + 1);
  check(applied_ + 1 - base_ <= log_.size() || log_.empty());
}

}  // namespace kv::paxos
