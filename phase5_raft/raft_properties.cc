#include "phase5_raft/raft_properties.h"

#include <algorithm>

#include "common/core/hash.h"

namespace kv::raft {
namespace {

BrokenProperty broken(const char* name, const Raft& raft, const std::string& what) {
  return {.name = name,
          .detail = "node " + std::to_string(raft.self().value) + " in term " +
                    std::to_string(raft.term().value) + ": " + what};
}

std::string at(Index index) {
  return "at index " + std::to_string(index.value);
}

}  // namespace

std::optional<BrokenProperty> RaftProperties::after_step(const Raft& raft, bool fresh,
                                                         Index applied,
                                                         std::uint64_t applied_checksum) {
  Seen& seen = seen_[raft.self().value];
  if (fresh) {
    seen = {};
    seen.truncations = raft.log().truncations();
  }
  std::optional<BrokenProperty> found = check_append_only(raft, seen);
  if (!found && raft.leads() && !(seen.leads && seen.term == raft.term())) {
    found = check_election(raft);
  }
  found = found ? found : check_new_entries(raft, seen);
  if (!found && raft.leads() && !(seen.leads && seen.term == raft.term())) {
    found = check_completeness(raft);
  }
  found = found ? found : check_commit(raft, seen);
  found = found ? found : check_state(applied, applied_checksum);
  seen = {.term = raft.term(),
          .leads = raft.leads(),
          .last = raft.log().last(),
          .commit = raft.commit(),
          .truncations = raft.log().truncations()};
  return found;
}

/// Election Safety: at most one leader can be elected in a given term.
std::optional<BrokenProperty> RaftProperties::check_election(const Raft& raft) {
  const auto [known, first] = leaders_.try_emplace(raft.term().value, raft.self());
  if (!first && known->second != raft.self()) {
    return broken("election_safety", raft,
                  "leads, as node " + std::to_string(known->second.value) + " did");
  }
  return std::nullopt;
}

/// Leader Append-Only: a leader never overwrites or deletes entries in its log; it only appends new
/// entries.
std::optional<BrokenProperty> RaftProperties::check_append_only(const Raft& raft,
                                                                const Seen& before) const {
  const bool goes_on = before.leads && raft.leads() && before.term == raft.term();
  if (goes_on &&
      (raft.log().truncations() != before.truncations || raft.log().last() < before.last)) {
    return broken("leader_append_only", raft, "its log lost entries while it led");
  }
  return std::nullopt;
}

/// Log Matching: if two logs contain an entry with the same index and term, then the logs are
/// identical in all entries up through the given index.
std::optional<BrokenProperty> RaftProperties::check_new_entries(const Raft& raft,
                                                                const Seen& before) {
  const RaftLog& log = raft.log();
  const bool anew = log.truncations() != before.truncations || before.last < log.base();
  for (Index index = anew ? log.first() : before.last + 1; index <= log.last(); ++index) {
    const EntryView entry = log.at(index);
    const Content content{
        .term_before = log.term_at(index - 1)->value,
        .checksum = hash_of(entry.payload, static_cast<std::uint64_t>(entry.kind))};
    const auto [known, first] = entries_.try_emplace({index.value, entry.term.value}, content);
    if (!first && known->second != content) {
      return broken("log_matching", raft, "another entry of this term stands " + at(index));
    }
  }
  return std::nullopt;
}

/// Leader Completeness: if a log entry is committed in a given term, then that entry will be
/// present in the logs of the leaders for all higher-numbered terms.
std::optional<BrokenProperty> RaftProperties::check_completeness(const Raft& raft) const {
  const RaftLog& log = raft.log();
  for (Index index = log.base() + 1; index.value <= committed_.size(); ++index) {
    const Committed& known = committed_[index.value - 1];
    if (known.term != Term{} && known.known_in < raft.term() && log.term_at(index) != known.term) {
      return broken("leader_completeness", raft, "it leads without what is committed " + at(index));
    }
  }
  return std::nullopt;
}

/// State Machine Safety: if a server has applied a log entry at a given index to its state machine,
/// no other server will ever apply a different log entry for the same index.
std::optional<BrokenProperty> RaftProperties::check_commit(const Raft& raft, const Seen& before) {
  const RaftLog& log = raft.log();
  for (Index index = std::max(before.commit, log.base()) + 1; index <= raft.commit(); ++index) {
    const Term term = *log.term_at(index);
    if (committed_.size() < index.value) {
      committed_.resize(
          index.value);  // what a log dropped in one step with its commit is not known
    }
    Committed& known = committed_[index.value - 1];
    if (known.term == Term{}) {
      known = {.term = term, .known_in = raft.term()};
    } else if (known.term != term) {
      return broken("state_machine_safety", raft, "another entry is committed " + at(index));
    }
  }
  return std::nullopt;
}

std::optional<BrokenProperty> RaftProperties::check_state(Index applied, std::uint64_t checksum) {
  const auto [known, first] = states_.try_emplace(applied.value, checksum);
  if (!first && known->second != checksum) {
    return BrokenProperty{
        .name = "state_machine_safety",
        .detail = "two replicas that applied the same entries differ, " + at(applied)};
  }
  return std::nullopt;
}

}  // namespace kv::raft
