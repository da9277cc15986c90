#include "phase5_raft/membership.h"

#include <utility>

namespace kv::raft {
namespace {

void append_nodes(std::string& text, const std::vector<NodeId>& nodes) {
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    text += (i == 0 ? "" : ",") + std::to_string(nodes[i].value);
  }
}

bool has_repeats(std::vector<NodeId> nodes) {
  std::ranges::sort(nodes);
  return std::ranges::adjacent_find(nodes) != nodes.end();
}

}  // namespace

std::vector<NodeId> Membership::others(NodeId self) const {
  std::vector<NodeId> all = voters;
  all.insert(all.end(), outgoing.begin(), outgoing.end());
  all.insert(all.end(), learners.begin(), learners.end());
  std::ranges::sort(all);
  all.erase(std::unique(all.begin(), all.end()), all.end());
  std::erase(all, self);
  return all;
}

const MemberFacts* Membership::facts_of(NodeId node) const {
  const auto found = std::ranges::find(facts, node, &MemberFacts::node);
  return found == facts.end() ? nullptr : &*found;
}

std::uint64_t Membership::mark_of(NodeId node) const {
  const MemberFacts* const found = facts_of(node);
  return found == nullptr ? 0 : found->mark;
}

std::string Membership::text() const {
  std::string text;
  append_nodes(text, voters);
  if (joint()) {
    text += " from ";
    append_nodes(text, outgoing);
  }
  if (!learners.empty()) {
    text += " learners ";
    append_nodes(text, learners);
  }
  return text;
}

Membership voters_only(std::vector<NodeId> members) {
  std::ranges::sort(members);
  return {.voters = std::move(members), .outgoing = {}, .learners = {}, .facts = {}};
}

const char* refusal_of(const Membership& membership) {
  std::vector<NodeId> all = membership.voters;
  all.insert(all.end(), membership.learners.begin(), membership.learners.end());
  if (membership.voters.empty()) {
    return "a cluster needs a voter";
  }
  if (all.size() > members_max) {
    return "these are too many members";
  }
  if (has_repeats(all) || std::ranges::find(all, NodeId{}) != all.end()) {
    return "a member stands there twice, or is nobody";
  }
  return nullptr;
}

}  // namespace kv::raft
