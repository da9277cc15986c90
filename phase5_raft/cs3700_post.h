// How letters between replicas travel as few datagrams: a datagram is a bag of letters, and whoever
// gets a bag takes out what is his, and sends the rest on with his answers in it.
//
// So what asks two replicas for an answer goes round: from the leader to one, on to the other, and
// back with both answers, three messages where four would be sent. That world counts messages. For
// Raft nothing changes: a letter may always come late, or not at all.
#pragma once

#include <functional>
#include <vector>

#include "common/core/bytes.h"
#include "common/core/ids.h"

namespace kv::raft {

struct Cs3700Letter {
  NodeId from;
  NodeId to;
  Bytes message;  // between two Rafts

  bool operator==(const Cs3700Letter&) const = default;

  static void fields(auto& self, auto& visit) {
    visit("from", self.from.value);
    visit("to", self.to.value);
    visit("message", self.message);
  }
};

struct Cs3700Bag {
  std::vector<Cs3700Letter> letters;  // the first says whom the bag goes to

  bool operator==(const Cs3700Bag&) const = default;

  static void fields(auto& self, auto& visit) { visit("letters", self.letters); }
};

/// `passing`: what came in a bag and is not for us; empty: nothing did. `own`: what we send.
/// Letters to one replica stay in their order. No bag goes on by way of one that is not known to
/// answer.
std::vector<Cs3700Bag> bags_of(std::vector<Cs3700Letter> passing, std::vector<Cs3700Letter> own,
                               const std::function<bool(NodeId)>& answers);

}  // namespace kv::raft
