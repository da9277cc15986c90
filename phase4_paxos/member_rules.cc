#include "phase4_paxos/member_rules.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/core/quorum.h"

namespace kv::paxos {
namespace {

/// What is to be told now; or why not yet.
struct Verdict {
  std::optional<Status> status;
  std::string why;
};

std::string name_of(NodeId node) {
  return "node " + std::to_string(node.value);
}

Verdict done_if_settled(const Proposer& proposer) {
  return proposer.settled() ? Verdict{Status::ok, {}}
                            : Verdict{{}, "others have not applied all before the change yet"};
}

Verdict change(Instant now, std::vector<Voter> voters, NodeId coming, Proposer& proposer) {
  if (const char* why = refusal_of(voters)) {
    return {Status::bad_request, why};
  }
  if (!proposer.may_reconfigure()) {
    return {{}, "another change is under way"};
  }
  const auto heard = std::ranges::count_if(voters, [&](const Voter& voter) {
    return voter.node == coming || proposer.hears(voter.node, now);
  });
  if (static_cast<std::size_t>(heard) < majority(voters.size())) {
    return {{}, "no majority of those who would decide then is heard"};
  }
  const Configuration& last = proposer.configurations().latest();
  proposer.reconfigure({.base = last.number, .before = last.voters, .voters = std::move(voters)});
  return {{}, "the change is not through yet"};
}

/// Also for a member whose disk was lost: the node's new disk replaces the old one.
Verdict add(Instant now, const ChangeAsk& ask, Proposer& proposer) {
  const NodeId node = ask.change.node;
  const Configuration& last = proposer.configurations().latest();
  const Voter* voter = last.find(node);
  if (voter != nullptr && (ask.birth == 0 || ask.birth == voter->birth)) {
    // One whose disk was lost is silent until it is heard to wait.
    return proposer.hears(node, now)
               ? done_if_settled(proposer)
               : Verdict{{}, name_of(node) + " is a member, and is not heard"};
  }
  if (ask.birth == 0) {
    return {{}, name_of(node) + " is not heard: start it, with --join, and ask again"};
  }
  if (!ask.caught_up) {
    return {{}, name_of(node) + " has not caught up yet: ask again"};
  }
  std::vector<Voter> voters = last.voters;
  std::erase_if(voters, [&](const Voter& each) { return each.node == node; });
  const Voter fresh{node, last.number + 1, ask.birth, ask.change.address};
  voters.insert(std::ranges::upper_bound(voters, node, {}, &Voter::node), fresh);
  return change(now, std::move(voters), node, proposer);
}

Verdict remove(Instant now, const ChangeAsk& ask, Proposer& proposer) {
  const Configuration& last = proposer.configurations().latest();
  if (last.find(ask.change.node) == nullptr) {
    return done_if_settled(proposer);
  }
  std::vector<Voter> voters = last.voters;
  std::erase_if(voters, [&](const Voter& each) { return each.node == ask.change.node; });
  return change(now, std::move(voters), {}, proposer);
}

}  // namespace

ChangeTold judge(Instant now, const ChangeAsk& ask, Proposer& proposer) {
  Verdict verdict = !proposer.leading() ? Verdict{Status::unavailable, "nobody leads"}
                    : ask.change.verb == MemberVerb::add ? add(now, ask, proposer)
                                                         : remove(now, ask, proposer);
  return {.number = ask.number, .status = verdict.status, .why = std::move(verdict.why)};
}

}  // namespace kv::paxos
