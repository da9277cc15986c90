// A learner (Paxos Made Simple, 2.3): it finds out what was chosen and applies it, slot by slot.
//
// The leader says how far the slots are chosen; the values came with its Accepts. What a learner
// has under that ballot or a greater one is then what was chosen (P2b); what it has not, it asks
// the other learners for, as values, or as an image of the state where the values are gone.
//
// Its records are the acceptor's (the values and how far they were chosen), and what others told
// it. None has to be durable for safety: what a majority of acceptors has can be learned again.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/core/random.h"
#include "common/core/time.h"
#include "common/kv/state_machine.h"
#include "phase4_paxos/acceptor.h"
#include "phase4_paxos/ballot.h"
#include "phase4_paxos/configuration.h"
#include "phase4_paxos/image.h"
#include "phase4_paxos/messages.h"
#include "phase4_paxos/notices.h"
#include "phase4_paxos/options.h"
#include "phase4_paxos/parcel.h"
#include "phase4_paxos/post.h"

namespace kv::paxos {

class Learner {
 public:
  /// `members` found the cluster, if `self` is among them and no record says otherwise. It may ask
  /// them, and whoever it learns to decide.
  Learner(NodeId self, std::vector<NodeId> members, const PaxosOptions& options,
          std::uint64_t seed);

  void on_accept(Instant now, const Accept& accept, const Value& value, Post& post);
  void on_beat(Instant now, const Beat& beat, Post& post);
  void on_learn(NodeId from, const Learn& learn, Post& post);
  void on_learned(Instant now, NodeId from, const Learned& learned, ByteView record, Post& post);
  void on_image_ask(Instant now, NodeId from, const ImageAsk& ask, Post& post);
  void on_image_piece(Instant now, const ImagePiece& piece, ByteView body, ByteView record,
                      Post& post);
  /// Everything up to `slot` is chosen: find it out.
  void reach(Instant now, Slot slot);
  void tick(Instant now, Post& post);
  Instant wake_at() const;

  /// All that is applied() shows in the answers; none if that is not far enough.
  void on_read_now(const ReadNow& reads, Post& post);
  /// Tells the other parts of this replica what is new: replies, and how far it is.
  void report(Post& post);
  void on_ask() { asked_where_ = true; }

  /// The replies of parcels of that life, from that number on, are told to the desk.
  void answer_for(std::uint64_t boot, std::uint64_t first);

  // A new life, from a snapshot and the records behind it; then start().
  void restore(const Head& head, ByteView body);
  void recover(const Founded& founded);
  void restore_machine(ByteView piece);
  void recover(const Accept& accept, const Value& value);
  void recover(const Learned& learned);
  void recover(const ImagePiece& piece, ByteView body);
  void start(Instant now);

  /// Freezes the state for a snapshot of this replica; false while an image is on its way, here
  /// or there.
  bool begin_snapshot();
  Bytes next_snapshot_piece();
  /// The body of a Head.
  Bytes head_body() const;

  Slot applied() const { return applied_; }
  /// Who decides the slots behind what is applied.
  const Configurations& configurations() const { return configurations_; }
  /// The first slot whose value is kept for others.
  Slot kept_from() const { return base_; }
  std::uint64_t checksum() const { return machine_->checksum(); }
  LogTime time() const { return machine_->time(); }
  bool taking_image() const { return taken_.has_value(); }
  /// This replica's log is not that of the others: it must not serve.
  bool diverged() const { return diverged_; }
  /// The value of a slot that is applied and kept; null if it is not.
  const Bytes* value_at(Slot slot) const;
  void check_invariants() const;

 private:
  struct Place {
    Ballot ballot;
    Value value;
    bool chosen = false;
    std::uint64_t checksum = 0;  // of the log up to here, once it is applied
  };
  struct Chosen {  // every slot up to `slot` is chosen, under `ballot` or an earlier one
    Ballot ballot;
    Slot slot;
  };

  Place* place_of(Slot slot);
  void place(Slot slot, const Ballot& ballot, const Value& value);
  void place_chosen(Slot slot, const Value& value);
  void on_chosen(const Ballot& ballot, Slot chosen);
  void apply_chosen(Post* post);
  void apply(Slot slot, const Bytes& value, Post* post);
  void apply_parcel(Slot slot, ByteView parcel, Post* post);
  bool is_for_the_desk(const ParcelId& id) const;
  void reconfigure(Slot slot, const Reconfigure& change, Post* post);
  void note_applied(Slot slot, Post& post) const;
  void drop_old();
  bool lacks_something() const { return applied_ < std::max(chosen_.slot, reach_); }
  void seek(Instant now);
  NodeId whom_to_ask();
  void compare(Slot at, std::uint64_t checksum, Post& post);
  bool take_piece(const ImagePiece& piece, ByteView body);
  void install();
  void take_back_image();
  void ask_for_pieces(Instant now, Post& post, Leaves leaves);
  Bytes head_for_peer() const;

  const NodeId self_;
  const std::vector<NodeId> members_;
  const PaxosOptions& options_;
  std::uint64_t boot_ = 0;  // whose parcels are answered; 0: nobody's
  std::uint64_t first_answered_ = 0;
  Random random_;

  std::unique_ptr<StateMachine> machine_;
  ParcelWindows parcels_;
  Configurations configurations_;
  std::size_t value_bytes_ = 0;  // of what was last accepted here
  Slot applied_;
  Slot base_{1};
  std::deque<Place> log_;  // of base_ and the slots behind it
  std::size_t log_bytes_ = 0;
  Chosen chosen_;
  Slot reach_;  // also chosen, by whatever ballot

  Entry entry_;  // being applied; kept, with the reply, for the capacity of their strings
  Reply reply_;
  std::vector<Replied> replies_;  // that the next report() tells
  bool leapt_ = false;            // so does it that a new life began, or an image was taken in;
  bool asked_where_ = false;      // and, to whoever is new, that it is where it was
  bool took_piece_ = false;       // of an image
  Slot told_;                     // to have been applied
  Configurations told_who_;       // decides behind that
  bool started_ = false;
  bool diverged_ = false;
  std::optional<Beat> to_compare_;

  Instant seek_at_ = never;  // something is missing: ask for it then
  std::size_t asked_ = 0;    // how often, without getting on
  NodeId leader_;
  std::optional<TakenImage> taken_;
  bool restoring_ = false;  // its own snapshot is not complete yet

  enum class Imaging : std::uint8_t { nobody, snapshot, peer };
  Imaging imaging_ = Imaging::nobody;
  std::unique_ptr<LentImage> lent_;
  std::unique_ptr<StateMachine> imaged_;  // replaced, while a snapshot of it was on its way out
};

}  // namespace kv::paxos
