// Where an operator is served: asks for changes of members wait here until they are done, or for a
// while. What may be done, and when, is for this replica's proposer to say, if it leads
// (member_rules.h): it is asked again until it has an answer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "common/core/time.h"
#include "common/kv/members.h"
#include "phase4_paxos/acquaintance.h"
#include "phase4_paxos/notices.h"
#include "phase4_paxos/options.h"
#include "phase4_paxos/post.h"

namespace kv::paxos {

class MemberDesk {
 public:
  static constexpr std::size_t asks_max = 16;

  explicit MemberDesk(const PaxosOptions& options) : options_(options) {}

  /// Answered by `id`: at once if it is refused, else when it is done, or unavailable when nobody
  /// here leads or options.command_patience ends.
  void ask(Instant now, RequestId id, const MemberChange& change, Post& post);
  /// `leader` is who leads, or 0.
  void tick(Instant now, const Acquaintance& acquaintance, NodeId leader, Post& post);
  Instant wake_at() const { return asks_.empty() ? never : look_at_; }

  /// Of this replica's proposer.
  void on_told(const ChangeTold& told, Post& post);

  /// Nodes that are being added and are no voters yet, with the addresses they were given.
  std::vector<Member> joining() const;

 private:
  struct Ask {
    RequestId id;
    std::uint64_t number = 0;
    MemberChange change;
    Instant since;
    std::string why;  // it is not done yet
  };

  const PaxosOptions& options_;
  std::vector<Ask> asks_;
  std::uint64_t asked_ = 0;
  Instant look_at_ = never;
};

}  // namespace kv::paxos
