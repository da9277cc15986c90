// What an operator may change now: the proposer's answer to the desk that asks for it.
//
// Any set of voters may follow any other: who decides which slot is never in doubt
// (configuration.h). One node at a time all the same, for the sake of those who must go on: a
// change is begun when the last one is settled, when whoever comes has caught up, and when a
// majority of the voters-to-be is heard.
#pragma once

#include "common/core/time.h"
#include "phase4_paxos/notices.h"
#include "phase4_paxos/proposer.h"

namespace kv::paxos {

/// Begins the change if it may; asked again, tells how it stands. Ok when it is settled, so that
/// whoever left may be switched off; `unavailable` if this proposer does not lead.
ChangeTold judge(Instant now, const ChangeAsk& ask, Proposer& proposer);

}  // namespace kv::paxos
