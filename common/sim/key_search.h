// Whether the operations on one key have an explanation: an order in which each takes effect at
// one moment between its call and its return, and tells what it found.
//
// Lowe's just-in-time linearization ("Testing for Linearizability", 2017), breadth first: the
// history is walked in time, and after each return the search holds every configuration that
// explains what has returned so far: the value that stands, which of the pending operations have
// taken effect, and which of the unknown ones were used up. None left: no explanation.
//
// What keeps the configurations few; each of these loses no explanation:
//
// 1. An operation that changes nothing takes effect as soon as it is pending and finds what it
//    told. It only gets out of the way: whatever explains the rest without it still does.
//
// 2. An unknown operation is used only in a chain of such right before a known one that would not
//    find what it told without the chain. For take an explanation, and in it an unknown operation u
//    followed by a z that would find the same without u. If z changes nothing, u may as well come
//    after z: it has no return that could be missed. If z writes, the value after z does not
//    depend on u, and u can be left out; so can it where nothing follows. Repeated, this ends with
//    every u in such a chain or left out. By the same argument a chain
//    holds no value twice, and a put only at its front. A delete that succeeds is such a chain
//    alone, and only before who must find nothing.
//
// 3. Unknown operations that do the same, when called, are one kind: how many were used is all.
//    Among configurations that differ only in what was used up, one that used less of each kind
//    explains all that the other does.
//
// 4. Values that no operation's outcome can name (none reads, compares with or is refused for
//    them) are one value.
//
// 5. A value that only one operation can write is never written again. So who must find it and
//    has not yet taken effect when it is overwritten never will: such a configuration is dropped.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "common/sim/history.h"

namespace kv::sim {

/// What a search may cost. Counted down as it goes, and shared by the searches of one check.
struct SearchBudget {
  std::uint64_t steps = 0;             // operations tried in a configuration
  std::size_t configurations_max = 0;  // held at once
};

/// Known operations on one key that may be pending at once: more, and the search cannot tell.
inline constexpr std::size_t pending_max = 128;

enum class Verdict : std::uint8_t { linearizable, not_linearizable, cannot_tell };

struct KeyVerdict {
  Verdict verdict = Verdict::linearizable;
  HistoryTime at{};           // not_linearizable: the return that nothing explains
  const char* why = nullptr;  // cannot_tell: the limit that was met
};

/// `operations` are of one key, in any order. Those that were certainly not done (aborted,
/// unavailable, bad_request) and reads without an outcome say nothing, and are passed over.
KeyVerdict search_key(const std::vector<Operation>& operations, SearchBudget& budget);

}  // namespace kv::sim
