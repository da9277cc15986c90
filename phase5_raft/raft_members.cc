// The members as an operator changes them (kv::Members): by whoever leads, a step at a time, each
// an entry in the log. Who asks again finds what is done already, so nothing of it is kept.
#include <algorithm>
#include <utility>

#include "common/core/check.h"
#include "phase5_raft/raft_life.h"

namespace kv::raft {
namespace {

/// A learner that is no further behind gets its vote: it has all but what is on its way.
constexpr std::uint64_t entries_behind_max = 1024;
constexpr std::size_t address_bytes_max = 256;

const char* refusal_of(const MemberChange& change) {
  if (change.node.value == 0) {
    return "say which node";
  }
  if (change.verb == MemberVerb::add &&
      (change.address.empty() || change.address.size() > address_bytes_max)) {
    return "say where the node's RPC is";
  }
  return nullptr;
}

std::string text_of(NodeId node) {
  return "node " + std::to_string(node.value);
}

MemberStanding standing_in(const Membership& membership, NodeId node) {
  if (std::ranges::find(membership.voters, node) != membership.voters.end()) {
    return MemberStanding::voter;
  }
  return membership.has_learner(node) ? MemberStanding::learner : MemberStanding::leaving;
}

Membership without(Membership membership, NodeId node) {
  std::erase(membership.voters, node);
  std::erase(membership.learners, node);
  return membership;
}

}  // namespace

MemberList RaftLife::members() const {
  MemberList list{.leader = raft_.leader(), .members = {}};
  for (const NodeId node : raft_.reachable()) {
    const MemberFacts* const facts = raft_.facts_of(node);
    list.members.push_back({.node = node,
                            .address = facts == nullptr ? std::string{} : facts->address,
                            .standing = standing_in(raft_.membership(), node)});
  }
  if (joining_ &&
      std::ranges::find(list.members, joining_->node, &Member::node) == list.members.end()) {
    list.members.push_back(*joining_);
  }
  return list;
}

void RaftLife::change_members(Instant now, RequestId id, const MemberChange& change, Effects& out) {
  now_ = now;
  const auto refuse = [&](Status status, std::string why) {
    out.answers.push_back({id, {.status = status, .value = {}, .why = std::move(why)}});
  };
  if (const char* const why = refusal_of(change)) {
    return refuse(Status::bad_request, why);
  }
  if (stopped() || !raft_.leads()) {
    const NodeId leader = raft_.leader();
    return refuse(Status::unavailable,
                  leader.value == 0 ? "nobody leads" : text_of(leader) + " leads: ask it");
  }
  if (change_ && change_->what != change) {
    return refuse(Status::unavailable, "another change of the members is under way");
  }
  if (!change_) {
    change_ = Change{.what = change, .asked = {}, .until = now + options_.request_patience};
    if (!raft_.membership().includes(change.node)) {
      acquaintance_.forget(change.node);  // it may come on another disk than it had
    }
  }
  change_->asked.push_back(id);
  go_on_with_change(now, out);
}

/// Each step is looked for a few times a second, and whenever a configuration was committed.
void RaftLife::go_on_with_change(Instant now, Effects& out) {
  if (!raft_.leads()) {
    return on_change_without_leadership(now, out);
  }
  std::string why;
  change_->misses_disk = false;
  switch (change_->what.verb) {
    case MemberVerb::add:
      why = add_member(now, out);
      break;
    case MemberVerb::remove:
      why = remove_member(now, out);
      break;
    case MemberVerb::transfer:
      why = transfer_to(now, out);
      break;
  }
  if (change_ && now >= change_->until) {
    return end_change(change_->misses_disk ? Status::aborted : Status::unknown, why, out);
  }
  if (change_) {
    change_->look_at = now + options_.ask_again_after;
  }
}

void RaftLife::on_change_without_leadership(Instant now, Effects& out) {
  const NodeId leader = raft_.leader();
  if (change_->what.verb == MemberVerb::transfer && leader == change_->what.node) {
    return end_change(Status::ok, {}, out);
  }
  if (leader.value == 0 && now < change_->until) {
    change_->look_at = now + options_.ask_again_after;
    return;
  }
  end_change(Status::unknown,
             leader.value == 0 ? "nobody leads" : text_of(leader) + " leads now: ask it", out);
}

/// Thesis 4.2.1: a new server first catches up as a learner. What is still to wait for.
std::string RaftLife::add_member(Instant now, Effects& out) {
  const NodeId node = change_->what.node;
  const Membership& members = raft_.membership();
  const MemberFacts* const facts = members.facts_of(node);
  if (facts != nullptr && facts->address != change_->what.address && !facts->address.empty()) {
    end_change(Status::bad_request,
               text_of(node) + " is a member at " + facts->address + ": remove it first", out);
    return {};
  }
  if (!raft_.settled() || !raft_.knows_commit()) {
    return "the last change of the members is under way";
  }
  Membership next = members;
  if (members.votes(node)) {
    end_change(Status::ok, {}, out);
    return {};
  }
  if (members.has_learner(node)) {
    const std::optional<std::uint64_t> behind = raft_.entries_behind(node, now);
    if (!behind || *behind > entries_behind_max) {
      return text_of(node) + " is being brought up to date" +
             (behind ? ": " + std::to_string(*behind) + " entries are missing" : "");
    }
    std::erase(next.learners, node);
    next.voters.push_back(node);
    std::ranges::sort(next.voters);
    return begin_change(now, std::move(next), out);
  }
  meet(node);
  acquaintance_.ask(node, out);
  const std::uint64_t mark = acquaintance_.mark_of_newcomer(node);
  if (mark == 0) {
    return text_of(node) + " was not heard from " + change_->what.address;
  }
  next.learners.push_back(node);
  next.facts.push_back({.node = node, .mark = mark, .address = change_->what.address});
  return begin_change(now, std::move(next), out);
}

std::string RaftLife::remove_member(Instant now, Effects& out) {
  const NodeId node = change_->what.node;
  const Membership next = without(raft_.membership(), node);
  if (next.voters.empty()) {
    end_change(Status::bad_request, "the last voter cannot leave", out);
    return {};
  }
  if (!raft_.settled() || !raft_.knows_commit()) {
    return "the last change of the members is under way";
  }
  if (!raft_.membership().includes(node)) {
    end_change(Status::ok, {}, out);
    return {};
  }
  if (!raft_.hears_quorum_of(next, now)) {
    return "without " + text_of(node) + " too few of those that are heard would be left";
  }
  if (node == self_) {
    // What the next leader would wait for as well is waited for here: each handover is a pause.
    if (std::string why = ask_unknown_disks(next, out); !why.empty()) {
      return why;
    }
    // Raft 6 lets a leader go on that is no member; but so nobody waits for an election.
    const char* const why = raft_.may_propose() ? raft_.transfer(now, {}, out) : nullptr;
    return why != nullptr ? why : "the leader hands over before it leaves";
  }
  return begin_change(now, next, out);
}

std::string RaftLife::transfer_to(Instant now, Effects& out) {
  const NodeId node = change_->what.node;
  if (node == self_) {
    end_change(Status::ok, {}, out);
    return {};
  }
  if (standing_in(raft_.membership(), node) != MemberStanding::voter) {
    end_change(Status::bad_request, text_of(node) + " has no vote, so it cannot lead", out);
    return {};
  }
  if (raft_.may_propose()) {  // not begun, or given up
    if (change_->begun) {
      // Not to be asked again by itself: nothing is written while leadership is being handed over.
      end_change(Status::aborted, text_of(node) + " did not take over in time", out);
      return {};
    }
    change_->begun = true;
    if (const char* const why = raft_.transfer(now, node, out)) {
      end_change(Status::aborted, text_of(node) + ": " + why, out);
      return {};
    }
  }
  return text_of(node) + " has not taken over yet";
}

/// With a change everyone's mark comes into the log: from then on no majority of founders is asked
/// whose disk is whose.
std::string RaftLife::begin_change(Instant now, Membership next, Effects& out) {
  if (std::string why = ask_unknown_disks(next, out); !why.empty()) {
    return why;
  }
  for (const NodeId node : next.others({})) {
    if (next.mark_of(node) == 0) {
      next.facts.push_back(
          {.node = node, .mark = acquaintance_.mark_of_member(node), .address = {}});
    }
  }
  const char* const why = raft_.change_membership(now, next, out);
  return why == nullptr ? "it is not committed yet" : why;
}

/// Those whose marks `next` will need and has not are asked for them; whom there is to wait for.
std::string RaftLife::ask_unknown_disks(const Membership& next, Effects& out) {
  std::string why;
  for (const NodeId node : next.others({})) {
    if (next.mark_of(node) == 0 && acquaintance_.mark_of_member(node) == 0) {
      acquaintance_.ask(node, out);
      why = text_of(node) + " was not heard, so its disk is not known: wait for it, or remove it";
    }
  }
  change_->misses_disk = !why.empty();
  return why;
}

/// So that it can be asked for its disk.
void RaftLife::meet(NodeId node) {
  const Member newcomer{
      .node = node, .address = change_->what.address, .standing = MemberStanding::joining};
  if (joining_ != newcomer) {
    joining_ = newcomer;
    ++members_version_;
  }
}

void RaftLife::end_change(Status status, const std::string& why, Effects& out) {
  const Change ended = *std::exchange(change_, std::nullopt);
  for (const RequestId id : ended.asked) {
    out.answers.push_back({id, {.status = status, .value = {}, .why = why}});
  }
}

/// After each step: what the host is to tell the transport, and whether the change goes on.
void RaftLife::look_at_members(Instant now, Effects& out) {
  const Raft::ConfigurationMark mark = raft_.configuration_mark();
  const bool moved = mark != seen_configuration_;
  if (moved) {
    seen_configuration_ = mark;
    ++members_version_;
  }
  if (joining_ && (!raft_.leads() || raft_.membership().includes(joining_->node))) {
    joining_.reset();
    ++members_version_;
  }
  if (change_ && (moved || now >= change_->look_at || !raft_.leads())) {
    go_on_with_change(now, out);
  }
}

}  // namespace kv::raft
