// Roles that live apart, for the simulator: each does now and then a part of what it has to do, and
// what it says is collected late, so that any order shows up that threads can bring about.
#pragma once

#include <array>
#include <deque>
#include <memory>
#include <vector>

#include "common/core/random.h"
#include "phase4_paxos/roles_apart.h"
#include "phase4_paxos/watched.h"

namespace kv::paxos {

class LateRoles : public RolesApart, public Watched {
 public:
  LateRoles(NodeId self, std::vector<NodeId> members, PaxosOptions options);

  void check_invariants() const override;

  NodeId self() const override { return RolesApart::self(); }
  const Acceptor* acceptor() const override;
  const Learner* learner() const override;
  const Acquaintance& acquaintance() const override { return home().acquaintance(); }
  const Configurations& configurations() const override { return home().configurations(); }
  const std::vector<Stored>& witnessed() const override { return home().witnessed(); }

 private:
  struct Life {
    std::unique_ptr<PaxosReplica> role;
    std::deque<Letter> mailbox;
    Effects said;
  };

  void begin(Part part, std::unique_ptr<PaxosReplica> role) override;
  void end(Part part) override;
  bool lives(Part part) const override { return of(part).role != nullptr; }
  void post(Part part, Letter letter, Haste haste) override;
  void post_home(Bytes message) override;
  std::vector<Bytes> take_home_letters() override;
  void collect(Instant now, Effects& out) override;
  Instant collect_at() const override;
  void between_steps(const Look& look) override;
  Bytes pull_piece(const std::function<Bytes()>& next_piece) override { return next_piece(); }
  bool leads() const override;

  Life& of(Part part) { return lives_[static_cast<std::size_t>(part)]; }
  const Life& of(Part part) const { return lives_[static_cast<std::size_t>(part)]; }
  static void step(Life& life, Instant now);

  Random random_;
  std::array<Life, parts.size()> lives_;
  std::deque<Bytes> home_letters_;
  Instant again_at_{};  // some roles have been left with something to do
};

}  // namespace kv::paxos
