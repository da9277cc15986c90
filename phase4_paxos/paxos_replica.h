// One replica of the store under Multi-Paxos: a proposer, an acceptor and a learner, which die and
// return alone, and the desk that serves its clients.
//
// The roles share no memory but values that nobody changes; what one has to say to another, of
// this replica or of another, is a message. This class hands each message to the roles that it is
// for, in one thread.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "common/core/random.h"
#include "common/kv/members.h"
#include "common/kv/replica.h"
#include "common/kv/roles.h"
#include "phase4_paxos/acceptor.h"
#include "phase4_paxos/acceptor_recovery.h"
#include "phase4_paxos/acquaintance.h"
#include "phase4_paxos/configuration.h"
#include "phase4_paxos/desk.h"
#include "phase4_paxos/learner.h"
#include "phase4_paxos/member_desk.h"
#include "phase4_paxos/options.h"
#include "phase4_paxos/post.h"
#include "phase4_paxos/proposer.h"
#include "phase4_paxos/watched.h"

namespace kv::paxos {

class PaxosReplica : public Replica, public Roles, public Members, public Watched {
 public:
  /// Roles on their way from one PaxosReplica of a replica to another: see RolesApart.
  struct Cast {
    std::unique_ptr<Proposer> proposer;
    std::unique_ptr<Acceptor> acceptor;
    std::unique_ptr<AcceptorRecovery> recovery;
    std::shared_ptr<Learner> learner;
  };
  struct Births {
    bool proposer = false;
    bool acceptor = false;
    bool learner = false;
  };

  /// `members` found the cluster, if `self` is among them; else they are whom to ask to be let in.
  /// What the records say of members comes before that. At most voters_max.
  PaxosReplica(NodeId self, std::vector<NodeId> members, PaxosOptions options);

  void restore(ByteView snapshot_piece) override;
  void recover(ByteView record) override;
  void start(Instant now, Effects& out) override;
  void receive(Instant now, NodeId from, ByteView message, Effects& out) override;
  void request(Instant now, RequestId id, const Command& command, Effects& out) override;
  void tick(Instant now, Effects& out) override;
  Instant wake_at() const override;
  bool begin_snapshot() override;
  Bytes next_snapshot_piece() override;
  void check_invariants() const override;

  /// `leader`: whose ballot a majority has promised; and each role that is alive.
  bool plays(std::string_view role) const override;
  /// `proposer`, `acceptor`, `learner`, and `all` of them at once.
  bool has_role(std::string_view role) const override;
  void kill_role(std::string_view role) override;
  void restore_role(std::string_view role, ByteView snapshot_piece) override;
  void recover_role(std::string_view role, ByteView record) override;
  void start_role(std::string_view role, Instant now, Effects& out) override;

  MemberList members() const override;
  std::uint64_t members_version() const override;
  void change_members(Instant now, RequestId id, const MemberChange& change, Effects& out) override;

  // For those whose roles live apart.

  /// As start_role(), of several.
  void start_roles(const Births& births, Instant now, Effects& out);
  /// The roles that live here leave, and others come.
  Cast take_cast();
  void adopt(Cast cast);
  /// What parts here say to others of this replica goes there too.
  void speak_to(std::function<void(Bytes message)> elsewhere) { elsewhere_ = std::move(elsewhere); }
  /// As begin_snapshot(), with the acceptor and the learner that live there.
  /// `acceptors` is null where that one is dead, or has never spoken.
  bool begin_snapshot_of(const PaxosReplica* acceptors, PaxosReplica& learners);
  /// Whether there is an acceptor at all: else nobody of this replica may speak.
  bool speaks() const { return acquaintance_.born(); }
  bool hears_leader() const { return desk_.has_leader(now_); }
  /// Of the greatest ballot of a leader that was heard here.
  std::uint64_t round() const { return desk_.round(); }
  /// This replica's log differs from the others'.
  bool stopped() const { return diverged_; }
  /// It must not serve: its log differs, or it is no member.
  bool refuses() const { return diverged_ || acquaintance_.outside(); }

