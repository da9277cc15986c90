// One of N copies of the store that change together or not at all: two-phase commit behind the
// Replica boundary.
//
// Any replica serves a GET from what it holds, and waits only for a key that it has promised to
// change: nobody can have seen a change before every replica promised it. An update goes to its
// key's home, whose coordinator queues what wants the same key (or, without homes, to whichever
// replica it came to, and wait-die settles conflicts), and becomes a transaction that all replicas
// must promise. So one replica that is down stops all updates, not the reads; and a coordinator
// that dies between the promises and its word leaves keys in doubt until it is back.
//
// A turn gathers; tick() flushes: one message a peer and kind, few records.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string_view>
#include <vector>

#include "common/kv/replica.h"
#include "common/kv/roles.h"
#include "phase3_2pc/coordinator.h"
#include "phase3_2pc/forwards.h"
#include "phase3_2pc/hearing.h"
#include "phase3_2pc/membership.h"
#include "phase3_2pc/messages.h"
#include "phase3_2pc/options.h"
#include "phase3_2pc/outbox.h"
#include "phase3_2pc/participant.h"

namespace kv::two_phase {

/// A cluster has no more members than this: votes are bits.
inline constexpr std::size_t members_max = 60;

class TwoPhaseReplica final : public Replica, public Roles {
 public:
  /// `members` are all replicas, `self` among them, the same at each.
  TwoPhaseReplica(NodeId self, std::vector<NodeId> members, TwoPhaseOptions options);

  void restore(ByteView snapshot_piece) override;
  void recover(ByteView record) override;
  void start(Instant now, Effects& out) override;
  void receive(Instant now, NodeId from, ByteView message, Effects& out) override;
  void request(Instant now, RequestId id, const Command& command, Effects& out) override;
  void tick(Instant now, Effects& out) override;
  void see_room(bool has_room) override;
  Instant wake_at() const override;
  bool begin_snapshot() override;
  Bytes next_snapshot_piece() override;
  void check_invariants() const override;

  // Roles: coordinator and participant. `leader` is whoever has transactions under way.
  bool plays(std::string_view role) const override;
  bool has_role(std::string_view role) const override;
  void kill_role(std::string_view role) override;
  void restore_role(std::string_view role, ByteView snapshot_piece) override;
  void recover_role(std::string_view role, ByteView record) override;
  void start_role(std::string_view role, Instant now, Effects& out) override;

  const Participant& participant() const { return participant_; }
  const Coordinator& coordinator() const { return coordinator_; }
  const Membership& membership() const { return membership_; }
  const Hearing& hearing() const { return hearing_; }
  NodeId home_of(std::string_view key) const;
  bool participant_lives() const { return alive_.participant; }
  bool coordinator_lives() const { return alive_.coordinator; }
  /// A member, and no peer that spoke since the start of this life knows more than this one does.
  bool takes_part() const {
    return membership_.standing() == Membership::Standing::member &&
           (heard_ || members_.size() == 1);
  }

 private:
  enum class Piece : std::uint8_t { head = 1, items, end };
  enum class Part : std::uint8_t { coordinator, participant };

  /// Which roles live.
  struct Alive {
    bool coordinator = true;
    bool participant = true;
  };
  struct Early {  // a request that came before this replica took part
    Instant deadline;
    RequestId id;
    Command command;
  };
  struct Head;

  void restore_piece(ByteView piece, std::optional<Part> only);
  void recover_record(ByteView record, std::optional<Part> only);
  void route(Instant now, NodeId from, MessageKind kind, ByteView body, Effects& out);
  template <typename Item, typename OnItem>
  void each(Instant now, NodeId from, ByteView body, Effects& out, OnItem on_item);
  void on_header(Instant now, NodeId from, const Header& header);
  void on_inquiry(Instant now, NodeId from, const TxnId& txn, Effects& out);
  void on_pulse(Instant now, NodeId from, const Pulse& pulse, Effects& out);
  void update(Instant now, RequestId id, const Command& command, Effects& out);
  void refuse_early(RequestId id, Effects& out) const;
  void see_to_early(Instant now, Effects& out);
  void judge_disks(Instant now, NodeId from, const Pulse& pulse, Effects& out);
  void leave();
  bool lacks_something(const Pulse& pulse) const;
  Pulse pulse() const;
  bool is_lost() const { return membership_.standing() == Membership::Standing::lost; }
  bool may_take_part_yet() const { return !takes_part() && !is_lost(); }
  bool alarm_due(Instant now, NodeId about);
  void flush(Instant now, Effects& out);
  Header header() const;
  bool is_member(NodeId node) const;
  bool is_good(NodeId from, const Transaction& transaction) const;
  void note_malformed(NodeId from, Effects& out) const;

  const NodeId self_;
  const std::vector<NodeId> members_;
  const TwoPhaseOptions options_;
  Outbox outbox_;
  Hearing hearing_;
  Forwards forwards_;
  Participant participant_;
  Coordinator coordinator_;
  Membership membership_;
  Alive alive_;
  bool heard_ = false;  // the pulse of one that tells, in this life
  std::map<NodeId, Instant> alarmed_at_;
  std::deque<Early> early_;
  Instant pulse_at_ = never;
  Instant later_at_ = never;  // when what waits for company leaves without

  // A snapshot on its way in (the head comes in parts) or out.
  Bytes head_in_;
  Bytes head_out_;
  std::size_t head_out_done_ = 0;
  Piece next_piece_ = Piece::end;
};

}  // namespace kv::two_phase
