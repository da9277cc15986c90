// What whoever checks a replica from outside looks at, wherever its roles live.
#pragma once

#include <vector>

#include "common/core/ids.h"
#include "phase4_paxos/acceptor.h"
#include "phase4_paxos/acquaintance.h"
#include "phase4_paxos/configuration.h"
#include "phase4_paxos/learner.h"

namespace kv::paxos {

class Watched {
 public:
  virtual ~Watched() = default;

  virtual NodeId self() const = 0;
  /// Null while it is dead.
  virtual const Acceptor* acceptor() const = 0;
  virtual const Learner* learner() const = 0;
  virtual const Acquaintance& acquaintance() const = 0;
  /// Who decides the slots behind what is applied, as far as this replica knows.
  virtual const Configurations& configurations() const = 0;
  /// With options.watch_durability: all that became durable in this process, in order.
  virtual const std::vector<Stored>& witnessed() const = 0;
};

}  // namespace kv::paxos