  // For those who check it.
  const Proposer* proposer() const { return proposer_.get(); }
  const Acceptor* acceptor() const override { return acceptor_.get(); }
  const Learner* learner() const override { return learner_.get(); }
  const Acquaintance& acquaintance() const override { return acquaintance_; }
  const std::vector<Stored>& witnessed() const override { return witnessed_; }
  NodeId self() const override { return self_; }
  Slot applied() const { return applied_; }
  /// Who decides the slots behind what is applied, as far as this replica knows.
  const Configurations& configurations() const override { return configurations_; }
  /// Whether a write could succeed, as far as this replica knows: somebody leads, and it can
  /// answer.
  bool serves() const { return !refuses() && learner_ && hears_leader(); }

 private:
  enum class Spoke : std::uint8_t { never, in_earlier_lives };

  /// Roles that a new life is being made of.
  struct Reborn {
    std::unique_ptr<Acceptor> acceptor;
    std::shared_ptr<Learner> learner;
    std::uint64_t boot = 0;
  };

  std::unique_ptr<Acceptor> new_acceptor() const;
  std::shared_ptr<Learner> new_learner();
  void put_in_office(std::unique_ptr<Acceptor> acceptor);
  void restore_into(Reborn& roles, ByteView piece);
  void recover_into(Reborn& roles, ByteView record);
  std::uint64_t next_life();
  void begin_life_of_proposer(Instant now, std::uint64_t life);
  void begin_life_of_acceptor(std::uint64_t life);
  void begin_life_of_learner(Instant now);
  void be_admitted(Instant now);
  void abandon_if_outside();
  void leave_if_older_copy();
  std::uint64_t fresh_mark();
  void hear_deciders(Instant now, ByteView message);
  void know_peers();
  void serve_operator(Instant now);
  std::vector<NodeId> founders() const;
  void make_room_for(std::string_view role);

  void hear(Instant now, NodeId from, ByteView message);
  void hear_as_proposer(Instant now, NodeId from, Kind kind, ByteView message);
  void hear_as_learner(Instant now, NodeId from, Kind kind, ByteView message);
  void hear_accept(Instant now, ByteView message);
  void hear_beat(Instant now, ByteView message);
  void hear_of_recovery(NodeId from, ByteView message);
  void hear_from_disk(Instant now, Kind kind, ByteView message);
  void hear_notice(Instant now, Kind kind, ByteView message);
  void hear_notice_as_learner(Instant now, Kind kind, ByteView message);
  void hear_of_members(Instant now, Kind kind, ByteView message);
  void hear_progress(Instant now, ByteView message);
  void hear_as_desk(Kind kind, ByteView message);
  void finish_recovery();
  void hear_local(Instant now);
  void hear_greeting(Instant now, NodeId from, ByteView message);
  void be_born(Instant now, Spoke spoke);
  void hear_prepare(Instant now, NodeId from, ByteView message);
  bool durable() const { return options_.acceptor == AcceptorMemory::durable; }
  void witness_recovered();

  const NodeId self_;
  const std::vector<NodeId> members_;  // as it was told
  const PaxosOptions options_;
  Random random_;
  Post post_;
  Acquaintance acquaintance_;
  std::uint64_t last_boot_ = 0;  // given to a life of this process or of its proposer
  std::uint64_t desk_boot_ = 0;  // of this process
  Instant now_{};

  std::unique_ptr<Proposer> proposer_;
  std::unique_ptr<Acceptor> acceptor_;
  std::unique_ptr<AcceptorRecovery> recovery_;  // instead of it, until it knows what it forgot
  std::shared_ptr<Learner> learner_;
  Desk desk_;
  MemberDesk member_desk_;
  Configurations configurations_;   // as the learner said last
  Slot decided_at_;                 // when it had applied this
  std::uint64_t waiting_life_ = 0;  // of a proposer, for these; 0: none waits
  bool in_office_ = false;          // it was born, in this process
  std::vector<Member> joining_;     // as members() says
  std::uint64_t joining_version_ = 0;
  Reborn reborn_;  // of roles; before start() of all
  Slot applied_;   // by the learner, as it told the others
  bool diverged_ = false;

  // A snapshot on its way out: its learner stays for it even if it dies.
  std::shared_ptr<Learner> imaged_;
  std::deque<Bytes> first_pieces_;

  std::vector<Stored> witnessed_;
  std::function<void(Bytes message)> elsewhere_;  // empty: all parts are here
};

}  // namespace kv::paxos
