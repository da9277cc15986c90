// The five properties of Raft's figure 3, checked over all members after every step, with what was
// seen so far as their memory. Each is found by its name in the paper.
//
// Not every log is read after every step: an entry is looked at when it appears. Log Matching
// follows by induction: if everyone who has an entry (index, term) has the same content there and
// the same term before it, their logs are equal up to it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "common/core/ids.h"
#include "phase5_raft/raft.h"

namespace kv::raft {

/// What did not hold.
struct BrokenProperty {
  std::string name;
  std::string detail;
};

class RaftProperties {
 public:
  /// After a step of that member; `fresh` if it is in another life than when it was last seen.
  /// `applied_checksum` is of its state after `applied`.
  std::optional<BrokenProperty> after_step(const Raft& raft, bool fresh, Index applied,
                                           std::uint64_t applied_checksum);
  /// That member is down: it leads no more.
  void down(NodeId node) { seen_.erase(node.value); }

 private:
  struct Place {
    std::uint64_t index;
    std::uint64_t term;
    bool operator==(const Place&) const = default;
  };
  struct PlaceHash {
    std::size_t operator()(const Place& place) const noexcept {
      return place.index * 0x9e3779b97f4a7c15 ^ place.term;
    }
  };
  struct Content {
    std::uint64_t term_before = 0;
    std::uint64_t checksum = 0;  // of kind and payload
    bool operator==(const Content&) const = default;
  };
  struct Committed {
    Term term;      // of the entry; 0: not known
    Term known_in;  // of whoever was first seen to know it
  };
  struct Seen {
    Term term;
    bool leads = false;
    Index last;
    Index commit;
    std::uint64_t truncations = 0;
  };

  std::optional<BrokenProperty> check_election(const Raft& raft);
  std::optional<BrokenProperty> check_append_only(const Raft& raft, const Seen& before) const;
  std::optional<BrokenProperty> check_new_entries(const Raft& raft, const Seen& before);
  std::optional<BrokenProperty> check_completeness(const Raft& raft) const;
  std::optional<BrokenProperty> check_commit(const Raft& raft, const Seen& before);
  std::optional<BrokenProperty> check_state(Index applied, std::uint64_t checksum);

  std::unordered_map<std::uint64_t, NodeId> leaders_;  // by term
  std::unordered_map<Place, Content, PlaceHash> entries_;
  std::vector<Committed> committed_;                         // by index - 1
  std::unordered_map<std::uint64_t, std::uint64_t> states_;  // checksums, by entries applied
  std::unordered_map<std::uint32_t, Seen> seen_;             // by node
};

}  // namespace kv::raft
