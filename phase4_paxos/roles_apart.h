// A replica whose roles live apart: each has a mailbox of its own, hears the others late, and dies
// and returns alone while the others go on.
//
// At home, with whoever drives this replica, are the desk, the numbers of lives and what is known
// of disks: a PaxosReplica without roles. It makes the roles' new lives out of what is durable;
// each then lives inside a PaxosReplica that has nothing but this role. What one says to another is
// a letter to its mailbox, at once; what it says to the world (records, and messages that tell of
// them) is collected in its order, so that records come before messages here as anywhere. A role
// that dies takes with it what was not collected: that was never said.
//
// A role refers to what `home_` was made with (its options, its members), and ends before it.
//
// Pure. Who runs the roles is for a class that derives from this one to say: RoleThreads, with a
// thread for each; LateRoles, for the simulator.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "common/kv/members.h"
#include "common/kv/replica.h"
#include "common/kv/roles.h"
#include "phase4_paxos/options.h"
#include "phase4_paxos/paxos_replica.h"

namespace kv::paxos {

enum class Part : std::uint8_t { proposer, acceptor, learner };
inline constexpr std::array parts{Part::proposer, Part::acceptor, Part::learner};
constexpr std::string_view name_of(Part part) {
  return part == Part::proposer ? "proposer" : part == Part::acceptor ? "acceptor" : "learner";
}

class RolesApart : public Replica, public Roles, public Members {
 public:
  RolesApart(NodeId self, std::vector<NodeId> members, PaxosOptions options);

  void restore(ByteView snapshot_piece) override { home_.restore(snapshot_piece); }
  void recover(ByteView record) override { home_.recover(record); }
  void start(Instant now, Effects& out) override;
  void receive(Instant now, NodeId from, ByteView message, Effects& out) override;
  void request(Instant now, RequestId id, const Command& command, Effects& out) override;
  void tick(Instant now, Effects& out) override;
  Instant wake_at() const override;
  bool begin_snapshot() override;
  Bytes next_snapshot_piece() override;

  bool plays(std::string_view role) const override;
  bool has_role(std::string_view role) const override { return home_.has_role(role); }
  void kill_role(std::string_view role) override;
  void restore_role(std::string_view role, ByteView snapshot_piece) override;
  void recover_role(std::string_view role, ByteView record) override;
  void start_role(std::string_view role, Instant now, Effects& out) override;

  MemberList members() const override { return home_.members(); }
  std::uint64_t members_version() const override { return home_.members_version(); }
  void change_members(Instant now, RequestId id, const MemberChange& change, Effects& out) override;

  /// As of a PaxosReplica.
  std::uint64_t round() const { return home_.round(); }
  bool serves() const { return !home_.refuses() && lives(Part::learner) && home_.hears_leader(); }
  Slot applied() const { return home_.applied(); }
  NodeId self() const { return self_; }

 protected:
  struct Letter {
    NodeId from;
    std::shared_ptr<const Bytes> message;
  };
  enum class Haste : bool {
    none,  // the role may read it when it next wakes
    some,
  };

  // What whoever runs the roles does. post() and post_home() are called from wherever a role runs,
  // the rest with home.

  /// A new life begins: `role` has this part alone. The last one has ended.
  virtual void begin(Part part, std::unique_ptr<PaxosReplica> role) = 0;
  /// It is over, if there is one: with its mailbox, and all that was not collected.
  virtual void end(Part part) = 0;
  virtual bool lives(Part part) const = 0;
  /// Lost if the part is dead. Letters from oneself are never lost else, those of others only if
  /// the mailbox is full.
  virtual void post(Part part, Letter letter, Haste haste) = 0;
  /// To what is at home.
  virtual void post_home(Bytes message) = 0;
  virtual std::vector<Bytes> take_home_letters() = 0;
  /// Appends what roles have said since.
  virtual void collect(Instant now, Effects& out) = 0;
  /// When there may be something to collect.
  virtual Instant collect_at() const = 0;
  using Look = std::function<void(const PaxosReplica* acceptor, PaxosReplica& learner)>;
  /// Calls `look` between two steps of these, neither of which runs meanwhile. The learner lives;
  /// no acceptor is null.
  virtual void between_steps(const Look& look) = 0;
  /// As between_steps(), of the learner if it lives.
  virtual Bytes pull_piece(const std::function<Bytes()>& next_piece) = 0;
  virtual bool leads() const = 0;

  const PaxosReplica& home() const { return home_; }

 private:
  using Births = PaxosReplica::Births;

  std::optional<Bytes> hand_to_roles(NodeId from, ByteView message);
  void settle();
  void bear(Part part, PaxosReplica::Cast cast);
  Births births_of(std::string_view role) const;

  const NodeId self_;
  const std::vector<NodeId> members_;
  const PaxosOptions options_;
  PaxosReplica home_;
  std::vector<Bytes> spoken_at_home_;  // to roles that may be about to be born
};

}  // namespace kv::paxos
