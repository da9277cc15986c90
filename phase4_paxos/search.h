// Every run there is, of a small cluster: two proposers and three acceptors, the classes that serve
// clients, with one slot to decide, and one acceptor that dies once.
//
// A state is the values of these objects and the set of all messages ever said. Any of them may be
// delivered at any time, however late, in any order and as often as one likes; one that never is
// was lost. So all that a network can do is in the search. States are told apart by a hash of 64
// bits.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "phase4_paxos/options.h"

namespace kv::paxos {

struct SearchBounds {
  AcceptorMemory acceptor = AcceptorMemory::durable;
  /// Ballots that each proposer may begin.
  std::uint32_t attempts = 1;
  /// Deaths of the third acceptor, in all.
  std::uint32_t deaths = 1;
  std::uint64_t states_max = 1'000'000;
};

struct SearchResult {
  std::uint64_t states = 0;      // different ones
  std::uint64_t steps = 0;       // taken from them
  bool complete = false;         // every state was reached
  std::string broken;            // what did not hold; empty: nothing
  std::vector<std::string> run;  // the shortest way there, a line a step
};

/// Breadth first, from the beginning.
SearchResult search(const SearchBounds& bounds);

}  // namespace kv::paxos
