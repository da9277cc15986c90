// A replica and the members of its cluster: what its learner tells of them, and what an operator
// wants of them.
#include <algorithm>
#include <utility>

#include "phase4_paxos/member_rules.h"
#include "phase4_paxos/paxos_replica.h"

namespace kv::paxos {
namespace {

/// Lives of a node's later disks have numbers that none of its earlier ones can have had: ballots
/// and parcels bear them.
constexpr unsigned lives_of_a_disk_shift = 32;

}  // namespace

std::vector<NodeId> PaxosReplica::founders() const {
  const bool founds = std::ranges::find(members_, self_) != members_.end();
  return founds ? members_ : std::vector<NodeId>{};
}

/// Who decides has changed, or this replica knows more of it, or less: a learner was born again.
void PaxosReplica::hear_deciders(Instant now, ByteView message) {
  auto deciders = unpack<Deciders>(message);
  if (!deciders || !deciders->configurations.known()) {
    return;
  }
  configurations_ = std::move(deciders->configurations);
  decided_at_ = deciders->applied;
  know_peers();
  if (proposer_) {
    proposer_->on_deciders({decided_at_, configurations_});
  } else if (waiting_life_ != 0) {
    begin_life_of_proposer(now, next_life());
  }
  if (acquaintance_.admit(now, configurations_, decided_at_, post_)) {
    be_admitted(now);
  }
  abandon_if_outside();
}

/// Nobody would answer those who wait here.
void PaxosReplica::abandon_if_outside() {
  if (acquaintance_.outside()) {
    desk_.abandon("this replica is no member", post_);
  }
}

/// What it promised since that copy was made it does not know: all of it must be silent at once.
void PaxosReplica::leave_if_older_copy() {
  if (desk_.is_older_copy() && !diverged_) {
    desk_.abandon("this replica has an older copy of its disk", post_);
    acquaintance_.disown(fresh_mark(), post_);
    post_.send(self_, pack(Progress{.diverged = true}), Leaves::at_once);
  }
}

/// The log says that this disk is a member, which was none before.
void PaxosReplica::be_admitted(Instant now) {
  last_boot_ = std::max(last_boot_, acquaintance_.incarnation() << lives_of_a_disk_shift);
  desk_boot_ = next_life();
  desk_.start(now, desk_boot_);
  post_.send(self_, pack(AnswerFor{desk_boot_, desk_.first_open()}), Leaves::at_once);
  if (!in_office_) {
    return be_born(now, Spoke::never);
  }
  // It was one before, and was removed. Its proposer goes on: no other disk's ballots bear the
  // numbers of this one's lives.
  post_.send(self_, pack(Become{acquaintance_.incarnation()}), Leaves::at_once);
}

void PaxosReplica::know_peers() {
  std::vector<NodeId> peers = members_;
  std::ranges::copy(configurations_.nodes(), std::back_inserter(peers));
  std::ranges::sort(peers);
  peers.erase(std::unique(peers.begin(), peers.end()), peers.end());
  acquaintance_.know(std::move(peers));
}

// --- for an operator -----------------------------------------------------------------------------

MemberList PaxosReplica::members() const {
  MemberList list{.leader = desk_.has_leader(now_) ? desk_.leader() : NodeId{}, .members = {}};
  const auto add = [&list](const Member& member) {
    const auto at = std::ranges::lower_bound(list.members, member.node, {}, &Member::node);
    if (at == list.members.end() || at->node != member.node) {
      list.members.insert(at, member);
    }
  };
  if (configurations_.known()) {
    for (const Voter& voter : configurations_.latest().voters) {
      add({voter.node, voter.address, MemberStanding::voter});
    }
  }
  for (const Configuration& each : configurations_.all()) {
    for (const Voter& voter : each.voters) {
      add({voter.node, voter.address, MemberStanding::leaving});
    }
  }
  for (const Member& member : joining_) {
    add(member);
  }
  if (!configurations_.known() || acquaintance_.outside()) {
    for (const NodeId node : members_) {
      add({node, {}, node == self_ ? MemberStanding::joining : MemberStanding::voter});
    }
  }
  return list;
}

std::uint64_t PaxosReplica::members_version() const {
  const std::uint64_t number = configurations_.known() ? configurations_.latest().number + 1 : 0;
  return (number << 32) + (configurations_.all().size() << 24) +
         (acquaintance_.outside() ? 1U << 23 : 0) + joining_version_;
}

void PaxosReplica::change_members(Instant now, RequestId id, const MemberChange& change,
                                  Effects& out) {
  now_ = now;
  post_.begin(out);
  member_desk_.ask(now, id, change, post_);
}

void PaxosReplica::hear_of_members(Instant now, Kind kind, ByteView message) {
  if (kind == Kind::change_ask) {
    if (const auto ask = unpack<ChangeAsk>(message); ask && proposer_) {
      post_.send(self_, pack(judge(now, *ask, *proposer_)), Leaves::at_once);
    }
  } else if (kind == Kind::change_told) {
    if (const auto told = unpack<ChangeTold>(message)) {
      member_desk_.on_told(*told, post_);
    }
  } else if (const auto become = unpack<Become>(message); become && acceptor_) {
    acceptor_->be(become->incarnation);
  }
}

void PaxosReplica::serve_operator(Instant now) {
  member_desk_.tick(now, acquaintance_, desk_.has_leader(now) ? desk_.leader() : NodeId{}, post_);
  std::vector<Member> joining = member_desk_.joining();
  if (joining != joining_) {
    joining_ = std::move(joining);
    ++joining_version_;
  }
}

}  // namespace kv::paxos
